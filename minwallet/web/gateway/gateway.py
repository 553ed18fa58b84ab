"""Provider endpoints: connect HTTP, a wire protocol and the wallet.

The way of a call
=================

1. `precheck` looks at the connection and the head only: capacity (503), method (405), caller's address (403), length
   of the query (414). The method comes before everything that could move money. HEAD is not an alias of GET here.
2. `read_call` reads the body (413 above 8 KiB, also by the header Content-Length alone). A vela call waits for its
   body's end too: until then the request is incomplete, and may turn out to be invalid.
3. `protocol.parse` returns a Call or a Malformed. A malformed request gets the protocol's error with HTTP 200.
4. `wallet.execute` admits and decides the call. It returns after the commit of what the call wrote.
5. A call with an unknown token counts against the caller's address (429). This comes after the execution, so calls
   with a known session never get 429.
6. `protocol.render` makes the body from the outcome.

Each call that gets an answer makes one line in the access log, one of the recorded calls and one count in the metrics,
rejected calls too. A client that leaves before its request is complete makes none of them.

The 503 rules
=============

A refusal tells the provider that nothing was moved, and that a retry is useless. So it is sent only if that is certain:
the request was rejected before its execution, or the wallet decided so. Every other failure is 503, with the protocol's
code for "temporarily unavailable":

- too many connections, or too many calls in flight, in total or of the player;
- a new bet while the disk is nearly full;
- a fault of the store, including a commit whose outcome is unknown;
- a bug: an exception in this module or in a protocol.

The provider retries, and the id of the transaction leads to the true outcome.

The journal
===========

If the journal is on, a call that writes a ledger row also stores its redacted request and its reply, in the same
transaction. `JournalWriter` renders that reply inside the transaction, and the endpoint sends exactly these bytes. A
retry writes no row, so its reply is rendered afterwards and is not stored.

The transaction has the commands of many players, so no exception of a protocol may leave it. If `render` or `redact`
fails, the row is written with the journal record UNRECORDED, and the reply is rendered after the commit. Only if that
fails too, the call gets 503.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from time import perf_counter
from typing import NamedTuple

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from minwallet.config import Settings
from minwallet.ledger.commands import Query
from minwallet.ledger.outcomes import Outcome, SessionUnknown
from minwallet.ledger.time_units import MINUTE_MS
from minwallet.protocols.wire import AccountHolder, Call, Malformed, WireProtocol, list_routes
from minwallet.storage.errors import DiskFull, StoreError
from minwallet.storage.models import SessionHolder
from minwallet.wallet.service import Unavailable, Wallet
from minwallet.web.gateway.access_log import AccessLog
from minwallet.web.gateway.asgi import AGENT_ID, ClientDisconnected, read_body, send_response
from minwallet.web.gateway.client_address import ClientAddresses
from minwallet.web.gateway.http_protocol import OVER_CAPACITY
from minwallet.web.gateway.outcome_texts import describe_outcome, find_compression
from minwallet.web.gateway.recent_calls import RecentCalls, RecordedCall
from minwallet.web.gateway.unknown_token_limit import RETRY_AFTER_HEADER, UnknownTokenLimiter
from minwallet.web.metrics import UNKNOWN_OPERATION, CallRecorder

MAX_BODY_BYTES, MAX_QUERY_BYTES = 8 * 1024, 2 * 1024

FAULT_LOG_INTERVAL_MS = MINUTE_MS
"""Minimum time between two log lines about the same fault."""

JSON_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]

UNRECORDED = "not recorded: the protocol failed; the traceback is in the server's log"
"""Request and reply in the journal if a bug of the protocol prevented the record."""

BUG_REPORT = "a provider call failed because of a bug; please report this traceback"

BUG_REASON = "a bug; the traceback is in the server's log"

MAX_REASON_LENGTH = 300
"""The longest reason, in characters. The text of a foreign protocol's error may be long."""

TOO_MANY_REQUESTS = 429

RATE_LIMITED = "temporarily unavailable: too many unknown tokens came from this address"

logger = logging.getLogger("minwallet")


class Rejection(NamedTuple):
    """An HTTP error for a call: the status, the message for the provider, and the reason for the operator.

    The reason "" stands for the message.
    """

    status: int
    message: str
    reason: str = ""


class Gateway:
    """The provider endpoints of one protocol, with what they share."""

    def __init__(
        self,
        protocol: WireProtocol,
        wallet: Wallet,
        settings: Settings,
        unknown_tokens: UnknownTokenLimiter,
        *,
        access_log: AccessLog,
        call_recorder: CallRecorder,
        recent_calls: RecentCalls,
        addresses: ClientAddresses,
    ) -> None:
        self.protocol = protocol
        self.operations = frozenset(protocol.operations)
        self.wallet = wallet
        self.allowed_networks = settings.callback_allow
        self.is_journal_enabled = settings.journal_days > 0
        self.prefix = settings.callback_prefix
        self.unknown_tokens = unknown_tokens
        self.access_log = access_log
        self.call_recorder = call_recorder
        self.recent_calls = recent_calls
        self.addresses = addresses
        self._last_fault, self._last_fault_at_ms = "", 0

    def routes(self, prefix: str, *, require_wallet_token: bool) -> list[Route]:
        """Return a route for each path of the protocol below `prefix`; see `list_routes` for the other argument."""
        return [
            Route(prefix + path, ProviderEndpoint(self, path, operation), name=f"{self.protocol.name} {path}")
            for path, operation in list_routes(self.protocol, require_wallet_token=require_wallet_token).items()
        ]

    async def read_call(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the bytes to parse: the query of a GET, the body of a POST. Return None if the body is too long.

        A GET's body is read and ignored: before its end the request is incomplete, and may turn out to be invalid.
        Raise ClientDisconnected if the client leaves before the end of the body.
        """
        body = await read_body(scope, receive, MAX_BODY_BYTES)
        if body is None or self.protocol.method == "POST":
            return body
        query: bytes = scope["query_string"]
        return query

    async def handle(self, arrival: "Arrival") -> tuple[int, bytes]:
        """Parse, execute and render a call; return the HTTP status and the body. All that they state is durable."""
        protocol, wallet, scope, record = self.protocol, self.wallet, arrival.scope, arrival.record
        call = protocol.parse(record.operation, record.raw)
        record.operation = call.operation
        if isinstance(call, Malformed):
            body = protocol.render_error(call, wallet.clock_ms())
            reason = find_compression(scope) or call.reason or call.message
            self._record_call(arrival, "malformed", reason[:MAX_REASON_LENGTH], body)
            return 200, body
        record.call = call
        journal_writer = None
        if self.is_journal_enabled and not isinstance(call.command, Query):
            # Below an agent's callback key, the router has removed the key.
            path = scope["path"] if AGENT_ID in scope else scope["path"].removeprefix(self.prefix)
            journal_writer = JournalWriter(protocol, path, call, record.raw, wallet.clock_ms)
        try:
            outcome, session_holder = await wallet.execute(
                call.token,
                call.command,
                protocol.name,
                ids_per_currency=protocol.ids_per_currency,
                wallet_token=scope["path_params"].get("wallet_token"),
                agent_id=scope.get(AGENT_ID),
                journal=journal_writer,
            )
        except StoreError as fault:
            # This includes OutcomeUnknown and Unavailable. None of them may become a refusal.
            self._log_fault(fault)
            return self.render_failure(arrival, 503, "temporarily unavailable", str(fault)[:MAX_REASON_LENGTH])
        if isinstance(outcome, SessionUnknown) and self.unknown_tokens.exceeds(self.addresses.resolve(scope)):
            return self.render_failure(arrival, TOO_MANY_REQUESTS, RATE_LIMITED)
        if journal_writer and journal_writer.outcome is outcome:
            # Send the stored bytes. The identity check excludes a retry, whose outcome made no row.
            body = journal_writer.reply
        else:
            account_holder = (
                AccountHolder(session_holder.player_id, session_holder.currency) if session_holder else None
            )
            body = protocol.render(call, outcome, account_holder, wallet.clock_ms())
            assert isinstance(body, bytes), f"{protocol.name} rendered {type(body)}"
            if journal_writer and journal_writer.fault:
                logger.error("a call was not recorded in the journal because of a bug", exc_info=journal_writer.fault)
        word, reason = describe_outcome(outcome, scope)
        if isinstance(outcome, SessionUnknown) and await self._is_unknown_wallet_token(scope):
            reason = "no agent has this wallet token"
        self._record_call(arrival, word, reason, body, session_holder)
        return 200, body

    async def _is_unknown_wallet_token(self, scope: Scope) -> bool:
        """Return whether the path has a wallet token that no agent has."""
        wallet_token = scope["path_params"].get("wallet_token")
        if wallet_token is None:
            return False
        with suppress(StoreError):  # the call is decided, and only its reason is less exact
            return wallet_token not in {agent.wallet_token for agent in await self.wallet.store.accounts.list_agents()}
        return False

    def precheck(self, scope: Scope) -> Rejection | None:
        """Return the rejection of a call by its head alone, or None if the call may proceed."""
        if OVER_CAPACITY in scope:
            return Rejection(503, "temporarily unavailable", "too many connections")
        if scope["method"] != self.protocol.method:
            return Rejection(405, f"only {self.protocol.method} moves money here")
        if self.allowed_networks and not self._is_allowed(scope):
            address = self.addresses.resolve(scope)
            reason = f"this address is not in MINWALLET_CALLBACK_ALLOW; to allow it, add {address}"
            if self.addresses.has_invalid_header(scope):
                reason = f"invalid X-Forwarded-For from the proxy {address}: expected an IP address"
            return Rejection(403, "this address may not call", reason)
        if len(scope["query_string"]) > MAX_QUERY_BYTES:
            return Rejection(414, f"the query is longer than {MAX_QUERY_BYTES} bytes")
        return None

    def _is_allowed(self, scope: Scope) -> bool:
        try:
            address = ip_address(self.addresses.resolve(scope))
        except ValueError:
            return False
        if self.addresses.has_invalid_header(scope):
            return False
        # A listener on `::` sees IPv4 clients as ::ffff:a.b.c.d, and the allow list names them as a.b.c.d.
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self.allowed_networks)

    def render_failure(self, arrival: "Arrival", status: int, message: str, reason: str = "") -> tuple[int, bytes]:
        """Record a call that gets an HTTP error; return the status and the body in the protocol's shape.

        `reason` is for the operator, by default the provider's `message`.
        """
        try:
            malformed = Malformed(arrival.record.operation, self.protocol.error_code_for_status(status), message)
            body = self.protocol.render_error(malformed, self.wallet.clock_ms())
        except Exception:
            logger.exception(BUG_REPORT)
            body = b"{}"
        self._record_call(arrival, f"http {status}", reason or message, body)
        return status, body

    def _log_fault(self, fault: StoreError) -> None:
        """Log a fault of the store, up to once a minute for the same message.

        Skip a fault that is already logged elsewhere: the store's failure that stops the server, low disk space, and
        overload. Many calls of one batch may share one fault object.
        """
        if fault.is_logged or fault is self.wallet.store.failure or isinstance(fault, (Unavailable, DiskFull)):
            return
        fault.is_logged = True
        message, now_ms = str(fault), self.wallet.clock_ms()
        if message != self._last_fault or now_ms - self._last_fault_at_ms > FAULT_LOG_INTERVAL_MS:
            self._last_fault, self._last_fault_at_ms = message, now_ms
            logger.error("%s", message)

    def _record_call(
        self, arrival: "Arrival", outcome: str, reason: str, reply: bytes, holder: SessionHolder | None = None
    ) -> None:
        """Add the call to the access log, to the recorded calls and to the metrics. `reason` is "" for a success."""
        scope, record = arrival.scope, arrival.record
        record.seconds = perf_counter() - arrival.started
        record.outcome, record.reason, record.reply = outcome, reason, reply
        record.at_ms, record.address = self.wallet.clock_ms(), self.addresses.resolve(scope)
        # Where the body names the operation, the caller can choose it. A log line and a label must not have its text.
        if record.operation not in self.operations:
            record.operation = UNKNOWN_OPERATION
        call = record.call
        record.transaction = "" if call is None or isinstance(call.command, Query) else call.command.id
        # Without a session the wallet token in the path may be any text, such as a mistyped key. The token of a session
        # may be in any field then, not only where the protocol has it: without `call`, all texts are masked.
        if holder:
            record.player, record.agent_id = holder.player_id, holder.agent_id
            record.path = record.path.replace("{wallet_token}", holder.wallet_token)
            is_turned_away = False
        else:
            record.agent_id, record.call = scope.get(AGENT_ID), None
            # A caller without an allowed address is a stranger, whatever the call was rejected for. Calls with unknown
            # tokens beyond the limit would displace those of all other callers.
            is_stranger = bool(self.allowed_networks) and not self._is_allowed(scope)
            is_turned_away = is_stranger or outcome == f"http {TOO_MANY_REQUESTS}"
        self.access_log.write(record)
        self.recent_calls.add(record, is_turned_away=is_turned_away)
        self.call_recorder(record.operation, outcome, record.seconds)


class Arrival:
    """One call on its way, with what is recorded of it at the end."""

    __slots__ = ("record", "scope", "started")

    def __init__(self, scope: Scope, record: RecordedCall) -> None:
        self.scope = scope
        self.record = record
        self.started = perf_counter()


class JournalWriter:
    """Callback that makes the journal's request and reply of one call, inside the transaction that writes its row.

    `outcome` and `reply` remember what was stored, so that the same reply is sent. `fault` is the exception of the
    protocol that prevented the record. It does not leave the transaction.
    """

    __slots__ = ("_call", "_clock_ms", "_path", "_protocol", "_raw", "fault", "outcome", "reply")

    def __init__(self, protocol: WireProtocol, path: str, call: Call, raw: bytes, clock_ms: Callable[[], int]) -> None:
        self._protocol = protocol
        self._path = path
        self._call = call
        self._raw = raw
        self._clock_ms = clock_ms
        self.outcome: Outcome | None = None
        self.reply = b""
        self.fault: BaseException | None = None

    def __call__(self, outcome: Outcome) -> tuple[str, str]:
        """Return the request without its token, as one line, and the reply."""
        protocol, now_ms = self._protocol, self._clock_ms()
        self.fault = self.outcome = None  # a batch may be applied again
        try:
            reply = protocol.render(self._call, outcome, None, now_ms)
            redacted = protocol.redact(self._call, self._raw, now_ms)
            separator = "?" if protocol.method == "GET" else " "
            record = f"{protocol.method} {self._path}{separator}{redacted}", reply.decode()
            record[0].encode()  # SQLite cannot store a lone surrogate
        except BaseException as fault:  # on the writer's thread no signal raises, only the protocol
            self.fault = fault
            return UNRECORDED, UNRECORDED
        self.outcome, self.reply = outcome, reply
        return record


class ProviderEndpoint:
    """One path of a protocol, as an ASGI application. It answers every complete request."""

    def __init__(self, gateway: Gateway, path: str, operation: str) -> None:
        self._gateway = gateway
        self._path = path
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        arrival = Arrival(scope, RecordedCall(gateway.protocol, scope["method"], self._path, self._operation))
        try:
            if rejection := gateway.precheck(scope):
                status, body = gateway.render_failure(arrival, *rejection)
            elif (raw := await gateway.read_call(scope, receive)) is None:
                status, body = gateway.render_failure(arrival, 413, f"the body is longer than {MAX_BODY_BYTES} bytes")
            else:
                arrival.record.raw = raw
                status, body = await gateway.handle(arrival)
        except ClientDisconnected:
            return
        except Exception:
            # The money may have moved before the bug, so the answer is 503 and not a refusal.
            logger.exception(BUG_REPORT)
            status, body = gateway.render_failure(arrival, 503, "temporarily unavailable", BUG_REASON)
        headers = JSON_HEADERS
        if status == 405:
            headers = [*JSON_HEADERS, (b"allow", gateway.protocol.method.encode())]
        elif status == TOO_MANY_REQUESTS:
            headers = [*JSON_HEADERS, RETRY_AFTER_HEADER]
        await send_response(send, status, headers, body)
