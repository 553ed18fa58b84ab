"""The simulator: it plays rounds for players and makes the calls of each round.

Theory of operation
-------------------

1. `RoundRunner.open_session` reads the player and the balance from the wallet. It keeps one `PlayerSession` a token.
2. `RoundRunner.play_round` draws the game's result, builds the calls of the round and starts a task for them.
3. The task combines the two pure parts: `round_policy.drive_round` decides on the next call, `faults.plan_delivery`
   decides how it is delivered. `wallet_client.deliver_call` sends it.
4. `play_round` waits for the task as long as a player would, three timeouts of a call. A round that takes longer stays
   pending and continues in the background until it is completed, without a time limit.

Concurrency: a session's lock makes the rounds of one session sequential. Only a pending round continues beside the
next one. Different sessions play concurrently.

Reproducibility: the generators of a round are seeded with the seed, the player's id and the number of the player's
round. The same seed repeats the same games with the same faults, in whatever order the players play. Games and faults
have separate generators, so the same games are played with and without faults.
"""

import asyncio
from collections import Counter
from functools import partial
from itertools import count
from random import Random

from minwallet.demo.dealer import RoundCalls, load_dealer
from minwallet.demo.faults import DeliveryPlan, Fault, FaultPlan, FaultRates, plan_delivery
from minwallet.demo.game_rules import DemoGame, GameResult
from minwallet.demo.round_policy import RoundEnding, drive_round, retry_delay_s
from minwallet.demo.round_store import RoundRecord, RoundStore
from minwallet.demo.wallet_client import CallRecord, NoAnswer, WalletClient, deliver_call
from minwallet.protocols.wire import Call, WalletResponse

GUEST_CURRENCY = "FUN"

STOP_GRACE_S = 1
"""The time that the rounds in progress get when the provider stops."""


class SessionRejected(Exception):
    """The wallet does not let this session play; the message says why."""


class PlayerSession:
    """A player with a session, or a guest without one (`token` None).

    `balance` is the last one read, in cents. `held_back` are calls that `deliver_call` sends after the next call.
    """

    def __init__(self, protocol: str, token: str | None, player_id: str, currency: str) -> None:
        self.protocol = protocol
        self.token = token
        self.player_id = player_id
        self.currency = currency
        self.balance = 0
        self.lock = asyncio.Lock()
        self.held_back: list[Call] = []


class RoundRunner:
    """The player of rounds. `fault_rates` apply to each round without a plan of its own.

    The provider waits `timeout_s` for a call, and three times as long for a round.
    """

    def __init__(self, client: WalletClient, store: RoundStore, seed: int, first_id: int, timeout_s: float) -> None:
        self.client = client
        self.store = store
        self.fault_rates: FaultRates = {}
        self.seed = seed
        self._ids = count(first_id)
        self._timeout_s = timeout_s
        self._sessions: dict[tuple[str, str], PlayerSession] = {}
        self._round_numbers: Counter[str] = Counter()
        self._is_stopping = False
        self._tasks: set[asyncio.Task[RoundRecord]] = set()

    async def open_session(
        self, protocol: str, token: str | None, guest: str = "guest", *, player_id: str = "", currency: str = ""
    ) -> PlayerSession:
        """Return the session of this token with the current balance, or a guest's session if the token is None.

        `player_id` and `currency` are what the launch says about the account, "" if it says nothing. Some protocols
        need them in each request.

        Raise SessionRejected if the wallet refuses the session, NoAnswer if it does not reply.
        """
        if token is None:
            session = PlayerSession(protocol, None, guest, GUEST_CURRENCY)
            session.balance = self.store.get_guest_credit(guest)
            return session
        call = load_dealer(protocol).build_session_call(token)._replace(player_id=player_id, currency=currency)
        answer = await self.client.request_answer(protocol, call)
        if answer.code != 0:
            raise SessionRejected(f"the wallet does not accept the session: {answer.message} ({answer.code})")
        holder: tuple[object, object] = (answer.player_id or player_id, answer.currency or currency)
        match holder:
            # A foreign wallet may send any JSON value.
            case (str(id_), str(code)) if id_ and code:
                new = PlayerSession(protocol, token, id_, code)
            case _:
                raise NoAnswer("the wallet's reply has no player id or no currency")
        session = self._sessions.setdefault((protocol, token), new)
        session.balance = (answer.balance or 0) + (answer.balance2 or 0)
        return session

    async def play_round(
        self, session: PlayerSession, game: DemoGame, stake: int, choice: str | None, plan: FaultPlan | None = None
    ) -> RoundRecord:
        """Play one round and return its record, which may still be pending.

        The plan's faults are injected, or those of `fault_rates` without a plan. Choice None means a random choice.
        """
        async with session.lock:
            self._round_numbers[session.player_id] += 1
            seed_text = f"{self.seed}/{session.player_id}/{self._round_numbers[session.player_id]}"
            rng = Random(seed_text)  # noqa: S311 it decides games, not secrets
            bet_choice = rng.choice(game.choices) if choice is None else choice
            play = game.play(stake, bet_choice, rng)
            # A lucky round repeats the game, with the same generator, until the player wins.
            while plan and plan.is_lucky and play.payout <= stake:
                play = game.play(stake, bet_choice, rng)
            if session.token is None:
                return self._play_guest_round(session, game, play)
            built = load_dealer(session.protocol).build_round(session.token, game, play, self._ids)
            round_ = built.add_account(session.player_id, session.currency)
            call_log = CallLog(self.client, session.protocol)
            played = RoundRecord(
                round_.id, session.protocol, game.code, session.player_id, session.currency, play, sent=call_log.records
            )
            self.store.add(played)
            # This text fixes which faults a seed injects, so it never changes: a known seed repeats a known failure.
            fault_rng = Random(f"{seed_text}/mischief")  # noqa: S311 it decides faults, not secrets
            task = asyncio.create_task(self._drive_round(session, round_, plan, fault_rng, call_log))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.wait({task}, timeout=3 * self._timeout_s)
            return task.result() if task.done() and not task.cancelled() else played

    async def play_rounds(
        self,
        session: PlayerSession,
        game: DemoGame,
        stake: int,
        choice: str | None,
        rounds: int,
        *,
        plan: FaultPlan | None = None,
    ) -> list[RoundRecord]:
        """Play `rounds` rounds in a row. Return fewer if a round stays pending or the provider stops."""
        played: list[RoundRecord] = []
        while len(played) < rounds and not self._is_stopping and (not played or played[-1].ending):
            played.append(await self.play_round(session, game, stake, choice, plan))
        return played

    async def stop(self) -> None:
        """Wait up to `STOP_GRACE_S` for the rounds in progress, then cancel their tasks. Those rounds stay pending."""
        self._is_stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_GRACE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _play_guest_round(self, session: PlayerSession, game: DemoGame, play: GameResult) -> RoundRecord:
        self.store.record_guest_play(session.player_id, play)
        session.balance = self.store.get_guest_credit(session.player_id)
        return RoundRecord("", session.protocol, game.code, session.player_id, session.currency, play, RoundEnding.DONE)

    async def _drive_round(
        self, session: PlayerSession, round_: RoundCalls, plan: FaultPlan | None, fault_rng: Random, call_log: "CallLog"
    ) -> RoundRecord:
        script = drive_round(round_)
        call, attempt = next(script), 1
        while True:
            await asyncio.sleep(retry_delay_s(attempt))
            delivery = plan_delivery(round_, call, attempt, plan or FaultPlan(self.fault_rates), fault_rng)
            answer = await deliver_call(
                call, delivery, partial(call_log.send, call, delivery), session.held_back, self._timeout_s
            )
            try:
                next_call = script.send(answer)
            except StopIteration as stop:  # A generator returns its result, the ending, in this exception.
                return self.store.complete(round_.id, stop.value)
            attempt = attempt + 1 if next_call == call else 1
            call = next_call


class CallLog:
    """The sender of one round's calls, which records each call with its outcome."""

    def __init__(self, client: WalletClient, protocol: str) -> None:
        self.records: list[CallRecord] = []
        self._client = client
        self._protocol = protocol
        self._attempts = Counter[Call]()

    async def send(self, call: Call, delivery: DeliveryPlan, each: Call) -> WalletResponse | None:
        """Send `each` as part of the delivery of `call`, and return the wallet's response, or None without one.

        `each` is the call itself, a call of the plan, or a call that an earlier plan held back.
        """
        self._attempts[each] += 1
        attempt, is_own = self._attempts[each], each in (call, *delivery.before, *delivery.after)
        record = await self._client.send(self._protocol, each)
        faults = delivery.faults if is_own else (Fault.REORDER,)
        self.records.append(record._replace(attempt=attempt, faults=faults, is_lost=delivery.is_lost and each == call))
        return record.answer
