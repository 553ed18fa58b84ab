"""Starlette on one side, a wire protocol on the other: method, caller and size first, then parse, execute, render.

An endpoint is a plain ASGI application, so that a call costs no more than it must. What is not certain is 503 and never
a refusal: the provider asks again, and finds the truth.
"""

import logging
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from time import perf_counter

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from minwallet.config import Settings
from minwallet.ledger.commands import Query
from minwallet.ledger.outcomes import Applied, BalanceShown, Outcome, Refused, Replayed, SessionUnknown
from minwallet.protocols.wire import AccountHolder, Call, Malformed, WireProtocol
from minwallet.storage.errors import DiskFull, StoreError
from minwallet.wallet.service import Unavailable, Wallet
from minwallet.web.access import AccessLog
from minwallet.web.connection import CROWDED
from minwallet.web.metrics import Meter
from minwallet.web.strangers import RETRY_AFTER, Strangers
from minwallet.web.wire import ClientGone, read_whole, send_whole

LONGEST_BODY, LONGEST_QUERY = 8 * 1024, 2 * 1024

MINUTE_MS = 60_000

HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]

HELD_UP = "temporarily unavailable: too many unknown tokens came from this address"

logger = logging.getLogger("minwallet")


class Gateway:
    """The endpoints of one protocol."""

    def __init__(
        self,
        protocol: WireProtocol,
        wallet: Wallet,
        settings: Settings,
        strangers: Strangers,
        *,
        log: AccessLog,
        meter: Meter,
    ) -> None:
        self.protocol = protocol
        self.wallet = wallet
        self.allowed = settings.callback_allow
        self.keeps_journal = settings.journal_days > 0
        self.prefix = settings.callback_prefix
        self.strangers = strangers
        self.log = log
        self.meter = meter
        self._said, self._said_at_ms = "", 0

    def routes(self) -> list[Route]:
        """A route for each path of the protocol, below the callback key if there is one."""
        return [
            Route(self.prefix + path, _Endpoint(self, operation), name=f"{self.protocol.name} {path}")
            for path, operation in self.protocol.routes.items()
        ]

    async def read(self, scope: Scope, receive: Receive) -> bytes | None:
        """What the protocol parses: the query of a GET, the body of a POST; None for a body that is too long.

        A GET's body says nothing, but before its end the request is not whole, and may turn out to be none.
        """
        body = await read_whole(receive, LONGEST_BODY)
        if body is None or self.protocol.method == "POST":
            return body
        query: bytes = scope["query_string"]
        return query

    async def carry_out(self, operation: str, raw: bytes, scope: Scope, started: float) -> tuple[int, bytes]:
        """The HTTP status and the body, once everything they speak of is durable."""
        protocol, wallet = self.protocol, self.wallet
        call = protocol.parse(operation, raw)
        if isinstance(call, Malformed):
            self._note(call.operation, "malformed", started)
            return 200, protocol.render_error(call, wallet.clock_ms())
        letters = None
        if self.keeps_journal and not isinstance(call.command, Query):
            letters = _Letters(protocol, scope["path"].removeprefix(self.prefix), call, raw, wallet.clock_ms)
        try:
            outcome, bearer = await wallet.execute(
                call.token,
                call.command,
                protocol.name,
                ids_per_currency=protocol.ids_per_currency,
                wallet_token=scope["path_params"].get("wallet_token"),
                journal=letters,
            )
        except StoreError as fault:
            self._complain_of(fault)
            return self.fail(call.operation, 503, "temporarily unavailable", started)
        if isinstance(outcome, SessionUnknown) and await self.strangers.is_one_too_many(scope):
            return self.fail(call.operation, 429, HELD_UP, started)
        if letters and letters.outcome is outcome:
            body = letters.reply
        else:
            holder = AccountHolder(bearer.player_id, bearer.currency) if bearer else None
            body = protocol.render(call, outcome, holder, wallet.clock_ms())
        player = bearer.player_id if bearer else ""
        self._note(call.operation, _word(outcome), started, player, _id(call))
        return 200, body

    def object_to(self, scope: Scope) -> tuple[int, str] | None:
        """What is wrong with the request before its content is looked at."""
        if CROWDED in scope:
            return 503, "temporarily unavailable"
        if scope["method"] != self.protocol.method:
            return 405, f"only {self.protocol.method} moves money here"
        if self.allowed and not self._is_allowed(scope):
            return 403, "this address may not call"
        if len(scope["query_string"]) > LONGEST_QUERY:
            return 414, f"the query is longer than {LONGEST_QUERY} bytes"
        return None

    def _is_allowed(self, scope: Scope) -> bool:
        try:
            address = ip_address(scope["client"][0])
        except (TypeError, ValueError):
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self.allowed)

    def fail(self, operation: str, status: int, message: str, started: float) -> tuple[int, bytes]:
        self._note(operation, f"http {status}", started)
        complaint = Malformed(operation, self.protocol.error_code_for_status(status), message)
        return status, self.protocol.render_error(complaint, self.wallet.clock_ms())

    def _complain_of(self, fault: StoreError) -> None:
        """Once a minute, however many calls meet it; what the server says elsewhere is not said here."""
        if fault.is_logged or fault is self.wallet.store.failure or isinstance(fault, (Unavailable, DiskFull)):
            return
        fault.is_logged = True
        words, now_ms = str(fault), self.wallet.clock_ms()
        if words != self._said or now_ms - self._said_at_ms > MINUTE_MS:
            self._said, self._said_at_ms = words, now_ms
            logger.error("%s", words)

    def _note(self, operation: str, outcome: str, started: float, player: str = "", transaction: str = "") -> None:
        seconds = perf_counter() - started
        self.log.write(operation, player, transaction, outcome, seconds)
        self.meter(operation, outcome, seconds)


class _Letters:
    """Writes a call's letters down when it is decided, in the transaction that makes its row; so the reply that is sent
    is the one that was kept."""

    __slots__ = ("_call", "_clock_ms", "_path", "_protocol", "_raw", "outcome", "reply")

    def __init__(self, protocol: WireProtocol, path: str, call: Call, raw: bytes, clock_ms: Callable[[], int]) -> None:
        self._protocol = protocol
        self._path = path
        self._call = call
        self._raw = raw
        self._clock_ms = clock_ms
        self.outcome: Outcome | None = None
        self.reply = b""

    def __call__(self, outcome: Outcome) -> tuple[str, str]:
        protocol, now_ms = self._protocol, self._clock_ms()
        self.outcome = outcome
        self.reply = reply = protocol.render(self._call, outcome, None, now_ms)
        said = protocol.redact(self._call, self._raw, now_ms)
        joint = "?" if protocol.method == "GET" else " "
        return f"{protocol.method} {self._path}{joint}{said}", reply.decode()


class _Endpoint:
    """One path of a protocol, as an ASGI application."""

    def __init__(self, gateway: Gateway, operation: str) -> None:
        self._gateway = gateway
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway, operation, started = self._gateway, self._operation, perf_counter()
        try:
            if objection := gateway.object_to(scope):
                status, body = gateway.fail(operation, *objection, started)
            elif (raw := await gateway.read(scope, receive)) is None:
                status, body = gateway.fail(operation, 413, f"the body is longer than {LONGEST_BODY} bytes", started)
            else:
                status, body = await gateway.carry_out(operation, raw, scope, started)
        except ClientGone:
            return
        except Exception:
            logger.exception("a call could not be answered; please report this as a bug")
            status, body = gateway.fail(operation, 503, "temporarily unavailable", started)
        headers = HEADERS
        if status == 405:
            headers = [*HEADERS, (b"allow", gateway.protocol.method.encode())]
        elif status == 429:
            headers = [*HEADERS, RETRY_AFTER]
        await send_whole(send, status, headers, body)


def _id(call: Call) -> str:
    return "" if isinstance(call.command, Query) else call.command.id


def _word(outcome: Outcome | SessionUnknown) -> str:
    """The outcome in one word, for the log."""
    match outcome:
        case Applied():
            return str(outcome.entry.state)
        case BalanceShown():
            return "shown"
        case Replayed():
            return "replayed"
        case Refused(refusal) | SessionUnknown(refusal):
            return str(refusal)
