"""Deals rounds and sees them through: one after another for one player, the players side by side.

A round that the wallet does not answer in time goes on in the background until it is over, however long that takes.
"""

import asyncio
from collections import Counter
from functools import partial
from itertools import count
from random import Random

from minwallet.demo.book import Book, Played
from minwallet.demo.caller import Caller, NoAnswer, Sent, deliver
from minwallet.demo.games import Game, Play
from minwallet.demo.mischief import Journey, Mischief, Odds, Plan, plot
from minwallet.demo.rounds import Ending, Round, deal, greet, pause_s, see_through
from minwallet.protocols.wire import Call, WalletResponse

GUEST_CURRENCY = "FUN"

LAST_MOMENT_S = 1


class TurnedAway(Exception):
    """The wallet does not let this session play; the message says why."""


class Seat:
    """A player with a session, or a guest without one. `balance` is what they had when last asked."""

    def __init__(self, protocol: str, token: str | None, player_id: str, currency: str) -> None:
        self.protocol = protocol
        self.token = token
        self.player_id = player_id
        self.currency = currency
        self.balance = 0
        self.lock = asyncio.Lock()
        self.held: list[Call] = []


class Croupier:
    """`seed` decides every game and all mischief, for each player by the number of their rounds. A call is waited for
    `timeout_s` seconds, a round three times as long.
    """

    def __init__(self, caller: Caller, book: Book, seed: int, first_id: int, timeout_s: float) -> None:
        self.caller = caller
        self.book = book
        self.odds: Odds = {}
        self.seed = seed
        self._ids = count(first_id)
        self._timeout_s = timeout_s
        self._seats: dict[tuple[str, str], Seat] = {}
        self._turns: Counter[str] = Counter()
        self._is_stopping = False
        self._tasks: set[asyncio.Task[Played]] = set()

    async def seat(self, protocol: str, token: str | None, guest: str = "guest") -> Seat:
        """Whose session this is, and what they have now; without a token a guest. TurnedAway, NoAnswer."""
        if token is None:
            seat = Seat(protocol, None, guest, GUEST_CURRENCY)
            seat.balance = self.book.credit(guest)
            return seat
        answer = await self.caller.ask(protocol, greet(protocol, token))
        if answer.code != 0:
            raise TurnedAway(f"the wallet does not accept the session: {answer.message} ({answer.code})")
        if not isinstance(answer.player_id, str) or not isinstance(answer.currency, str):
            raise NoAnswer("the wallet does not say who is playing, in which currency")
        new = Seat(protocol, token, answer.player_id, answer.currency)
        seat = self._seats.setdefault((protocol, token), new)
        seat.balance = (answer.balance or 0) + (answer.balance2 or 0)
        return seat

    async def play(self, seat: Seat, game: Game, stake: int, choice: str | None, plan: Plan | None = None) -> Played:
        """One round, and what became of it within the time a player would wait; led astray by the plan, if there is
        one, or by the odds that hold for all.
        """
        async with seat.lock:
            self._turns[seat.player_id] += 1
            luck = f"{self.seed}/{seat.player_id}/{self._turns[seat.player_id]}"
            chance = Random(luck)  # noqa: S311 it decides games, not secrets
            bet_on = chance.choice(game.choices) if choice is None else choice
            play = game.play(stake, bet_on, chance)
            while plan and plan.is_lucky and play.payout <= stake:
                play = game.play(stake, bet_on, chance)
            if seat.token is None:
                return self._play_free(seat, game, play)
            round_ = deal(seat.protocol, seat.token, game, play, self._ids)
            line = _Line(self.caller, seat.protocol)
            played = Played(round_.id, seat.protocol, game.code, seat.player_id, seat.currency, play, sent=line.sent)
            self.book.begin(played)
            fate = Random(f"{luck}/mischief")  # noqa: S311 nor does this
            task = asyncio.create_task(self._see_through(seat, round_, plan, fate, line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.wait({task}, timeout=3 * self._timeout_s)
            return task.result() if task.done() and not task.cancelled() else played

    async def play_on(
        self, seat: Seat, game: Game, stake: int, choice: str | None, rounds: int, *, plan: Plan | None = None
    ) -> list[Played]:
        """So many rounds in a row; fewer where the wallet leaves one unanswered, or the provider stops."""
        played: list[Played] = []
        while len(played) < rounds and not self._is_stopping and (not played or played[-1].ending):
            played.append(await self.play(seat, game, stake, choice, plan))
        return played

    async def stop(self) -> None:
        """Give the rounds in hand a moment, and leave those that are not over by then where they are."""
        self._is_stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_MOMENT_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _play_free(self, seat: Seat, game: Game, play: Play) -> Played:
        self.book.play_free(seat.player_id, play)
        seat.balance = self.book.credit(seat.player_id)
        return Played("", seat.protocol, game.code, seat.player_id, seat.currency, play, Ending.DONE)

    async def _see_through(self, seat: Seat, round_: Round, plan: Plan | None, fate: Random, line: "_Line") -> Played:
        script = see_through(round_)
        call, attempt = next(script), 1
        while True:
            await asyncio.sleep(pause_s(attempt))
            journey = plot(round_, call, attempt, plan or Plan(self.odds), fate)
            answer = await deliver(call, journey, partial(line.ask, call, journey), seat.held, self._timeout_s)
            try:
                following = script.send(answer)
            except StopIteration as over:
                return self.book.end(round_.id, over.value)
            attempt = attempt + 1 if following == call else 1
            call = following


class _Line:
    """On which the calls of one round are sent, and where each is written down once it is known what became of it."""

    def __init__(self, caller: Caller, protocol: str) -> None:
        self.sent: list[Sent] = []
        self._caller = caller
        self._protocol = protocol
        self._times = Counter[Call]()

    async def ask(self, call: Call, journey: Journey, each: Call) -> WalletResponse | None:
        """Send `each`, which is part of the journey of `call`, or was held back before it; what the wallet says."""
        self._times[each] += 1
        attempt, is_own = self._times[each], each in (call, *journey.before, *journey.after)
        made = await self._caller.send(self._protocol, each)
        mischief = journey.mischief if is_own else (Mischief.REORDER,)
        self.sent.append(made._replace(attempt=attempt, mischief=mischief, is_lost=journey.is_lost and each == call))
        return made.answer
