"""Provider calls made by hand: to see how the wallet answers, or that a repeated call moves nothing."""

import logging
import shlex
from typing import NamedTuple

import httpx2

from minwallet.bounded_http import describe_error, exchange, open_client
from minwallet.ledger.entries import Entry
from minwallet.operations.errors import OperationError
from minwallet.protocols.registry import PROTOCOLS, load_protocol
from minwallet.protocols.wire import REDACTED, Call, HttpRequest
from minwallet.provider.protocol_faults import explain_protocol_fault
from minwallet.storage.errors import StoreError
from minwallet.storage.models import OPENING_PROTOCOL, OPERATOR_PROTOCOL, JournaledEntry

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
    if entry.protocol not in PROTOCOLS:
        raise OperationError(f"entry {entry.seq} has the protocol '{entry.protocol}', which is not installed")
    with explain_protocol_fault(entry.protocol, f"rebuild the call of entry {entry.seq}"):
        return load_protocol(entry.protocol).rebuild(entry, token)


def find_request(recorded: JournaledEntry) -> str | None:
    """Return the text of the request that made the entry. Return None for an entry of the operator.

    If the journal no longer has the original, return a rebuilt request with the same content, or None if the protocol
    cannot build it. A bug of the protocol is logged.
    """
    entry, _, letters = recorded
    if letters:
        return letters.request
    if entry.protocol not in PROTOCOLS:
        return None
    try:
        return format_call(entry.protocol, rebuild_call(entry, REDACTED), entry.at_ms)
    except OperationError as failure:
        logger.warning("%s", failure, exc_info=failure.__cause__)
        return None


def format_call(protocol: str, call: Call, now_ms: int, wallet_token: str | None = None) -> str:
    """Return the request as text, with the token redacted. Raise OperationError if the protocol cannot build it."""
    return str(_build_request(protocol, call._replace(token=REDACTED), now_ms, wallet_token))


def _build_request(protocol: str, call: Call, now_ms: int, wallet_token: str | None) -> HttpRequest:
    with explain_protocol_fault(protocol, f"build the call '{call.operation}'"):
        return load_protocol(protocol).build_request(call, now_ms, wallet_token)


async def make_call(url: str, protocol: str, call: Call, now_ms: int, wallet_token: str | None = None) -> CallResult:
    """Send the call to the wallet with provider endpoints below `url`.

    Raise StoreError if no answer comes, OperationError if the protocol cannot build the call. `wallet_token` adds
    the agent to the path, if the protocol has such a path. A wallet may require it.
    """
    request = _build_request(protocol, call, now_ms, wallet_token)
    try:
        async with open_client() as http:
            reply = await exchange(
                http,
                request.method,
                url + request.target,
                content=request.body or None,
                timeout_s=TIMEOUT_S,
                max_bytes=MAX_REPLY_BYTES,
            )
    except httpx2.HTTPError as error:
        reason = describe_error(error)
        raise StoreError(f"no answer from {url}{request.path}: {reason}; the call may have been executed") from error
    try:
        is_success = reply.status == 200 and load_protocol(protocol).parse_response(reply.body).code == 0
    except Exception:
        # A reply that the protocol cannot parse is shown as it is: the call was made.
        is_success = False
    text = reply.body.decode(errors="replace")
    return CallResult(format_call(protocol, call, now_ms, wallet_token), reply.status, text, is_success)


def format_curl(url: str, request: str) -> str:
    """Return the curl command that repeats the request. The redacted token has to be filled in."""
    method, _, rest = request.partition(" ")
    # Without --globoff curl interprets brackets in the URL, and without --data-raw an @ at the start of the body.
    if method == "GET":
        return f"curl --globoff {shlex.quote(url + rest)}"
    path, _, body = rest.partition(" ")
    return f"curl --globoff {shlex.quote(url + path)} --data-raw {shlex.quote(body)}"
