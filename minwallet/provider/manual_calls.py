"""Provider calls made by hand: to see how the wallet answers, or that a repeated call moves nothing.

A call of a signed protocol is signed with a secret of the agent. The text of a request never has a token, a secret or a
signature: it is that of a request which was built without them.
"""

import logging
import re
import shlex
from collections.abc import Mapping
from typing import NamedTuple

import httpx2

from minwallet.bounded_http import describe_error, exchange, open_client
from minwallet.ledger.entries import Entry
from minwallet.operations.errors import OperationError, Subject
from minwallet.protocols.registry import is_installed, load_protocol
from minwallet.protocols.wire import REDACTED, Call, Headers, HttpRequest, HttpResponse, Malformed, WireProtocol
from minwallet.provider.protocol_faults import explain_protocol_fault
from minwallet.storage.errors import StoreError
from minwallet.storage.models import OPENING_PROTOCOL, OPERATOR_PROTOCOL, Agent, JournaledEntry
from minwallet.storage.store import Store

logger = logging.getLogger("minwallet")

TIMEOUT_S, MAX_REPLY_BYTES = 30, 1024 * 1024


class CallResult(NamedTuple):
    """A finished call: the request without its token, the HTTP status and the body of the response.

    `is_success` is true if the protocol's response reports success.
    """

    request: str
    http_status: int
    reply: str
    is_success: bool


def rebuild_call(entry: Entry, token: str) -> Call:
    """Return the provider call that made the entry, with `token` as its session.

    Raise OperationError for an entry of the operator, which no provider call made, and if the protocol cannot do it.
    """
    if entry.protocol in (OPERATOR_PROTOCOL, OPENING_PROTOCOL):
        raise OperationError(
            f"entry {entry.seq} is the operator's own {entry.kind}; only provider calls can be repeated"
        )
    if not is_installed(entry.protocol):
        raise OperationError(f"entry {entry.seq} has the protocol '{entry.protocol}', which is not installed")
    with explain_protocol_fault(entry.protocol, f"rebuild the call of entry {entry.seq}"):
        return load_protocol(entry.protocol).rebuild(entry, token)


def find_request(recorded: JournaledEntry) -> str | None:
    """Return the text of the request that made the entry. Return None for an entry of the operator.

    If the journal no longer has the original, return a rebuilt request with the same content, or None if the protocol
    cannot build it. A bug of the protocol is logged.
    """
    if recorded.journal_record:
        return recorded.journal_record.request
    rebuilt = _rebuild_request(recorded)
    return None if rebuilt is None else str(rebuilt)


def format_repeat_command(recorded: JournaledEntry, url: str) -> str:
    """Return the shell command that repeats the call of the entry, "" if there is none.

    The redacted token has to be filled in. A signed call is repeated by `minwallet replay`, as curl cannot sign.
    """
    entry, _, journal_record = recorded
    rebuilt = _rebuild_request(recorded)
    if is_installed(entry.protocol) and load_protocol(entry.protocol).signature is not None:
        return f"minwallet replay {entry.seq}" if rebuilt else ""
    headers = rebuilt.headers if rebuilt else ()
    if journal_record:
        return format_curl(url, journal_record.request, headers)
    return format_curl(url, str(rebuilt), headers) if rebuilt else ""


def _rebuild_request(recorded: JournaledEntry) -> HttpRequest | None:
    entry, owner, _ = recorded
    if not is_installed(entry.protocol):
        return None
    try:
        call = rebuild_call(entry, REDACTED)._replace(player_id=owner.player_id, currency=owner.currency)
        return build_request(entry.protocol, call, entry.at_ms)
    except OperationError as failure:
        logger.warning("%s", failure, exc_info=failure.__cause__)
        return None


def format_call(protocol: str, call: Call, now_ms: int, wallet_token: str | None = None) -> str:
    """Return the request as text, with the token redacted. Raise OperationError if the protocol cannot build it."""
    return str(build_request(protocol, call._replace(token=REDACTED), now_ms, wallet_token))


def build_request(protocol: str, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
    """Return the request of the call, without a signature. Raise OperationError if the protocol cannot build it."""
    with explain_protocol_fault(protocol, f"build the call '{call.operation}'"):
        return load_protocol(protocol).build_request(call, now_ms, wallet_token)


def parse_request(protocol: WireProtocol, request: HttpRequest) -> Call | Malformed | None:
    """Return what the wallet makes of a request. Return None if none of the protocol's routes has it."""
    for route in protocol.routes:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route.path))
        if route.method == request.method and (found := re.fullmatch(pattern, request.path)):
            return protocol.parse(request._replace(path_parameters=found.groupdict()), route.operation)
    return None


async def find_secret(store: Store, protocol: str, agent: Agent) -> str:
    """Return the agent's newest secret for the protocol, "" if it has none or the protocol signs nothing."""
    if load_protocol(protocol).signature is None:
        return ""
    live = (await store.accounts.read_live_protocol_secrets()).get(protocol, ())
    return next((each.secret for each in live if each.agent_id == agent.agent_id), "")


async def require_secret(store: Store, protocol: str, agent: Agent) -> str:
    """Return the agent's newest secret for the protocol, "" if the protocol signs nothing.

    Raise OperationError if the protocol signs its requests and the agent has no secret.
    """
    secret = await find_secret(store, protocol, agent)
    if not secret and load_protocol(protocol).signature is not None:
        reason = f"agent '{agent.name}' has no secret for the protocol '{protocol}', which signs its requests"
        raise OperationError(reason, subject=Subject.PROTOCOL_SECRET, agent=agent.name, protocol=protocol)
    return secret


async def make_call(
    url: str, protocol: str, call: Call, now_ms: int, wallet_token: str | None = None, *, secret: str = ""
) -> CallResult:
    """Send the call to the wallet with provider endpoints below `url`, signed if the protocol signs its requests.

    Raise StoreError if no answer comes, OperationError if the protocol cannot build the call. `wallet_token` adds
    the agent to the path, if the protocol has such a path. A wallet may require it.
    """
    wire = load_protocol(protocol)
    request = build_request(protocol, call, now_ms, wallet_token)
    if wire.signature is not None:
        with explain_protocol_fault(protocol, f"sign the call '{call.operation}'"):
            request = wire.signature.sign(request, secret, now_ms)
    try:
        async with open_client() as http:
            reply = await exchange(
                http,
                request.method,
                url + request.target,
                content=request.body or None,
                headers=_merge_headers(request.headers),
                timeout_s=TIMEOUT_S,
                max_bytes=MAX_REPLY_BYTES,
            )
    except httpx2.HTTPError as error:
        reason = describe_error(error)
        raise StoreError(f"no answer from {url}{request.path}: {reason}; the call may have been executed") from error
    response = HttpResponse(
        reply.body,
        reply.status,
        reply.headers.get("content-type", ""),
        [(name.lower(), value) for name, value in reply.headers.raw],
    )
    try:
        is_success = reply.status < 300 and wire.parse_response(response).code == 0
    except Exception:
        # A reply that the protocol cannot parse is shown as it is: the call was made.
        is_success = False
    text = reply.body.decode(errors="replace")
    return CallResult(format_call(protocol, call, now_ms, wallet_token), reply.status, text, is_success)


def _merge_headers(headers: Headers) -> Mapping[str, str]:
    return httpx2.Headers(list(headers))


def format_curl(url: str, request: str, headers: Headers = ()) -> str:
    """Return the curl command that repeats the request. The redacted token has to be filled in."""
    method, _, rest = request.partition(" ")
    target, _, body = rest.partition(" ")
    # Without --globoff curl interprets brackets in the URL, and without --data-raw an @ at the start of the body.
    words = ["curl", "--globoff"]
    if method != ("POST" if body else "GET"):
        words += ["-X", method]
    for name, value in headers:
        words += ["-H", f"{name.decode('latin-1')}: {value.decode('latin-1')}"]
    return shlex.join([*words, url + target, *(["--data-raw", body] if body else [])])
