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

PATIENCE_S = 30
"""How long the last answers may take."""

FIRST_ID = 10**12
"""All ids have as many digits as this one, so that all requests of a player are equally long."""

GAME = "1012"

_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3})[^\r]*\r\n(?:[^\r]+\r\n)*?content-length: (\d+)\r\n(?:[^\r]+\r\n)*\r\n", re.I)

LONGEST_ANSWER = 64 * 1024


class LoadFailed(Exception):
    """There is nothing to measure; the message says why."""


class Figures(NamedTuple):
    """What came of a load. `bets` are all that were answered, and the rest is about those that count.

    `busy` is how much of one processor making the load took, from 0 to 1.
    """

    bets: int
    per_second: float
    p50_ms: float
    p99_ms: float
    busy: float


def run(
    url: str,
    protocol: str,
    tokens: Sequence[str],
    *,
    connections: int,
    seconds: float,
    tell: Callable[[float], None] = lambda done_s: None,
) -> Figures:
    """Bet for the bearers of these tokens in turn; LoadFailed unless each bet succeeds. `tell` hears how long it has
    been going on, some times a second."""
    load = _Load(load_protocol(protocol), url, tokens)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(load.run(connections, seconds, tell))


def _new_loop() -> asyncio.AbstractEventLoop:
    """The kind of loop that the server has."""
    try:
        import uvloop  # noqa: PLC0415 not every platform has it
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class _Load:
    """All connections, and what they have come to know together."""

    def __init__(self, protocol: WireProtocol, url: str, tokens: Sequence[str]) -> None:
        self._protocol = protocol
        self._url = url
        self._pieces = [_pieces(protocol, url, token) for token in tokens]
        self._ids = count(FIRST_ID)
        self._waiting = 0
        self._counts_from = self._counts_until = 0.0
        self._seconds = array("d")
        self.bets = 0

    async def run(self, connections: int, seconds: float, tell: Callable[[float], None]) -> Figures:
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = loop.create_future()
        address = urlsplit(self._url)
        host, port = address.hostname or "", address.port or 80
        try:
            made = [await loop.create_connection(lambda: _Connection(self), host, port) for _ in range(connections)]
        except OSError as error:
            raise LoadFailed(f"cannot connect to {self._url}: {error.strerror or error}") from error
        self._counts_from = perf_counter() + WARM_UP_S
        self._counts_until = self._counts_from + seconds
        self._waiting = connections
        for _, connection in made:
            connection.bet()
        try:
            busy = await self._wait(seconds, tell)
        finally:
            self.over.cancel()  # what is closed from here on is no failure
            for transport, _ in made:
                transport.abort()
        return self._figures(seconds, busy)

    async def _wait(self, seconds: float, tell: Callable[[float], None]) -> float:
        """Until the last answer has come; how busy this process was while bets counted."""
        await self._rest_until(self._counts_from)
        worked = time.process_time()
        while (left := self._counts_until - perf_counter()) > 0:
            tell(seconds - left)
            await self._rest_until(min(self._counts_until, perf_counter() + 0.25))
        worked = time.process_time() - worked
        tell(seconds)
        await asyncio.wait([self.over], timeout=PATIENCE_S)
        if not self.over.done():
            raise LoadFailed(f"{self._waiting} bets were not answered within {PATIENCE_S} s")
        self.over.result()
        return worked / seconds

    async def _rest_until(self, moment: float) -> None:
        """Unless the load fails before."""
        await asyncio.wait([self.over], timeout=max(0.0, moment - perf_counter()))
        if self.over.done():
            self.over.result()

    def _figures(self, seconds: float, busy: float) -> Figures:
        if not self._seconds:
            raise LoadFailed(f"no bet was answered within {seconds:g} s")
        ordered = sorted(self._seconds)
        p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
        return Figures(self.bets, len(ordered) / seconds, p50, p99, busy)

    def next_bet(self) -> bytes:
        number = next(self._ids)
        return str(number).encode().join(self._pieces[number % len(self._pieces)])

    def answered(self, status: bytes, body: bytes, sent_at: float) -> bool:
        """Whether the connection shall bet again."""
        now = perf_counter()
        if not self._is_success(status, body):
            self.fail(f"a bet was answered with HTTP status {status.decode()}: {body[:200].decode(errors='replace')}")
        self.bets += 1
        if self._counts_from <= now < self._counts_until:
            self._seconds.append(now - sent_at)
        if now < self._counts_until and not self.over.done():
            return True
        self._waiting -= 1
        if not self._waiting and not self.over.done():
            self.over.set_result(None)
        return False

    def _is_success(self, status: bytes, body: bytes) -> bool:
        try:
            return status == b"200" and self._protocol.parse_response(body).code == 0
        except ValueError:
            return False

    def fail(self, why: str) -> None:
        """The first reason is the one that is told."""
        if not self.over.done():
            self.over.set_exception(LoadFailed(why))


class _Connection(asyncio.Protocol):
    """A connection that is kept, with one bet under way at a time."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def bet(self) -> None:
        self._sent_at = perf_counter()
        self._transport.write(self._load.next_bet())

    def data_received(self, data: bytes) -> None:
        received = self._received + data
        found = _ANSWER.match(received)
        if found is None or len(received) < found.end() + int(found[2]):
            self._received = received
            if len(received) > LONGEST_ANSWER:
                self._load.fail(f"an answer makes no sense: {received[:200]!r}")
            return
        self._received = b""
        if self._load.answered(found[1], received[found.end() :], self._sent_at):
            self.bet()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.fail(f"the server closed a connection{f' ({error})' if error else ''}")


def _pieces(protocol: WireProtocol, url: str, token: str) -> list[bytes]:
    """A bet's request, cut wherever its id belongs."""
    address = urlsplit(url)
    bet = Bet(str(FIRST_ID), 1, str(FIRST_ID), GAME)
    exchange = protocol.build_request(Call("bet", token, bet), time.time_ns() // 1_000_000)
    head = f"{exchange.method} {address.path}{exchange.target} HTTP/1.1\r\nhost: {address.netloc}\r\n"
    if exchange.body:
        head += f"content-type: application/json\r\ncontent-length: {len(exchange.body)}\r\n"
    return f"{head}\r\n{exchange.body.decode()}".encode().split(str(FIRST_ID).encode())
