"""The newest provider calls of this server, in memory: what a provider sent, what it got, and why.

The ledger and the journal have only the calls that made an entry. A provider that is being connected makes many others:
malformed, refused, with a wrong key, from a wrong address. This list has calls of all outcomes.

Rules
=====

1. Recording a call is one append. Request and reply are kept as bytes, and become texts when a person reads them.
2. No text contains a token, a key, a signature, a secret or a header. In a call with a known account, the protocol's
   `redact` replaces the token. Of any other request, `mask_values` shows names and numbers only. A path shows words of
   the protocol only.
3. Calls that were turned away at the door are in a list of their own: a wrong key, an unknown path, an address that is
   not allowed, too many unknown tokens, a wrong signature. Anybody can make these, so they must not displace the calls
   of the provider. A caller behind the door has the key or an allowed address, or neither is set.
4. The memory is bounded: MAX_CALLS and MAX_TURNED_AWAY calls, and MAX_TEXT_BYTES of each request and each reply. A
   longer request with a session becomes text immediately, because its token must not be cut in two before it is found.
   Every other one is cut first, so that a stranger's long request costs nothing.
"""

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from typing_extensions import TypedDict  # pydantic requires this one before Python 3.12

from minwallet.operations.timestamps import format_iso
from minwallet.protocols.wire import Call, HttpRequest, WireProtocol
from minwallet.web.gateway.protocol_guard import run_guarded
from minwallet.web.gateway.redaction import CUT_OFF, cut_off, hide_signature, mask_values
from minwallet.web.gateway.signatures import ValidSignature

MAX_CALLS, MAX_TURNED_AWAY = 2000, 500

MAX_TEXT_BYTES, MAX_ID_LENGTH = 2048, 64

CUT_OFF_BYTES = CUT_OFF.encode()
NOT_RENDERED = "(not shown: the protocol failed; the traceback is in the server's log)"

SUCCESSFUL_OUTCOMES = frozenset({"applied", "replayed", "shown", "orphan", "closed"})
"""The outcomes of calls that did what the provider asked for."""

RENDER_SLICE = 10
"""How many calls are rendered before other tasks get a turn; about 0.1 ms, 10 ms for the slowest requests."""

logger = logging.getLogger("minwallet")


class RecordedCall:
    """One provider call. The gateway fills it in on the way of the call, so that recording costs no second object.

    `protocol` is None for a path that no protocol has. `request` is None if it was not read. `call` is None if
    the request was not parsed, or no session was found for it. `agent_id` is None if neither a session nor a key names
    the agent. `signature` is the right signature of a signed call.
    """

    __slots__ = (
        "address",
        "agent_id",
        "at_ms",
        "body",
        "call",
        "method",
        "number",
        "operation",
        "outcome",
        "path",
        "player",
        "protocol",
        "query",
        "reason",
        "reply",
        "request",
        "request_text",
        "seconds",
        "signature",
        "transaction",
    )

    at_ms: int
    number: int
    agent_id: int | None
    outcome: str
    reason: str
    seconds: float
    address: str
    reply: bytes

    def __init__(self, protocol: WireProtocol | None, method: str, path: str, operation: str) -> None:
        self.protocol = protocol
        self.method = method
        self.path = path
        self.operation = operation
        self.player = self.transaction = ""
        self.signature: ValidSignature | None = None
        self.call: Call | None = None
        self.request: HttpRequest | None = None
        """The whole request on its way. Afterwards `query` and `body` have what is kept of it."""
        self.query = self.body = b""
        self.request_text = ""
        """The rendered request, once it is rendered."""


class ProviderCall(TypedDict):
    """A provider call. `player` and `id` are empty if unknown. `reason` is empty for a successful call. `ms` is the
    duration. `request` has no token. Where the wallet did not accept the request, it has names and numbers only.
    """

    at: str
    protocol: str
    operation: str
    player: str
    id: str
    outcome: str
    reason: str
    ms: float
    address: str
    request: str
    reply: str


class RecentCalls:
    """The newest calls of all protocols. `newest_number` counts all calls that were ever added."""

    def __init__(self) -> None:
        self._calls: deque[RecordedCall] = deque(maxlen=MAX_CALLS)
        self._turned_away: deque[RecordedCall] = deque(maxlen=MAX_TURNED_AWAY)
        self.newest_number = 0

    def add(self, call: RecordedCall, *, is_turned_away: bool = False) -> None:
        """Add a call. `is_turned_away` is true for one that anybody can make; see rule 3."""
        call.number = self.newest_number = self.newest_number + 1
        call.transaction = call.transaction[:MAX_ID_LENGTH]
        if len(call.reply) > MAX_TEXT_BYTES:
            call.reply = cut_off(call.reply, MAX_TEXT_BYTES).encode()
        if request := call.request:
            # Without the headers and the path, which may be long.
            call.query, call.body, call.request = request.query, request.body, None
            if len(call.query) > MAX_TEXT_BYTES or len(call.body) > MAX_TEXT_BYTES:
                _shorten(call)
        (self._turned_away if is_turned_away else self._calls).append(call)

    def read(
        self, limit: int, *, only_failed: bool = False, agent_id: int | None = None, after: int = 0
    ) -> list[RecordedCall]:
        """Return up to `limit` calls, newest first: those of this agent, or of all; those after this number."""
        found = (
            call
            for call in self._iterate_newest_first()
            if call.number > after
            and (agent_id is None or call.agent_id == agent_id)
            and (not only_failed or call.outcome not in SUCCESSFUL_OUTCOMES)
        )
        return list(islice(found, limit))

    def _iterate_newest_first(self) -> Iterator[RecordedCall]:
        return heapq.merge(
            reversed(self._calls), reversed(self._turned_away), key=lambda call: call.number, reverse=True
        )


async def render_calls(calls: Sequence[RecordedCall]) -> list[ProviderCall]:
    """Return the calls as documents. Let other tasks run in between, because a long list takes some ms."""
    documents = []
    for start in range(0, len(calls), RENDER_SLICE):
        documents += [_render_call(call) for call in calls[start : start + RENDER_SLICE]]
        await asyncio.sleep(0)
    return documents


def _render_call(call: RecordedCall) -> ProviderCall:
    return ProviderCall(
        at=format_iso(call.at_ms) or "",
        protocol=call.protocol.name if call.protocol else "unknown",
        operation=call.operation,
        player=call.player,
        id=call.transaction,
        outcome=call.outcome,
        reason=call.reason,
        ms=round(call.seconds * 1000, 2),
        address=call.address,
        request=call.request_text or _render_request(call),
        reply=call.reply.decode(errors="replace"),
    )


def _render_request(call: RecordedCall) -> str:
    """Return the request as one line, without its token."""
    head = f"{call.method} {call.path}"
    found = call.body or call.query
    if call.protocol is None or not found:
        return head
    if call.call is None:
        raw = found.removesuffix(CUT_OFF_BYTES)
        content = mask_values(raw, call.protocol.operations) + (CUT_OFF if len(raw) < len(found) else "")
        # A secret may be a number or the name of an operation.
        content = hide_signature(call.signature, content) if call.signature else content
    else:
        try:
            request = HttpRequest(call.method, call.path, call.query, call.body)
            redacted = run_guarded(call.protocol.redact, call.call, request, call.at_ms)
            content = hide_signature(call.signature, redacted) if call.signature else redacted
        except Exception:
            logger.exception("a provider call cannot be shown because of a bug; please report this traceback")
            content = NOT_RENDERED
    return f"{head}{' ' if call.body else '?'}{' '.join(content.splitlines())}"


def _shorten(call: RecordedCall) -> None:
    """Replace a long request by the beginning of its text, or of its bytes; see rule 4."""
    if call.call:
        call.request_text = cut_off(_render_request(call).encode(errors="replace"), MAX_TEXT_BYTES)
        call.query, call.body, call.call = b"", b"", None
        return
    # Without the last number: it may be a part of one that is too long to be shown.
    query, body = (raw[:MAX_TEXT_BYTES].rstrip(b"+-.0123456789") + CUT_OFF_BYTES for raw in (call.query, call.body))
    call.query, call.body = (b"", body) if call.body else (query, b"")
