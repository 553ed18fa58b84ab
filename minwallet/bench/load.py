"""The load generator: many connections, each of which sends its next bet when the reply to the last one arrives.

Theory of operation
-------------------

1. `_LoadRun.run` opens all connections. Each sends one bet (a closed loop, so the load never exceeds `connections`).
2. Bets of the first `WARM_UP_S` do not count. Then each reply until the end of the measurement counts, with its
   latency from the write of the request to the parsed reply.
3. After the end no connection bets again. The run waits for the outstanding replies, so that `LoadResult.bets` is the
   number of bets in the ledger, which the caller verifies.
4. The first error ends the run: any reply but a success, a closed connection, or no reply within `TIMEOUT_S`.

The generator runs on the machine that it measures, so it must use little processor time:

- The protocol builds one request a player, before the run. The generator splits it at its id and joins the parts with
  each new id. All ids have the same length, so the content length stays right.
- A signed request is signed for each bet, because the id, the time and the nonce are signed too. This costs the
  generator more time than all the rest.
- One regular expression finds the header and the length of a reply. Only the body is parsed, to check for success.
- An `asyncio.Protocol` writes to the transport directly, without streams or an HTTP library.

`LoadResult.cpu_share` says how much of a processor the generator used. Near 1, the generator was the limit.
"""

import asyncio
import re
import time
from array import array
from collections.abc import Callable, Sequence
from itertools import count
from time import perf_counter
from typing import NamedTuple, cast
from urllib.parse import SplitResult, urlsplit

from minwallet.ledger.commands import Bet
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call, HttpRequest, HttpResponse, WireProtocol

WARM_UP_S = 0.5
"""The time before bets count."""

TIMEOUT_S = 30
"""The maximum time for the last replies."""

FIRST_ID = 10**12
"""The first id. All ids have as many digits as this one, so that all requests of a player have the same length."""

ID_TEXT = str(FIRST_ID).encode()

GAME, CURRENCY = "1012", "USD"

_RESPONSE_HEAD = re.compile(
    rb"HTTP/1\.1 (\d{3})[^\r]*\r\n(?:[^\r]+\r\n)*?content-length: (\d+)\r\n(?:[^\r]+\r\n)*\r\n", re.I
)

MAX_RESPONSE_BYTES = 64 * 1024


class LoadFailed(Exception):
    """The measurement failed; the message says why."""


class LoadResult(NamedTuple):
    """The result of a load. `bets` counts all bets; the rates and latencies cover the measured time only.

    `cpu_share` is the share of one processor that the load generator used, from 0 to 1.
    """

    bets: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_share: float


def run_load(
    url: str,
    protocol: str,
    tokens: Sequence[str],
    *,
    connections: int,
    seconds: float,
    secret: str = "",
    report_progress: Callable[[float], None] = lambda done_s: None,
) -> LoadResult:
    """Bet with these tokens in turn and return the result. Raise LoadFailed unless each bet succeeds.

    Each token is also the id of its player, whose account is in CURRENCY. `secret` signs the requests, if the protocol
    signs them. `report_progress` gets the elapsed seconds, several times a second.
    """
    load = _LoadRun(load_protocol(protocol), url, tokens, secret)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(load.run(connections, seconds, report_progress))


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop of the kind that the server uses."""
    try:
        import uvloop  # noqa: PLC0415 some platforms do not have it
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class _LoadRun:
    """The state that all connections of a run share."""

    def __init__(self, protocol: WireProtocol, url: str, tokens: Sequence[str], secret: str) -> None:
        self._protocol = protocol
        self._url = url
        build = _SignedBets if protocol.signature else _UnsignedBets
        self._bets = build(protocol, urlsplit(url), tokens, secret)
        self._ids = count(FIRST_ID)
        self._unanswered = 0
        self._measure_from = self._measure_until = 0.0
        self._latencies_s = array("d")
        self.bets = 0

    async def run(self, connections: int, seconds: float, report_progress: Callable[[float], None]) -> LoadResult:
        loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[None] = loop.create_future()
        address = urlsplit(self._url)
        host, port = address.hostname or "", address.port or 80
        try:
            made = [await loop.create_connection(lambda: _LoadConnection(self), host, port) for _ in range(connections)]
        except OSError as error:
            raise LoadFailed(f"cannot connect to {self._url}: {error.strerror or error}") from error
        self._measure_from = perf_counter() + WARM_UP_S
        self._measure_until = self._measure_from + seconds
        self._unanswered = connections
        for _, connection in made:
            connection.send_bet()
        try:
            cpu_share = await self._measure(seconds, report_progress)
        finally:
            # Aborting calls `connection_lost`. A done future keeps that from counting as a failure.
            self.finished.cancel()
            for transport, _ in made:
                transport.abort()
        return self._summarize(seconds, cpu_share)

    async def _measure(self, seconds: float, report_progress: Callable[[float], None]) -> float:
        """Wait for the last reply. Return the share of a processor that this process used in the measured time."""
        await self._sleep_until(self._measure_from)
        cpu_s = time.process_time()
        while (left := self._measure_until - perf_counter()) > 0:
            report_progress(seconds - left)
            await self._sleep_until(min(self._measure_until, perf_counter() + 0.25))
        cpu_s = time.process_time() - cpu_s
        report_progress(seconds)
        await asyncio.wait([self.finished], timeout=TIMEOUT_S)
        if not self.finished.done():
            raise LoadFailed(f"no reply to {self._unanswered} bets within {TIMEOUT_S} s")
        self.finished.result()
        return cpu_s / seconds

    async def _sleep_until(self, moment: float) -> None:
        """Sleep until the moment. Raise LoadFailed as soon as the run fails."""
        await asyncio.wait([self.finished], timeout=max(0.0, moment - perf_counter()))
        if self.finished.done():
            self.finished.result()

    def _summarize(self, seconds: float, cpu_share: float) -> LoadResult:
        if not self._latencies_s:
            raise LoadFailed(f"no reply to any bet within {seconds:g} s")
        ordered = sorted(self._latencies_s)
        p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
        return LoadResult(self.bets, len(ordered) / seconds, p50, p99, cpu_share)

    def build_next_bet(self) -> bytes:
        return self._bets.build(next(self._ids))

    def record_answer(self, status: bytes, body: bytes, sent_at: float) -> bool:
        """Count the reply. Return True if the connection must bet again."""
        now = perf_counter()
        if not self._is_success(status, body):
            shown = body[:200].decode(errors="replace")
            self.fail(f"a bet failed with HTTP status {status.decode()}: {shown}")
        self.bets += 1
        if self._measure_from <= now < self._measure_until:
            self._latencies_s.append(now - sent_at)
        if now < self._measure_until and not self.finished.done():
            return True
        self._unanswered -= 1
        if not self._unanswered and not self.finished.done():
            self.finished.set_result(None)
        return False

    def _is_success(self, status: bytes, body: bytes) -> bool:
        try:
            return status < b"300" and self._protocol.parse_response(HttpResponse(body, int(status))).code == 0
        except Exception:
            # Most likely a reply that is not the protocol's. A bug of the protocol ends the run too.
            return False

    def fail(self, reason: str) -> None:
        """End the run with this reason. A later reason is ignored, because it may be a consequence of the first."""
        if not self.finished.done():
            self.finished.set_exception(LoadFailed(reason))


class _LoadConnection(asyncio.Protocol):
    """A persistent connection with one outstanding bet."""

    def __init__(self, load: _LoadRun) -> None:
        self._load = load
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send_bet(self) -> None:
        self._sent_at = perf_counter()
        self._transport.write(self._load.build_next_bet())

    def data_received(self, data: bytes) -> None:
        received = self._received + data
        found = _RESPONSE_HEAD.match(received)
        if found is None or len(received) < found.end() + int(found[2]):
            self._received = received
            if len(received) > MAX_RESPONSE_BYTES:
                self._load.fail(f"a reply cannot be parsed: {received[:200]!r}")
            return
        self._received = b""
        if self._load.record_answer(found[1], received[found.end() :], self._sent_at):
            self.send_bet()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.fail(f"the server closed a connection{f' ({error})' if error else ''}")


class _UnsignedBets:
    """The requests of new bets, built once for each player and split at the id."""

    def __init__(self, protocol: WireProtocol, address: SplitResult, tokens: Sequence[str], secret: str) -> None:
        del secret
        requests = _build_requests(protocol, tokens)
        self._parts = [_format_request(request, address).split(ID_TEXT) for request in requests]

    def build(self, number: int) -> bytes:
        """Return the HTTP request of the bet with this number as its id."""
        return str(number).encode().join(self._parts[number % len(self._parts)])


class _SignedBets:
    """The requests of new bets, each signed when it is sent."""

    def __init__(self, protocol: WireProtocol, address: SplitResult, tokens: Sequence[str], secret: str) -> None:
        assert protocol.signature is not None
        self._sign = protocol.signature.sign
        self._requests = _build_requests(protocol, tokens)
        self._address, self._secret = address, secret

    def build(self, number: int) -> bytes:
        """Return the HTTP request of the bet with this number as its id."""
        id_ = str(number)
        request = self._requests[number % len(self._requests)]
        renumbered = request._replace(
            path=request.path.replace(str(FIRST_ID), id_),
            query=request.query.replace(ID_TEXT, id_.encode()),
            body=request.body.replace(ID_TEXT, id_.encode()),
        )
        return _format_request(self._sign(renumbered, self._secret, time.time_ns() // 1_000_000), self._address)


def find_bet_operation(protocol: WireProtocol) -> str:
    """Return the protocol's name of a bet. Raise LoadFailed if it has none."""
    for operation, command in protocol.operations.items():
        if command is Bet:
            return operation
    raise LoadFailed(f"protocol '{protocol.name}' has no bet")


def _build_requests(protocol: WireProtocol, tokens: Sequence[str]) -> list[HttpRequest]:
    """Return a bet of each player, unsigned and with FIRST_ID as its id. Raise LoadFailed if this is not possible."""
    operation, bet = find_bet_operation(protocol), Bet(str(FIRST_ID), 1, str(FIRST_ID), GAME)
    now_ms = time.time_ns() // 1_000_000
    try:
        requests = [protocol.build_request(Call(operation, each, bet, each, CURRENCY), now_ms) for each in tokens]
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise LoadFailed(f"protocol '{protocol.name}' cannot build the call '{operation}': {reason}") from error
    if any(ID_TEXT not in request.target.encode() + request.body for request in requests):
        raise LoadFailed(f"protocol '{protocol.name}' encodes the id of a bet, so bets cannot be built fast enough")
    return requests


def _format_request(request: HttpRequest, address: SplitResult) -> bytes:
    """Return the request as it goes over the wire."""
    head = f"{request.method} {address.path}{request.target} HTTP/1.1\r\nhost: {address.netloc}\r\n".encode()
    headers = [*request.headers]
    if request.body:
        headers.append((b"content-length", str(len(request.body)).encode()))
    return head + b"".join([b"%b: %b\r\n" % header for header in headers]) + b"\r\n" + request.body
