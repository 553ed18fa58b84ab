"""Provider endpoints: connect HTTP, a wire protocol and the wallet.

The way of a call
=================

1. `precheck` looks at the connection and the head only: capacity (503), method (405), caller's address (403), length
   of the query (414). The method comes before everything that could move money. HEAD is not an alias of GET here.
2. `read_body` reads the body: 413 above the protocol's limit, also by the header Content-Length alone. A GET waits for
   its body's end too: until then the request is incomplete, and may turn out to be invalid.
3. `signatures.verify` checks the signature, if the protocol has one. It names the agent.
4. `protocol.parse` returns a Call or a Malformed. A malformed request gets the protocol's own error and HTTP status.
5. `wallet.execute` finds the account, and admits and decides the call. It returns after the commit of what it wrote.
6. A call with an unknown token or a wrong signature counts against the caller's address (429). This comes after the
   check, so calls with a known session and a right signature never get 429.
7. `protocol.render` makes the response from the outcome, once, outside any transaction.

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

A protocol's code runs guarded (`protocol_guard`), and not inside a transaction, so a bug in it costs one call. If it
comes after the commit, the retry finds the outcome. `journal` stores that the reply is missing.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from time import perf_counter
from typing import NamedTuple

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from minwallet.config import Settings
from minwallet.ledger.entries import Refusal
from minwallet.ledger.outcomes import Unauthenticated
from minwallet.ledger.time_units import MINUTE_MS
from minwallet.protocols.wire import Call, HttpRequest, HttpResponse, Malformed, WireProtocol, list_routes
from minwallet.storage.errors import DiskFull, StoreError
from minwallet.storage.models import SessionHolder
from minwallet.wallet.service import Unavailable, Wallet
from minwallet.web.gateway.access_log import AccessLog
from minwallet.web.gateway.asgi import AGENT_ID, ClientDisconnected, read_body, send_response
from minwallet.web.gateway.client_address import ClientAddresses
from minwallet.web.gateway.http_protocol import OVER_CAPACITY
from minwallet.web.gateway.outcome_texts import describe_outcome, find_compression, find_transaction_id
from minwallet.web.gateway.protocol_guard import (
    BUG_REPORT,
    build_headers,
    check_response,
    find_command_fault,
    run_guarded,
)
from minwallet.web.gateway.recent_calls import RecentCalls, RecordedCall
from minwallet.web.gateway.rendering import Rendering
from minwallet.web.gateway.signatures import MESSAGES, InvalidSignature, SignatureVerifier
from minwallet.web.gateway.unknown_token_limit import RETRY_AFTER_HEADER, UnknownTokenLimiter
from minwallet.web.metrics import UNKNOWN_OPERATION, CallRecorder

MAX_QUERY_BYTES = 2 * 1024

FAULT_LOG_INTERVAL_MS = MINUTE_MS
"""Minimum time between two log lines about the same fault."""

BUG_REASON = "a bug; the traceback is in the server's log"

MAX_REASON_LENGTH = 300
"""The longest reason, in characters. The text of a foreign protocol's error may be long."""

TOO_MANY_REQUESTS = 429

RATE_LIMITED = "temporarily unavailable: too many unknown tokens or wrong signatures came from this address"

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
        self.has_journal = settings.journal_days > 0
        self.signatures: SignatureVerifier | None = None
        if scheme := protocol.signature:
            find_secrets = wallet.protocol_secrets.find
            self.signatures = SignatureVerifier(protocol.name, scheme, find_secrets, wallet.clock_ms)
        self.prefix = settings.callback_prefix
        self.unknown_tokens = unknown_tokens
        self.access_log = access_log
        self.call_recorder = call_recorder
        self.recent_calls = recent_calls
        self.addresses = addresses
        self._last_fault, self._last_fault_at_ms = "", 0

    def routes(self, prefix: str, *, require_wallet_token: bool) -> list[Route]:
        """Return a route for each path of the protocol below `prefix`; see `list_routes` for the other argument."""
        operations: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for route in list_routes(self.protocol, require_wallet_token=require_wallet_token):
            operations[route.path][route.method] = route.operation
        return [
            Route(prefix + path, ProviderEndpoint(self, path, by_method), name=f"{self.protocol.name} {path}")
            for path, by_method in operations.items()
        ]

    async def handle(self, arrival: "Arrival") -> HttpResponse:
        """Verify, parse, execute and render a call. All that the response states is durable."""
        protocol, wallet, scope, record = self.protocol, self.wallet, arrival.scope, arrival.record
        request = record.request
        assert request is not None
        if self.signatures is not None:
            signature = run_guarded(self.signatures.verify, request, arrival.agent_id)
            if isinstance(signature, InvalidSignature):
                return self._reject_signature(arrival, signature)
            arrival.agent_id, record.signature = signature.agent_id, signature
        call = run_guarded(protocol.parse, request, record.operation)
        if isinstance(call, Call) and (fault := find_command_fault(call.command)):
            call = self._reject_command(call, fault)
        # Where the body names the operation, the caller can choose it. A log line and a label must not have its text.
        record.operation = call.operation if call.operation in self.operations else UNKNOWN_OPERATION
        if isinstance(call, Malformed):
            response = self._render_error(call)
            reason = find_compression(scope) or call.reason or call.message
            self._record_call(arrival, "malformed", reason[:MAX_REASON_LENGTH], response)
            return response
        record.transaction = find_transaction_id(call.command)
        record.call = call
        wallet_token = scope["path_params"].get("wallet_token")
        rendering = Rendering(protocol, call, request, record.signature, wallet.clock_ms, has_journal=self.has_journal)
        try:
            outcome, holder = await wallet.execute(
                call.token,
                call.command,
                protocol.name,
                ids_per_currency=protocol.ids_per_currency,
                wallet_token=wallet_token,
                agent_id=arrival.agent_id,
                player_id=call.player_id,
                currency=call.currency,
                on_committed=rendering.render,
            )
        except StoreError as fault:
            # This includes OutcomeUnknown and Unavailable. None of them may become a refusal.
            self._log_fault(fault)
            return self.render_failure(arrival, 503, "temporarily unavailable", str(fault)[:MAX_REASON_LENGTH])
        if isinstance(outcome, Unauthenticated) and self._is_rate_limited(arrival, outcome):
            return self.render_failure(arrival, TOO_MANY_REQUESTS, RATE_LIMITED)
        if rendering.journal_rows:
            wallet.add_to_journal(rendering.journal_rows)
        response = rendering.complete(holder, outcome)
        word, reason = describe_outcome(
            outcome, has_token=bool(call.token), is_of_agent=arrival.agent_id is not None or wallet_token is not None
        )
        if isinstance(outcome, Unauthenticated) and await self._is_unknown_wallet_token(scope):
            reason = "no agent has this wallet token"
        self._record_call(arrival, word, reason, response, holder)
        return response

    def _reject_command(self, call: Call, fault: str) -> Malformed:
        """Return the error for a command that the ledger cannot store."""
        # The code of a request that is too long: no retry makes it better.
        return Malformed(call.operation, run_guarded(self.protocol.error_code_for_status, 413), fault)

    def _reject_signature(self, arrival: "Arrival", invalid: InvalidSignature) -> HttpResponse:
        """Record a call whose signature is not right; return the protocol's error for it."""
        if self.unknown_tokens.exceeds(self.addresses.resolve(arrival.scope)):
            return self.render_failure(arrival, TOO_MANY_REQUESTS, RATE_LIMITED, invalid.reason)
        code = run_guarded(self.protocol.error_code_for_status, 401)
        response = self._render_error(Malformed(arrival.record.operation, code, MESSAGES[invalid.outcome]))
        # Anybody can send a wrong signature, so these calls must not displace those of the provider.
        self._record_call(arrival, invalid.outcome, invalid.reason, response, is_turned_away=True)
        return response

    def _is_rate_limited(self, arrival: "Arrival", outcome: Unauthenticated) -> bool:
        """Count an unknown token; return True if its address is over the limit.

        A call that names its player has a known session, or is from a known provider, so it guesses no token.
        """
        is_guess = outcome.refusal is Refusal.SESSION_UNKNOWN
        return is_guess and self.unknown_tokens.exceeds(self.addresses.resolve(arrival.scope))

    def _render_error(self, malformed: Malformed) -> HttpResponse:
        return check_response(run_guarded(self.protocol.render_error, malformed, self.wallet.clock_ms()))

    async def _is_unknown_wallet_token(self, scope: Scope) -> bool:
        """Return whether the path has a wallet token that no agent has."""
        wallet_token = scope["path_params"].get("wallet_token")
        if wallet_token is None:
            return False
        with suppress(StoreError):  # the call is decided, and only its reason is less exact
            return wallet_token not in {agent.wallet_token for agent in await self.wallet.store.accounts.list_agents()}
        return False

    def precheck(self, scope: Scope, methods: Collection[str]) -> Rejection | None:
        """Return the rejection of a call by its head alone, or None if the call may proceed."""
        if OVER_CAPACITY in scope:
            return Rejection(503, "temporarily unavailable", "too many connections")
        if scope["method"] not in methods:
            return Rejection(405, f"only {' and '.join(methods)} moves money here")
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

    def render_failure(self, arrival: "Arrival", status: int, message: str, reason: str = "") -> HttpResponse:
        """Record a call that gets an HTTP error; return the response in the protocol's shape.

        `reason` is for the operator, by default the provider's `message`.
        """
        try:
            code = run_guarded(self.protocol.error_code_for_status, status)
            response = self._render_error(Malformed(arrival.record.operation, code, message))._replace(status=status)
        except Exception:
            logger.exception(BUG_REPORT)
            response = HttpResponse(b"{}", status)
        self._record_call(arrival, f"http {status}", reason or message, response)
        return response

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
        self,
        arrival: "Arrival",
        outcome: str,
        reason: str,
        response: HttpResponse,
        holder: SessionHolder | None = None,
        *,
        is_turned_away: bool = False,
    ) -> None:
        """Add the call to the access log, to the recorded calls and to the metrics. `reason` is "" for a success."""
        scope, record = arrival.scope, arrival.record
        record.seconds = perf_counter() - arrival.started
        record.outcome, record.reason, record.reply = outcome, reason, response.body
        record.at_ms, record.address = self.wallet.clock_ms(), self.addresses.resolve(scope)
        if not record.operation:  # the body names it, and was not parsed
            record.operation = UNKNOWN_OPERATION
        # Without a session the wallet token in the path may be any text, such as a mistyped key. The token of a session
        # may be in any field then, not only where the protocol has it: without `call`, all texts are masked.
        if holder:
            record.player, record.agent_id = holder.player_id, holder.agent_id
            record.path = record.path.replace("{wallet_token}", holder.wallet_token)
        else:
            record.agent_id, record.call = arrival.agent_id, None
            # A caller without an allowed address is a stranger, whatever the call was rejected for. Calls with unknown
            # tokens beyond the limit would displace those of all other callers.
            is_stranger = bool(self.allowed_networks) and not self._is_allowed(scope)
            is_turned_away |= is_stranger or outcome == f"http {TOO_MANY_REQUESTS}"
        self.access_log.write(record)
        self.recent_calls.add(record, is_turned_away=is_turned_away)
        self.call_recorder(record.operation, outcome, record.seconds)


class Arrival:
    """One call on its way, with what is recorded of it at the end."""

    __slots__ = ("agent_id", "record", "scope", "started")

    def __init__(self, scope: Scope, record: RecordedCall) -> None:
        self.scope = scope
        self.agent_id: int | None = scope.get(AGENT_ID)
        """The agent that a callback key or a signature names. None for neither."""
        self.record = record
        self.started = perf_counter()


class ProviderEndpoint:
    """One path of a protocol, as an ASGI application. It answers every complete request."""

    def __init__(self, gateway: Gateway, path: str, operations: Mapping[str, str]) -> None:
        self._gateway = gateway
        self._path = path
        self._operations = operations
        self._first_operation = next(iter(operations.values()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        method = scope["method"]
        operation = self._operations.get(method, "") or self._first_operation
        arrival = Arrival(scope, RecordedCall(gateway.protocol, method, self._path, operation))
        max_body_bytes = gateway.protocol.max_body_bytes
        try:
            if rejection := gateway.precheck(scope, self._operations):
                response = gateway.render_failure(arrival, *rejection)
            # A GET's body is read too: before its end the request is incomplete, and may turn out to be invalid.
            elif (body := await read_body(scope, receive, max_body_bytes)) is None:
                response = gateway.render_failure(arrival, 413, f"the body is longer than {max_body_bytes} bytes")
            else:
                # Below an agent's callback key, the router has removed the key.
                path = scope["path"] if AGENT_ID in scope else scope["path"].removeprefix(gateway.prefix)
                arrival.record.request = HttpRequest(
                    method,
                    path,
                    scope["query_string"],
                    b"" if method == "GET" else body,
                    scope["headers"],
                    scope["path_params"],
                )
                response = await gateway.handle(arrival)
        except ClientDisconnected:
            return
        except Exception:
            # The money may have moved before the bug, so the answer is 503 and not a refusal.
            logger.exception(BUG_REPORT)
            response = gateway.render_failure(arrival, 503, "temporarily unavailable", BUG_REASON)
        headers = build_headers(response, self._operations, RETRY_AFTER_HEADER)
        await send_response(send, response.status, headers, response.body)
