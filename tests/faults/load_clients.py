"""Providers that continue whatever happens to the wallet: calls without an answer are repeated or cancelled.

Each client has one call in flight at a time, and a few players that it shares with the next client, so that players,
rounds and ids collide. All calls are in one history, which a checker compares with the file.
"""

import asyncio
import random
import re
import time
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from itertools import count
from typing import NamedTuple
from urllib.parse import urlsplit

from minwallet.ledger.commands import Authenticate, Balance, Bet, BetWin, Cancel, Command, Group, Rollback, Settle, Win
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import JSON_MEDIA_TYPE, Call, HttpRequest, HttpResponse, WireProtocol
from tests.faults.history import Attempt, History, monotonic_s
from tests.orbit_package import SECRET, load_orbit

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)

GAME = "1012"


class NoResponse(Exception):
    """The connection failed or ended before the answer was complete."""


class SeededPlayer(NamedTuple):
    """A player in one currency, with the token of a session without an expiry."""

    player: str
    token: str
    currency: str = "USD"
    agent: str = "default"


class HttpConnection:
    """A persistent connection to a server, opened when needed. `port` is the local port of the newest connection. It
    waits for an answer up to `timeout_s`, or without a limit."""

    def __init__(self, url: str, timeout_s: float | None = None) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.port = 0

    async def request(self, exchange: HttpRequest) -> tuple[int, bytes]:
        """Send a request, and return status and body. Raise NoResponse if there is no answer; the next call then
        opens a new connection."""
        head, body = await self.send_raw(encode_request(exchange))
        return int(head[9:12]), body

    async def send_raw(self, request: bytes) -> tuple[bytes, bytes]:
        """Send these bytes, and return the head and the body of the answer. Raise NoResponse if there is none."""
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._streams is None:
                    self._streams = await connect(self.url)
                    self.port = self._streams[1].get_extra_info("sockname")[1]
                self._streams[1].write(request)
                head, body = await read_message(self._streams[0])
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise NoResponse(str(error)) from error
        except BaseException:
            # The next call must not get the answer to this one.
            self.close()
            raise
        if b"\r\nconnection: close" in head.lower():
            self.close()
        return head, body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a new connection to the server."""
    address = urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port)


async def read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the body of a request or an answer. Raise IncompleteReadError if the stream ends before."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = CONTENT_LENGTH.search(head)
    return head, await reader.readexactly(int(length[1])) if length else b""


def encode_request(exchange: HttpRequest) -> bytes:
    """Return the bytes of the request."""
    head = f"{exchange.method} {exchange.target} HTTP/1.1\r\nhost: wallet\r\n"
    headers = dict(exchange.headers)
    if exchange.body:
        headers = {b"content-type": JSON_MEDIA_TYPE.encode(), b"content-length": b"%d" % len(exchange.body)} | headers
    head += "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in headers.items())
    return f"{head}\r\n".encode() + exchange.body


class PlannedCall(NamedTuple):
    """A call with its player and protocol."""

    player: SeededPlayer
    protocol: str
    operation: str
    command: Command

    @property
    def exchange(self) -> HttpRequest:
        player, protocol = self.player, find_protocol(self.protocol)
        token = "" if isinstance(self.command, Win | Rollback | Group) and protocol.signature else player.token
        call = Call(self.operation, token, self.command, player.player, player.currency)
        request = protocol.build_request(call, 0)
        return protocol.signature.sign(request, SECRET, time.time_ns() // 10**6) if protocol.signature else request

    def to_attempts(self, sent_at: float, status: int = 0, body: bytes = b"") -> list[Attempt]:
        """Return the attempt of each command of the call. Only the last one has the balances of the answer."""
        commands = self.command.commands if isinstance(self.command, Group) else (self.command,)
        *others, last = (self._replace(command=each).to_attempt(sent_at, status, body) for each in commands)
        return [*(each._replace(balance=None, balance2=None) for each in others), last]

    def to_attempt(self, sent_at: float, status: int = 0, body: bytes = b"") -> Attempt:
        """Return the attempt with its result. Status 0 is no answer, and 503 leaves the outcome open."""
        of = self.command._asdict()
        said = Attempt(
            sent_at,
            monotonic_s(),
            self.protocol,
            self.operation,
            self.player.agent,
            self.player.player,
            self.player.currency,
            of.get("id", ""),
            of.get("round"),
            of.get("game"),
            of.get("stake", 0),
            of.get("payout", of.get("amount")) or 0,
            detail=of.get("detail"),
            reference=of.get("reference"),
        )
        if status != 200:
            assert status in (0, 503), (status, body)
            return said
        answer = find_protocol(self.protocol).parse_response(HttpResponse(body))
        return said._replace(code=answer.code, balance=answer.balance, balance2=answer.balance2)


def find_protocol(name: str) -> WireProtocol:
    """Return the protocol: one of minwallet's own, or the example, which this process has not installed."""
    return load_orbit() if name == "orbit" else load_protocol(name)


class LoadClients:
    """Many clients whose calls depend on the seed and on the answers alone. `history` grows from run to run, and so
    does `ports`, the local port of each attempt. Each client waits `pause_s` between two calls."""

    def __init__(
        self, seats: Sequence[SeededPlayer], seed: int, *, clients: int = 32, protocols: Sequence[str] = ()
    ) -> None:
        self.history = History()
        self.ports: list[int] = []
        self.ids = count(1)
        self.players = seats
        self.protocols = protocols or ("wallet-v2", "vela")
        self.clients = [self.make_client(random.Random(f"{seed}/{number}"), number) for number in range(clients)]
        self.pause_s = 0.0
        self.is_stopped = False
        self._enough = 0
        self._has_enough = asyncio.Event()

    def make_client(self, chance: random.Random, number: int) -> "LoadClient":
        return LoadClient(self, chance, number)

    async def play(self, url: str, calls: int | None = None, timeout_s: float | None = None) -> None:
        """Play until every client got no answer, `stop` was called, or each made this number of calls. With
        `timeout_s` a client waits no longer for an answer, and continues without it."""
        self.is_stopped = False
        async with asyncio.TaskGroup() as group:
            for client in self.clients:
                group.create_task(client.play(url, calls, timeout_s))

    async def settle(self, url: str) -> None:
        """Repeat all calls without an answer until none is left."""
        for client in self.clients:
            await client.settle(url)

    def stop(self) -> None:
        """Stop every client after its current call."""
        self.is_stopped = True

    async def wait_for_attempts(self, attempts: int) -> None:
        """Wait until this number of further attempts has ended."""
        self._enough = len(self.history) + attempts
        self._has_enough = asyncio.Event()
        await self._has_enough.wait()

    def record(self, said: Attempt) -> None:
        """Record an attempt that has ended."""
        self.history.append(said)
        if len(self.history) >= self._enough:
            self._has_enough.set()


class LoadClient:
    """A client that bets, settles, cancels, repeats and queries at random."""

    def __init__(self, fleet: LoadClients, chance: random.Random, number: int) -> None:
        self._clients = fleet
        self._chance = chance
        self._players = [fleet.players[(number + each) % len(fleet.players)] for each in range(2)]
        self._open_bets: deque[PlannedCall] = deque(maxlen=16)
        self._sent_calls: deque[PlannedCall] = deque(maxlen=16)
        self._unanswered: list[PlannedCall] = []

    async def play(self, url: str, calls: int | None, timeout_s: float | None) -> None:
        line, made = HttpConnection(url, timeout_s), 0
        try:
            while not self._clients.is_stopped and (calls is None or made < calls):
                made += 1
                with nullcontext() if timeout_s is None else suppress(NoResponse):
                    await self.send_call(line, self.choose_call())
                if self._clients.pause_s:
                    await asyncio.sleep(self._clients.pause_s)
        except NoResponse:
            return
        finally:
            line.close()

    async def settle(self, url: str) -> None:
        line = HttpConnection(url)
        while self._unanswered:
            await self.send_call(line, self._unanswered.pop())
        line.close()

    async def send_call(self, line: HttpConnection, asked: PlannedCall) -> None:
        """Send the call, and record its result, whatever it is."""
        sent_at = monotonic_s()
        said = asked.to_attempts(sent_at)
        try:
            status, body = await line.request(asked.exchange)
            said = asked.to_attempts(sent_at, status, body)
        finally:
            # Record it also if this client is cancelled: the call may have been executed.
            for each in said:
                self._clients.ports.append(line.port)
                self._clients.record(each._replace(answered_at=monotonic_s()))
            if said[0].code is None:
                self._unanswered.append(asked)
        self.remember_result(asked, said[0])

    def remember_result(self, asked: PlannedCall, said: Attempt) -> None:
        """Remember the answer: an applied bet is to be settled or cancelled."""
        self._sent_calls.append(asked)
        if said.code == 0 and isinstance(asked.command, Bet):
            self._open_bets.append(asked)

    def choose_call(self) -> PlannedCall:
        """Return the next call. A call without an answer comes first: it is repeated, cancelled, or postponed."""
        chance = self._chance
        if self._unanswered and chance.random() < 0.9:
            lost = self._unanswered.pop(chance.randrange(len(self._unanswered)))
            return self.plan_cancel(lost) if isinstance(lost.command, Bet) and chance.random() < 0.3 else lost
        dice = chance.random()
        if dice < 0.1 and self._sent_calls:
            return chance.choice(self._sent_calls)
        if dice < 0.45 and self._open_bets:
            bet = self._open_bets.popleft()
            return self.plan_settlement(bet) if dice < 0.35 else self.plan_cancel(bet)
        if dice < 0.5:
            return self.plan_query()
        bet = self.plan_bet()
        return self.plan_cancel(bet) if dice < 0.52 else bet

    def plan_bet(self) -> PlannedCall:
        chance = self._chance
        seat, protocol, id_ = (
            chance.choice(self._players),
            chance.choice(self._clients.protocols),
            str(next(self._clients.ids)),
        )
        # Sometimes the stake is above the balance.
        stake = chance.choice((0, 1, 5, 20, 100, 10**12 if chance.random() < 0.2 else 7))
        if protocol == "vela" and chance.random() < 0.3:
            return PlannedCall(seat, protocol, "betwin", BetWin(id_, stake, chance.choice((0, 3, 50)), GAME))
        return PlannedCall(seat, protocol, "bet", Bet(id_, stake, id_, GAME))

    def plan_settlement(self, bet: PlannedCall) -> PlannedCall:
        command, payout = bet.command, self._chance.choice((0, 2, 10, 150))
        assert isinstance(command, Bet)
        if bet.protocol == "vela":
            return bet._replace(operation="result", command=Settle(command.id, payout, GAME))
        if bet.protocol == "orbit" and self._chance.random() < 0.3:
            part = Rollback(str(next(self._clients.ids)), command.id, self._chance.randint(0, command.stake))
            return bet._replace(operation="refund", command=part)
        return bet._replace(operation="win", command=Win(str(next(self._clients.ids)), payout, command.round, GAME))

    def plan_cancel(self, bet: PlannedCall) -> PlannedCall:
        command = bet.command
        assert isinstance(command, Bet | BetWin)
        if bet.protocol == "orbit":
            return self.plan_rollback(bet, command.id)
        return bet._replace(operation="refund" if bet.protocol == "vela" else "cancel", command=Cancel(command.id))

    def plan_rollback(self, bet: PlannedCall, reference: str) -> PlannedCall:
        """Return a refund of the bet, or a rollback of it and of an open one of the same player."""
        id_ = str(next(self._clients.ids))
        references = [reference]
        if (other := next((each for each in self._open_bets if each.player == bet.player), None)) and other != bet:
            references += [other.command.id] if isinstance(other.command, Bet) and other.protocol == "orbit" else []
        if len(references) == 1 and self._chance.random() < 0.5:
            return bet._replace(operation="refund", command=Rollback(id_, reference))
        parts = tuple(Rollback(f"{id_}:{each}", each) for each in references)
        return bet._replace(operation="rollback", command=Group(parts))

    def plan_query(self) -> PlannedCall:
        seat, protocol = self._chance.choice(self._players), self._chance.choice(self._clients.protocols)
        if protocol == "vela":
            return PlannedCall(seat, protocol, "authenticate", Authenticate())
        return PlannedCall(seat, protocol, "balance" if protocol == "orbit" else "credit", Balance())
