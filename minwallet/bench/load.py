"""Bets from many connections at once, each of which sends the next bet when its last one is answered.

The load comes from the machine that is measured, so it must cost little: requests are put together from pieces that the
protocol built beforehand, answers are cut out of the bytes with one pattern, and only what they say is really read.
"""

import asyncio
import re
import time
from array import array
from collections.abc import Callable, Sequence
from itertools import count
from time import perf_counter
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from minwallet.ledger.commands import Bet
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call, WireProtocol

WARM_UP_S = 0.5
"""How long bets are made before they count."""

TIMEOUT_S = 30
"""How long the last answers may take."""

FIRST_ID = 10**12
"""All ids have as many digits as this one, so that all requests of a player are equally long."""

GAME = "1012"

_RESPONSE_HEAD = re.compile(
    rb"HTTP/1\.1 (\d{3})[^\r]*\r\n(?:[^\r]+\r\n)*?content-length: (\d+)\r\n(?:[^\r]+\r\n)*\r\n", re.I
)

MAX_RESPONSE_BYTES = 64 * 1024


class LoadFailed(Exception):
    """There is nothing to measure; the message says why."""


class LoadResult(NamedTuple):
    """What came of a load. `bets` are all that were answered, and the rest is about those that count.

    `cpu_share` is how much of one processor making the load took, from 0 to 1.
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
    report_progress: Callable[[float], None] = lambda done_s: None,
) -> LoadResult:
    """Bet for the bearers of these tokens in turn; LoadFailed unless each bet succeeds. `report_progress` gets the
    elapsed seconds, several times a second."""
    load = _LoadRun(load_protocol(protocol), url, tokens)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(load.run(connections, seconds, report_progress))


def _new_loop() -> asyncio.AbstractEventLoop:
    """The kind of loop that the server has."""
    try:
        import uvloop  # noqa: PLC0415 not every platform has it
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class _LoadRun:
    """All connections, and what they have come to know together."""

    def __init__(self, protocol: WireProtocol, url: str, tokens: Sequence[str]) -> None:
        self._protocol = protocol
        self._url = url
        self._request_parts = [_build_request_parts(protocol, url, token) for token in tokens]
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
            self.finished.cancel()  # what is closed from here on is no failure
            for transport, _ in made:
                transport.abort()
        return self._summarize(seconds, cpu_share)

    async def _measure(self, seconds: float, report_progress: Callable[[float], None]) -> float:
        """Until the last answer has come; how busy this process was while bets counted."""
        await self._sleep_until(self._measure_from)
        cpu_s = time.process_time()
        while (left := self._measure_until - perf_counter()) > 0:
            report_progress(seconds - left)
            await self._sleep_until(min(self._measure_until, perf_counter() + 0.25))
        cpu_s = time.process_time() - cpu_s
        report_progress(seconds)
        await asyncio.wait([self.finished], timeout=TIMEOUT_S)
        if not self.finished.done():
            raise LoadFailed(f"{self._unanswered} bets were not answered within {TIMEOUT_S} s")
        self.finished.result()
        return cpu_s / seconds

    async def _sleep_until(self, moment: float) -> None:
        """Unless the load fails before."""
        await asyncio.wait([self.finished], timeout=max(0.0, moment - perf_counter()))
        if self.finished.done():
            self.finished.result()

    def _summarize(self, seconds: float, cpu_share: float) -> LoadResult:
        if not self._latencies_s:
            raise LoadFailed(f"no bet was answered within {seconds:g} s")
        ordered = sorted(self._latencies_s)
        p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
        return LoadResult(self.bets, len(ordered) / seconds, p50, p99, cpu_share)

    def build_next_bet(self) -> bytes:
        number = next(self._ids)
        return str(number).encode().join(self._request_parts[number % len(self._request_parts)])

    def record_answer(self, status: bytes, body: bytes, sent_at: float) -> bool:
        """Whether the connection shall bet again."""
        now = perf_counter()
        if not self._is_success(status, body):
            self.fail(f"a bet was answered with HTTP status {status.decode()}: {body[:200].decode(errors='replace')}")
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
            return status == b"200" and self._protocol.parse_response(body).code == 0
        except ValueError:
            return False

    def fail(self, reason: str) -> None:
        """The first reason is the one that is told."""
        if not self.finished.done():
            self.finished.set_exception(LoadFailed(reason))


class _LoadConnection(asyncio.Protocol):
    """A connection that is kept, with one bet under way at a time."""

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
                self._load.fail(f"an answer makes no sense: {received[:200]!r}")
            return
        self._received = b""
        if self._load.record_answer(found[1], received[found.end() :], self._sent_at):
            self.send_bet()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.fail(f"the server closed a connection{f' ({error})' if error else ''}")


def _build_request_parts(protocol: WireProtocol, url: str, token: str) -> list[bytes]:
    """A bet's request, cut wherever its id belongs."""
    address = urlsplit(url)
    bet = Bet(str(FIRST_ID), 1, str(FIRST_ID), GAME)
    exchange = protocol.build_request(Call("bet", token, bet), time.time_ns() // 1_000_000)
    head = f"{exchange.method} {address.path}{exchange.target} HTTP/1.1\r\nhost: {address.netloc}\r\n"
    if exchange.body:
        head += f"content-type: application/json\r\ncontent-length: {len(exchange.body)}\r\n"
    return f"{head}\r\n{exchange.body.decode()}".encode().split(str(FIRST_ID).encode())
