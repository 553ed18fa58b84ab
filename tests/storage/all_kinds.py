"""A fixed play that writes every kind of entry, for tests of whatever reads, exports or imports a ledger.

Its commands come from two agents, two currencies and four protocols. `RETIRED` stands for a protocol whose package was
removed. Each step says its outcome, and what a retry gets after the whole play.
"""

from collections.abc import Sequence
from typing import NamedTuple

from minwallet.ledger.audit import Audit
from minwallet.ledger.commands import (
    Adjust,
    Bet,
    BetWin,
    Cancel,
    Deposit,
    EndRound,
    Group,
    MoneyCommand,
    Rollback,
    RollbackRound,
    Settle,
    Win,
    WinCategory,
    Withdraw,
)
from minwallet.ledger.entries import Entry, Refusal, State
from minwallet.ledger.limits import LimitKind, LimitPeriod
from minwallet.ledger.outcomes import Applied, GroupApplied, Outcome, Refused, Replayed
from minwallet.ledger.time_units import DAY_MS
from minwallet.storage.limit_store import LimitChange
from minwallet.storage.models import OPERATOR_PROTOCOL, AccountCommand, PlayerStatus
from minwallet.storage.store import Store
from minwallet.web.gateway.protocol_guard import MAX_TEXT_LENGTH
from tests.storage.store_helpers import NOW, ORBIT, VELA, WALLET_V2, create_players, make_new_account

RETIRED = "retired"
"""A protocol that is not installed. Its ids are unique per currency."""

ANN_USD, ANN_EUR, BOB, OTHER_ANN_USD, OTHER_ANN_EUR, EXCLUDED, BLOCKED, LIMITED, RICH = range(1, 10)
"""The accounts. The first two are one player's, and so are the two of the other agent. A tenth one has no entry."""

APPLIED, CLOSED, ORPHAN = State.APPLIED, State.CLOSED, State.ORPHAN

Result = State | Refusal | tuple[State | None, ...] | None
"""An outcome: the state of the new entry, a refusal, None for a retry that was applied earlier, a tuple for a group."""

AS_BEFORE = object()


class Step(NamedTuple):
    """A command, and its result. `late` is the result of a retry after the play, if it is not that of any retry."""

    account: int
    protocol: str
    command: MoneyCommand | Group
    result: Result = APPLIED
    late: object = AS_BEFORE

    @property
    def expected_retry(self) -> object:
        """Return what a retry gets: the same refusal, or the entry of the first call."""
        if self.late is not AS_BEFORE:
            return self.late
        if isinstance(self.result, tuple):
            return (None,) * len(self.result)
        return self.result if isinstance(self.result, Refusal) else None

    def build_command(self) -> AccountCommand:
        ids_per_currency = self.protocol in (WALLET_V2, RETIRED)
        return AccountCommand(self.command, self.protocol, self.account, ids_per_currency=ids_per_currency)


LONG_TEXT = "é" * MAX_TEXT_LENGTH
"""The longest id, round or game that the gateway accepts from a provider."""

HOSTILE_ID = '=1+1,"x"; \u2028\u00a0\U0001f600\u200d '
"""Text that is valid in an id, and that CSV, JSON or a careless reader would change."""

TOO_MUCH = 10**9

WALLET_V2_STEPS = (
    *(Step(account, WALLET_V2, Bet("1", 100, "1", "7")) for account in (ANN_USD, ANN_EUR, OTHER_ANN_USD)),
    Step(BOB, WALLET_V2, Bet("1", 100, "1", "7"), Refusal.ID_TAKEN),
    Step(ANN_USD, WALLET_V2, Bet("1", 100, "1", "7"), None),
    Step(ANN_USD, WALLET_V2, Bet("1", 101, "1", "7"), Refusal.ID_TAKEN),
    Step(ANN_USD, WALLET_V2, Win("2", 250, "1", "7")),
    Step(ANN_USD, WALLET_V2, Win("3", 20)),
    Step(ANN_EUR, WALLET_V2, Win("4", 30, "99", "7"), ORPHAN),
    Step(ANN_USD, WALLET_V2, Bet("5", 40, "5"), late=Refusal.CANCELLED),
    Step(ANN_USD, WALLET_V2, Cancel("5", "5")),
    Step(ANN_USD, WALLET_V2, Cancel("6"), CLOSED),
    Step(ANN_USD, WALLET_V2, Bet("6", 10, "6"), Refusal.CANCELLED),
    Step(ANN_USD, WALLET_V2, Win("7", 5, "6"), Refusal.ROUND_CANCELLED),
    Step(ANN_EUR, WALLET_V2, Bet("8", TOO_MUCH, "8"), Refusal.INSUFFICIENT_FUNDS, late=Refusal.CANCELLED),
    Step(ANN_EUR, WALLET_V2, Cancel("8"), CLOSED),
    Step(ANN_EUR, WALLET_V2, Bet("9", TOO_MUCH, "9", "7"), Refusal.INSUFFICIENT_FUNDS),
    Step(ANN_USD, WALLET_V2, Bet("10", 70, "10")),
    Step(EXCLUDED, WALLET_V2, Bet("11", 1, "11"), Refusal.PLAYER_EXCLUDED),
    Step(BLOCKED, WALLET_V2, Bet("12", 1, "12"), Refusal.PLAYER_BLOCKED),
    Step(LIMITED, WALLET_V2, Bet("13", 40, "13")),
    Step(LIMITED, WALLET_V2, Bet("14", 40, "14"), Refusal.LOSS_LIMIT),
)

VELA_STEPS = (
    Step(ANN_USD, VELA, Bet("1", 30, "1", "fish", '{"key":"ké \\"1\\""}')),
    Step(ANN_USD, VELA, Settle("1", 45, "fish", '{"total_used":12}')),
    Step(ANN_EUR, VELA, Settle("1", 45, "fish", '{"total_used":12}'), Refusal.ID_TAKEN),
    Step(ANN_USD, VELA, Cancel("1"), Refusal.ROUND_SETTLED),
    Step(ANN_USD, VELA, Bet("2", 30, "2")),
    Step(ANN_USD, VELA, Settle("2", 0)),
    Step(ANN_USD, VELA, BetWin("3", 20, 5, "fish")),
    Step(OTHER_ANN_USD, VELA, BetWin("3", 20, 60)),
    Step(ANN_USD, VELA, BetWin("4", 20, 5), late=Refusal.CANCELLED),
    Step(ANN_USD, VELA, Cancel("4")),
    Step(ANN_USD, VELA, BetWin("5", TOO_MUCH, 5), Refusal.INSUFFICIENT_FUNDS),
    Step(ANN_EUR, VELA, Bet("6", 15, "6")),
    Step(OTHER_ANN_EUR, VELA, Settle("6", 5), Refusal.NO_OPEN_BET),
)

ORBIT_STEPS = (
    # A whole bet, a part of one (bonus first), and too much of it.
    Step(ANN_USD, ORBIT, Bet("b1", 60, "r1", LONG_TEXT), late=Refusal.CANCELLED),
    Step(ANN_USD, ORBIT, Rollback("k1", "b1")),
    Step(ANN_USD, ORBIT, Rollback("k2", "b1"), Refusal.CANCELLED),
    Step(ANN_USD, ORBIT, Cancel("b1"), Refusal.CANCELLED),
    Step(ANN_EUR, ORBIT, Rollback("k3", "b1"), Refusal.ID_TAKEN),
    Step(ANN_USD, ORBIT, Rollback("k4", "k1"), Refusal.NOT_A_BET),
    Step(BOB, ORBIT, Bet("b2", 120, "r2")),
    Step(BOB, ORBIT, Rollback("k5", "b2", 30)),
    Step(BOB, ORBIT, Rollback("k6", "b2", 5)),
    Step(BOB, ORBIT, Rollback("k7", "b2", 86), Refusal.OUT_OF_RANGE),
    # Wins: whole, in part, spent, and up to the cash that is left.
    Step(ANN_USD, ORBIT, Bet("b3", 50, "r3")),
    Step(ANN_USD, ORBIT, Win("w3", 80, "r3"), late=Refusal.CANCELLED),
    Step(ANN_USD, ORBIT, Rollback("k8", "w3")),
    Step(ANN_USD, ORBIT, Win("w4", 40, "r3")),
    Step(ANN_USD, ORBIT, Rollback("k9", "w4", 15)),
    Step(BOB, ORBIT, Win("w5", 500, "r2"), late=Refusal.CANCELLED),
    Step(BOB, ORBIT, Bet("b5", 505, "r5", "fish")),
    Step(BOB, ORBIT, Rollback("k10", "w5"), Refusal.WIN_SPENT, late=Refusal.CANCELLED),
    Step(BOB, ORBIT, Rollback("k11", "w5", clamp=True)),
    # Settled bets.
    Step(ANN_USD, ORBIT, Bet("b6", 10, "r6"), late=Refusal.CANCELLED),
    Step(ANN_USD, ORBIT, Win("w6", 15, "r6")),
    Step(ANN_USD, ORBIT, Rollback("k12", "b6"), Refusal.ROUND_SETTLED, late=Refusal.CANCELLED),
    Step(ANN_USD, ORBIT, Rollback("k13", "b6", even_if_settled=True)),
    # Unknown and refused bets.
    Step(ANN_USD, ORBIT, Rollback("k14", "never", 25, round="r7", game="fish"), CLOSED),
    Step(ANN_USD, ORBIT, Bet("never", 25, "r7", "fish"), Refusal.CANCELLED),
    Step(ANN_USD, ORBIT, Win("w7", 5, "r7"), Refusal.ROUND_CANCELLED),
    Step(ANN_EUR, ORBIT, Bet("b7", TOO_MUCH, "r7"), Refusal.INSUFFICIENT_FUNDS, late=Refusal.CANCELLED),
    Step(ANN_EUR, ORBIT, Rollback("k15", "b7"), CLOSED),
    Step(OTHER_ANN_USD, ORBIT, Rollback("k14", "never"), CLOSED),
    # A betwin is reversed as one movement.
    Step(ANN_EUR, ORBIT, BetWin("bw1", 20, 50), late=Refusal.CANCELLED),
    Step(ANN_EUR, ORBIT, Rollback("k16", "bw1")),
    # Rounds: rolled back, unknown, up to the cash that is left, and ended.
    Step(ANN_EUR, ORBIT, Bet("b8", 10, "r8", checks_round=True), late=Refusal.ROUND_CANCELLED),
    Step(ANN_EUR, ORBIT, Win("w8", 30, "r8"), late=Refusal.ROUND_CANCELLED),
    Step(ANN_EUR, ORBIT, RollbackRound("x1", "r8")),
    Step(ANN_EUR, ORBIT, Bet("b9", 10, "r8", checks_round=True), Refusal.ROUND_CANCELLED),
    Step(ANN_EUR, ORBIT, Win("w9", 10, "r8"), Refusal.ROUND_CANCELLED),
    Step(ANN_EUR, ORBIT, RollbackRound("x2", "nothing"), CLOSED),
    Step(BOB, ORBIT, Win("w10", 60, "r10"), ORPHAN, late=Refusal.ROUND_CANCELLED),
    Step(BOB, ORBIT, Bet("b10", 40, "r11")),
    Step(BOB, ORBIT, RollbackRound("x3", "r10", clamp=True)),
    Step(ANN_EUR, ORBIT, Bet("b11", 10, "r12", "fish")),
    Step(ANN_EUR, ORBIT, EndRound("e1", "r12", "fish")),
    # Wins without a bet.
    *(Step(ANN_EUR, ORBIT, Win(f"w:{each}", 5, "r13", "fish", each)) for each in WinCategory),
    Step(ANN_USD, ORBIT, Win("w14", 7, "r14"), ORPHAN),
)

GROUP_STEPS = (
    Step(
        OTHER_ANN_USD,
        ORBIT,
        Group((Bet("g1", 10, "q1"), Bet("g2", 20, "q1"), Win("g3", 5, "q1"), EndRound("g4", "q1"))),
        (APPLIED,) * 4,
        late=Refusal.CANCELLED,
    ),
    Step(OTHER_ANN_USD, ORBIT, Group((Bet("g1", 10, "q1"), Bet("g5", 5, "q2"))), (None, APPLIED), Refusal.CANCELLED),
    Step(
        OTHER_ANN_USD,
        ORBIT,
        Group((Rollback("back:g3", "g3"), Rollback("back:g1", "g1"), Rollback("back:g0", "g0"))),
        (APPLIED, APPLIED, CLOSED),
    ),
    Step(OTHER_ANN_EUR, ORBIT, Group((Bet("g6", 10, "q6"), BetWin("g7", 10, 30))), (APPLIED,) * 2),
    Step(OTHER_ANN_EUR, ORBIT, Group((Win("g8", 1), Bet("g9", TOO_MUCH, "q6"))), Refusal.INSUFFICIENT_FUNDS),
    Step(OTHER_ANN_EUR, ORBIT, Group((Win("g10", 1), Win("g6", 1))), Refusal.ID_TAKEN),
    Step(OTHER_ANN_EUR, ORBIT, Win("g8", 1)),
)

RETIRED_STEPS = (
    *(Step(account, RETIRED, Bet("1", 10, HOSTILE_ID, HOSTILE_ID)) for account in (ANN_USD, ANN_EUR, OTHER_ANN_EUR)),
    Step(ANN_USD, RETIRED, Bet(LONG_TEXT, 25, LONG_TEXT)),
    Step(ANN_USD, RETIRED, Rollback(HOSTILE_ID, LONG_TEXT, 5)),
    Step(ANN_EUR, RETIRED, Bet("2", 10, "2", detail='{"free":false,"lines":[1,2.5,null],"per":{"line":1}}')),
    Step(ANN_EUR, RETIRED, Settle("2", 15, detail='{"text":"' + "é" * 4000 + '"}')),
    Step(OTHER_ANN_EUR, RETIRED, EndRound("e", HOSTILE_ID)),
    Step(OTHER_ANN_EUR, RETIRED, RollbackRound("x", "unknown"), CLOSED),
)

OPERATOR_STEPS = (
    Step(ANN_USD, OPERATOR_PROTOCOL, Deposit("1", 100, 5, '{"by": "admin eve"}')),
    Step(ANN_EUR, OPERATOR_PROTOCOL, Deposit("1", 100), Refusal.ID_TAKEN),
    Step(OTHER_ANN_EUR, OPERATOR_PROTOCOL, Deposit("1", 100, 5)),
    Step(ANN_USD, OPERATOR_PROTOCOL, Withdraw('a "reason", of sorts', 50, 1, '{"by": "key shop", "reason": ""}')),
    Step(ANN_USD, OPERATOR_PROTOCOL, Withdraw("too much", TOO_MUCH), Refusal.INSUFFICIENT_FUNDS),
    Step(ANN_EUR, OPERATOR_PROTOCOL, Adjust("=1", -50, 0, '{"by": "admin eve", "reason": "=a \\u00e9, \\"fee\\""}')),
    Step(ANN_USD, OPERATOR_PROTOCOL, Adjust("up", 25, -3, '{"by": "admin eve", "reason": "\\ud83d\\ude00"}')),
    Step(RICH, OPERATOR_PROTOCOL, Deposit("2**53 + 1", 2**53 + 1)),
)

PLAY: Sequence[Step] = (
    *WALLET_V2_STEPS,
    *VELA_STEPS,
    *ORBIT_STEPS,
    *GROUP_STEPS,
    *RETIRED_STEPS,
    *OPERATOR_STEPS,
)

SEQUEL: Sequence[Step] = (
    Step(ANN_USD, WALLET_V2, Cancel("10")),
    Step(ANN_USD, WALLET_V2, Cancel("1"), Refusal.ROUND_SETTLED),
    Step(ANN_EUR, WALLET_V2, Cancel("1")),
    Step(ANN_EUR, VELA, Settle("6", 25)),
    Step(BOB, ORBIT, Rollback("s1", "b2", 86), Refusal.OUT_OF_RANGE, late=Refusal.CANCELLED),
    Step(BOB, ORBIT, Rollback("s2", "b2")),
    Step(BOB, ORBIT, Rollback("s3", "b2"), Refusal.CANCELLED),
    Step(ANN_USD, ORBIT, Rollback("s4", "w4", 26), Refusal.OUT_OF_RANGE, late=Refusal.CANCELLED),
    Step(ANN_USD, ORBIT, Rollback("s5", "w4")),
    Step(ANN_USD, ORBIT, Rollback("s6", "b3")),
    Step(ANN_USD, ORBIT, Rollback("s7", "w14")),
    Step(ANN_EUR, ORBIT, Rollback("s8", "w:jackpot")),
    Step(ANN_EUR, ORBIT, Rollback("s9", "b11")),
    Step(ANN_USD, ORBIT, RollbackRound("s10", "r6")),
    Step(OTHER_ANN_USD, ORBIT, Group((Rollback("s:g2", "g2"), Rollback("s:g5", "g5"))), (APPLIED, APPLIED)),
    Step(OTHER_ANN_EUR, ORBIT, Group((Bet("g6", 10, "q6"), Rollback("s:g7", "g7"))), (None, APPLIED)),
    Step(ANN_USD, RETIRED, Rollback("s11", LONG_TEXT)),
    Step(ANN_EUR, RETIRED, Rollback("s12", "1")),
    Step(ANN_EUR, RETIRED, Rollback("s13", "2"), Refusal.ROUND_SETTLED),
    Step(OTHER_ANN_EUR, RETIRED, RollbackRound("s14", HOSTILE_ID)),
)
"""Commands about transactions of the play, each decided on its entries. They work once."""


async def create_actors(store: Store) -> None:
    """Create the agents and the accounts of the play, with their restrictions."""
    await store.accounts.add_agent("two", "two", None, NOW)
    players = [
        make_new_account("ann", 1000, 100),
        make_new_account("ann", 500, currency="EUR"),
        make_new_account("bob", 100, 50),
        make_new_account("ann", 300, agent="two"),
        make_new_account("ann", 300, agent="two", currency="EUR"),
        *(make_new_account(name, 100) for name in ("excluded", "blocked", "limited")),
        *(make_new_account(name, currency="EUR") for name in ("rich", "newcomer")),
    ]
    excluded, blocked, limited, *_ = (await create_players(store, *players))[-5:]
    await store.limits.request_exclusion(excluded.player_key, NOW + 365 * DAY_MS, NOW)
    await store.accounts.set_player_status(blocked.player_key, PlayerStatus.BLOCKED)
    (account,) = limited.accounts
    await store.limits.request_limit(LimitChange(account.account_id, LimitKind.LOSS, LimitPeriod.DAY, 50), NOW)


async def play(store: Store, steps: Sequence[Step], now_ms: int) -> list[Outcome]:
    """Apply the commands one after another, one ms apart, and return their outcomes."""
    return [(await store.apply([step.build_command()], now_ms + number))[0] for number, step in enumerate(steps)]


def get_result(outcome: Outcome) -> object:
    """Return the outcome as a Step states it."""
    match outcome:
        case Applied(entry):
            return entry.state
        case Replayed():
            return None
        case Refused(refusal):
            return refusal
        case GroupApplied(outcomes):
            return tuple(get_result(each) for each in outcomes)
        case _:
            raise AssertionError(outcome)


def get_entries(outcome: Outcome) -> Sequence[Entry]:
    """Return the entries that the outcome names as applied, now or earlier."""
    match outcome:
        case Applied(entry) | Replayed(entry):
            return [entry]
        case GroupApplied(outcomes):
            return [each.entry for each in outcomes]
        case _:
            return []


def find_surprises(steps: Sequence[Step], outcomes: Sequence[Outcome]) -> list[tuple[Step, object]]:
    """Return the steps with another result than the stated one, each with its result."""
    results = [(step, get_result(outcome)) for step, outcome in zip(steps, outcomes, strict=True)]
    return [(step, result) for step, result in results if result != step.result]


def find_false_retries(
    steps: Sequence[Step], first: Sequence[Outcome], again: Sequence[Outcome]
) -> list[tuple[Step, Outcome]]:
    """Return the steps whose retry got another result than the stated one, or another entry than the first call."""
    return [
        (step, retried)
        for step, outcome, retried in zip(steps, first, again, strict=True)
        if get_result(retried) != step.expected_retry
        or (get_entries(retried) and get_entries(retried) != get_entries(outcome))
    ]


async def read_entries(store: Store) -> list[Entry]:
    """Return the entries of all accounts, oldest first. Assert that an audit finds no problem."""
    page = await store.ledger.read_audit_page(0, 10_000)
    assert page.accounts is not None
    audit = Audit()
    audit.register(page.owners)
    audit.add(page.rows)
    audit.finish(page.accounts)
    assert audit.problems == []
    return (await store.ledger.read_entries([*page.owners], 10_000))[::-1]
