"""Provider calls that an operator makes by hand: to see what a wallet does, or that a repetition moves nothing."""

import shlex
from typing import NamedTuple

import httpx2

from minwallet.ledger.entries import Entry
from minwallet.operations.errors import OperationError
from minwallet.protocols.registry import PROTOCOLS, load_protocol
from minwallet.protocols.wire import REDACTED, Call
from minwallet.storage.errors import StoreError
from minwallet.storage.models import JournaledEntry

TIMEOUT_S = 30


class CallResult(NamedTuple):
    """A call that was made: the request without its token, the HTTP status and body that came back, and whether they
    say that it succeeded.
    """

    request: str
    http_status: int
    reply: str
    is_success: bool


def rebuild_call(entry: Entry, token: str) -> Call:
    """The provider's call that made the entry, as the bearer of `token` would make it again. Declines for what the
    operator did.
    """
    if entry.protocol not in PROTOCOLS:
        raise OperationError(
            f"entry {entry.seq} is the operator's own {entry.kind}; only provider calls can be made again"
        )
    return load_protocol(entry.protocol).rebuild(entry, token)


def find_request(recorded: JournaledEntry) -> str | None:
    """The request that made the entry: word for word, or one of the same content where that is no longer kept. None
    for what the operator did.
    """
    entry, _, letters = recorded
    if letters:
        return letters.request
    return (
        format_call(entry.protocol, rebuild_call(entry, REDACTED), entry.at_ms) if entry.protocol in PROTOCOLS else None
    )


def format_call(protocol: str, call: Call, now_ms: int) -> str:
    """The request as text, the token left out."""
    return str(load_protocol(protocol).build_request(call._replace(token=REDACTED), now_ms))


def make_call(url: str, protocol: str, call: Call, now_ms: int) -> CallResult:
    """Make the call at the wallet whose provider endpoints are below `url`. StoreError where nothing is answered."""
    wire = load_protocol(protocol)
    exchange = wire.build_request(call, now_ms)
    try:
        response = httpx2.request(
            exchange.method,
            url + exchange.target,
            content=exchange.body or None,
            timeout=TIMEOUT_S,
            trust_env=False,
        )
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise StoreError(
            f"no answer from {url}{exchange.path}: {reason}; the call may have been carried out"
        ) from error
    try:
        is_success = response.status_code == 200 and wire.parse_response(response.content).code == 0
    except ValueError:
        is_success = False
    return CallResult(format_call(protocol, call, now_ms), response.status_code, response.text, is_success)


def format_curl(url: str, request: str) -> str:
    """The shell command that makes a call again which was written down, once a token is put where it was left out."""
    method, _, rest = request.partition(" ")
    # Without --globoff curl makes something of brackets, and without --data-raw of an @ at the beginning.
    if method == "GET":
        return f"curl --globoff {shlex.quote(url + rest)}"
    path, _, body = rest.partition(" ")
    return f"curl --globoff {shlex.quote(url + path)} --data-raw {shlex.quote(body)}"
