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
from tests.faults.history import History, Said, now_s

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)

GAME = "1012"


class NoAnswer(Exception):
    """The connection ended, or could not be made, before an answer was whole."""


class Seat(NamedTuple):
    """A player in one currency, and the token of a session that lasts."""

    player: str
    token: str
    currency: str = "USD"
    agent: str = "default"


class Line:
    """One kept connection to a server, made when it is needed; `port` is this end's, of the last one. It waits for an
    answer no longer than its patience lasts, and for ever if it has none given.
    """

    def __init__(self, url: str, patience_s: float | None = None) -> None:
        self.url = url
        self._patience_s = patience_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.port = 0

    async def ask(self, exchange: HttpRequest) -> tuple[int, bytes]:
        """Status and body; NoAnswer. The next call makes a new connection then."""
        head, body = await self.send(packet(exchange))
        return int(head[9:12]), body

    async def send(self, request: bytes) -> tuple[bytes, bytes]:
        """The head and the body of the answer to these bytes; NoAnswer."""
        try:
            async with asyncio.timeout(self._patience_s):
                if self._streams is None:
                    self._streams = await connect(self.url)
                    self.port = self._streams[1].get_extra_info("sockname")[1]
                self._streams[1].write(request)
                head, body = await read_message(self._streams[0])
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise NoAnswer(str(error)) from error
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
    length = LENGTH.search(head)
    return head, await reader.readexactly(int(length[1])) if length else b""


def packet(exchange: HttpRequest) -> bytes:
    """The request, as it goes over the wire."""
    head = f"{exchange.method} {exchange.target} HTTP/1.1\r\nhost: wallet\r\n"
    if exchange.body:
        head += f"content-type: application/json\r\ncontent-length: {len(exchange.body)}\r\n"
    return f"{head}\r\n".encode() + exchange.body


class Asked(NamedTuple):
    """A call, and who makes it in which protocol."""

    seat: Seat
    protocol: str
    operation: str
    command: Command

    @property
    def exchange(self) -> HttpRequest:
        call = Call(self.operation, self.seat.token, self.command)
        return load_protocol(self.protocol).build_request(call, 0)

    def said(self, sent_at: float, status: int = 0, body: bytes = b"") -> Said:
        """The attempt, and what became of it; a status of 0 is no answer, and 503 is none that says anything."""
        of = self.command._asdict()
        said = Said(
            sent_at,
            now_s(),
            self.protocol,
            self.operation,
            self.seat.agent,
            self.seat.player,
            self.seat.currency,
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


class Fleet:
    """Many clients, whose plays depend on the seed and on the answers alone. `history` grows from run to run, and with
    it `ports`: from which port each attempt was made. Between two calls each client rests for `pause_s`.
    """

    def __init__(self, seats: Sequence[Seat], seed: int, *, clients: int = 32, protocols: Sequence[str] = ()) -> None:
        self.history = History()
        self.ports: list[int] = []
        self.ids = count(1)
        self.seats = seats
        self.protocols = protocols or ("wallet-v2", "vela")
        self.clients = [self.make_client(random.Random(f"{seed}/{number}"), number) for number in range(clients)]
        self.pause_s = 0.0
        self.is_over = False
        self._enough = 0
        self._has_enough = asyncio.Event()

    def make_client(self, chance: random.Random, number: int) -> "Client":
        return Client(self, chance, number)

    async def play(self, url: str, calls: int | None = None, patience_s: float | None = None) -> None:
        """Until every client got no answer, `stop` was called, or each made so many calls.

        With `patience_s` no client waits longer for an answer, and each goes on without one.
        """
        self.is_over = False
        async with asyncio.TaskGroup() as group:
            for client in self.clients:
                group.create_task(client.play(url, calls, patience_s))

    async def settle(self, url: str) -> None:
        """Ask everything once more that was never answered; nothing is left open then."""
        for client in self.clients:
            await client.settle(url)

    def stop(self) -> None:
        """Every client ends after the call it is in."""
        self.is_over = True

    async def hear(self, attempts: int) -> None:
        """Wait until so many more attempts have come to an end."""
        self._enough = len(self.history) + attempts
        self._has_enough = asyncio.Event()
        await self._has_enough.wait()

    def note(self, said: Said) -> None:
        """An attempt has come to an end."""
        self.history.append(said)
        if len(self.history) >= self._enough:
            self._has_enough.set()


class Client:
    """Bets, settles, calls off, repeats and asks, as chance has it."""

    def __init__(self, fleet: Fleet, chance: random.Random, number: int) -> None:
        self._fleet = fleet
        self._chance = chance
        self._seats = [fleet.seats[(number + each) % len(fleet.seats)] for each in range(2)]
        self._open: deque[Asked] = deque(maxlen=16)
        self._made: deque[Asked] = deque(maxlen=16)
        self._unanswered: list[Asked] = []

    async def play(self, url: str, calls: int | None, patience_s: float | None) -> None:
        line, made = Line(url, patience_s), 0
        try:
            while not self._fleet.is_over and (calls is None or made < calls):
                made += 1
                with nullcontext() if patience_s is None else suppress(NoAnswer):
                    await self.ask(line, self.choose())
                if self._fleet.pause_s:
                    await asyncio.sleep(self._fleet.pause_s)
        except NoAnswer:
            return
        finally:
            line.close()

    async def settle(self, url: str) -> None:
        line = Line(url)
        while self._unanswered:
            await self.ask(line, self._unanswered.pop())
        line.close()

    async def ask(self, line: Line, asked: Asked) -> None:
        """Make the call and write down what came of it, whatever that was."""
        sent_at = now_s()
        said = asked.said(sent_at)
        try:
            status, body = await line.ask(asked.exchange)
            said = asked.said(sent_at, status, body)
        finally:
            # Also when this client is cancelled: the call may have been carried out.
            self._fleet.ports.append(line.port)
            self._fleet.note(said._replace(answered_at=now_s()))
            if said.code is None:
                self._unanswered.append(asked)
        self.learn(asked, said)

    def learn(self, asked: Asked, said: Said) -> None:
        """What the answer was: a bet that was taken will be settled, or called off."""
        self._made.append(asked)
        if said.code == 0 and isinstance(asked.command, Bet):
            self._open.append(asked)

    def choose(self) -> Asked:
        """The next call. What had no answer comes first: it is repeated, or called off, or forgotten for now."""
        chance = self._chance
        if self._unanswered and chance.random() < 0.9:
            lost = self._unanswered.pop(chance.randrange(len(self._unanswered)))
            return self.call_off(lost) if isinstance(lost.command, Bet) and chance.random() < 0.3 else lost
        dice = chance.random()
        if dice < 0.1 and self._made:
            return chance.choice(self._made)
        if dice < 0.45 and self._open:
            bet = self._open.popleft()
            return self.pay(bet) if dice < 0.35 else self.call_off(bet)
        if dice < 0.5:
            return self.ask_only()
        bet = self.bet()
        return self.call_off(bet) if dice < 0.52 else bet

    def bet(self) -> Asked:
        chance = self._chance
        seat, protocol, id_ = (
            chance.choice(self._seats),
            chance.choice(self._fleet.protocols),
            str(next(self._fleet.ids)),
        )
        # Now and then more than there is.
        stake = chance.choice((0, 1, 5, 20, 100, 10**12 if chance.random() < 0.2 else 7))
        if protocol == "vela" and chance.random() < 0.3:
            return Asked(seat, protocol, "betwin", BetWin(id_, stake, chance.choice((0, 3, 50)), GAME))
        return Asked(seat, protocol, "bet", Bet(id_, stake, id_, GAME))

    def pay(self, bet: Asked) -> Asked:
        command, payout = bet.command, self._chance.choice((0, 2, 10, 150))
        assert isinstance(command, Bet)
        if bet.protocol == "vela":
            return bet._replace(operation="result", command=Settle(command.id, payout, GAME))
        return bet._replace(operation="win", command=Win(str(next(self._fleet.ids)), payout, command.round, GAME))

    def call_off(self, bet: Asked) -> Asked:
        command = bet.command
        assert isinstance(command, Bet | BetWin)
        return bet._replace(operation="refund" if bet.protocol == "vela" else "cancel", command=Cancel(command.id))

    def ask_only(self) -> Asked:
        seat, protocol = self._chance.choice(self._seats), self._chance.choice(self._fleet.protocols)
        if protocol == "vela":
            return Asked(seat, protocol, "authenticate", Authenticate())
        return Asked(seat, protocol, "credit", Balance())
