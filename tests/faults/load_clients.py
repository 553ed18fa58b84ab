"""Providers that play on, whatever becomes of the wallet: what was not answered is asked again, or called off.

Each client has one call under way at a time and a handful of players that it shares with the next client, so that
players, rounds and ids meet. Everything said is kept in one history, from which a checker can tell whether it was true.
"""

import asyncio
import random
import re
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from itertools import count
from typing import NamedTuple
from urllib.parse import urlsplit

from minwallet.ledger.commands import Authenticate, Balance, Bet, BetWin, Cancel, Command, Settle, Win
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call, HttpRequest
from tests.faults.history import Attempt, History, monotonic_s

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)

GAME = "1012"


class NoResponse(Exception):
    """The connection ended, or could not be made, before an answer was whole."""


class SeededPlayer(NamedTuple):
    """A player in one currency, and the token of a session that lasts."""

    player: str
    token: str
    currency: str = "USD"
    agent: str = "default"


class HttpConnection:
    """One kept connection to a server, made when it is needed; `port` is this end's, of the last one. It waits for an
    answer no longer than its patience lasts, and for ever if it has none given.
    """

    def __init__(self, url: str, timeout_s: float | None = None) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.port = 0

    async def request(self, exchange: HttpRequest) -> tuple[int, bytes]:
        """Status and body; NoAnswer. The next call makes a new connection then."""
        head, body = await self.send_raw(encode_request(exchange))
        return int(head[9:12]), body

    async def send_raw(self, request: bytes) -> tuple[bytes, bytes]:
        """The head and the body of the answer to these bytes; NoAnswer."""
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
            # Whoever asks next must not get the answer to this.
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
    """A new connection to the server there."""
    address = urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port)


async def read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head and the body of a request or an answer; IncompleteReadError where the stream ends before."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = CONTENT_LENGTH.search(head)
    return head, await reader.readexactly(int(length[1])) if length else b""


def encode_request(exchange: HttpRequest) -> bytes:
    """The request, as it goes over the wire."""
    head = f"{exchange.method} {exchange.target} HTTP/1.1\r\nhost: wallet\r\n"
    if exchange.body:
        head += f"content-type: application/json\r\ncontent-length: {len(exchange.body)}\r\n"
    return f"{head}\r\n".encode() + exchange.body


class PlannedCall(NamedTuple):
    """A call, and who makes it in which protocol."""

    player: SeededPlayer
    protocol: str
    operation: str
    command: Command

    @property
    def exchange(self) -> HttpRequest:
        call = Call(self.operation, self.player.token, self.command)
        return load_protocol(self.protocol).build_request(call, 0)

    def to_attempt(self, sent_at: float, status: int = 0, body: bytes = b"") -> Attempt:
        """The attempt, and what became of it; a status of 0 is no answer, and 503 is none that says anything."""
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
            of.get("payout", 0),
            detail=of.get("detail"),
        )
        if status != 200:
            assert status in (0, 503), (status, body)
            return said
        answer = load_protocol(self.protocol).parse_response(body)
        return said._replace(code=answer.code, balance=answer.balance, balance2=answer.balance2)


class LoadClients:
    """Many clients, whose plays depend on the seed and on the answers alone. `history` grows from run to run, and with
    it `ports`: from which port each attempt was made. Between two calls each client rests for `pause_s`.
    """

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
        """Until every client got no answer, `stop` was called, or each made so many calls.

        With `timeout_s` no client waits longer for an answer, and each goes on without one.
        """
        self.is_stopped = False
        async with asyncio.TaskGroup() as group:
            for client in self.clients:
                group.create_task(client.play(url, calls, timeout_s))

    async def settle(self, url: str) -> None:
        """Ask everything once more that was never answered; nothing is left open then."""
        for client in self.clients:
            await client.settle(url)

    def stop(self) -> None:
        """Every client ends after the call it is in."""
        self.is_stopped = True

    async def wait_for_attempts(self, attempts: int) -> None:
        """Wait until so many more attempts have come to an end."""
        self._enough = len(self.history) + attempts
        self._has_enough = asyncio.Event()
        await self._has_enough.wait()

    def record(self, said: Attempt) -> None:
        """An attempt has come to an end."""
        self.history.append(said)
        if len(self.history) >= self._enough:
            self._has_enough.set()


class LoadClient:
    """Bets, settles, calls off, repeats and asks, as chance has it."""

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
        """Make the call and write down what came of it, whatever that was."""
        sent_at = monotonic_s()
        said = asked.to_attempt(sent_at)
        try:
            status, body = await line.request(asked.exchange)
            said = asked.to_attempt(sent_at, status, body)
        finally:
            # Also when this client is cancelled: the call may have been carried out.
            self._clients.ports.append(line.port)
            self._clients.record(said._replace(answered_at=monotonic_s()))
            if said.code is None:
                self._unanswered.append(asked)
        self.remember_result(asked, said)

    def remember_result(self, asked: PlannedCall, said: Attempt) -> None:
        """What the answer was: a bet that was taken will be settled, or called off."""
        self._sent_calls.append(asked)
        if said.code == 0 and isinstance(asked.command, Bet):
            self._open_bets.append(asked)

    def choose_call(self) -> PlannedCall:
        """The next call. What had no answer comes first: it is repeated, or called off, or forgotten for now."""
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
        # Now and then more than there is.
        stake = chance.choice((0, 1, 5, 20, 100, 10**12 if chance.random() < 0.2 else 7))
        if protocol == "vela" and chance.random() < 0.3:
            return PlannedCall(seat, protocol, "betwin", BetWin(id_, stake, chance.choice((0, 3, 50)), GAME))
        return PlannedCall(seat, protocol, "bet", Bet(id_, stake, id_, GAME))

    def plan_settlement(self, bet: PlannedCall) -> PlannedCall:
        command, payout = bet.command, self._chance.choice((0, 2, 10, 150))
        assert isinstance(command, Bet)
        if bet.protocol == "vela":
            return bet._replace(operation="result", command=Settle(command.id, payout, GAME))
        return bet._replace(operation="win", command=Win(str(next(self._clients.ids)), payout, command.round, GAME))

    def plan_cancel(self, bet: PlannedCall) -> PlannedCall:
        command = bet.command
        assert isinstance(command, Bet | BetWin)
        return bet._replace(operation="refund" if bet.protocol == "vela" else "cancel", command=Cancel(command.id))

    def plan_query(self) -> PlannedCall:
        seat, protocol = self._chance.choice(self._players), self._chance.choice(self._clients.protocols)
        if protocol == "vela":
            return PlannedCall(seat, protocol, "authenticate", Authenticate())
        return PlannedCall(seat, protocol, "credit", Balance())
