"""What protects players is kept, counted and heeded by every engine, and by a file from before limits, too."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from minwallet.ledger.commands import (
    Authenticate,
    Balance,
    Bet,
    BetWin,
    Cancel,
    Deposit,
    MoneyCommand,
    Settle,
    Win,
    Withdraw,
)
from minwallet.ledger.entries import Refusal
from minwallet.ledger.limits import (
    COOLING_OFF_MS,
    DAY_MS,
    UNRESTRICTED,
    DailyUsage,
    EffectiveValue,
    Limit,
    LimitKind,
    LimitPeriod,
    PlayerRestrictions,
)
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.outcomes import Applied, BalanceShown, Refused, Replayed
from minwallet.storage.base import OPERATOR, Order, Store
from minwallet.storage.limits import LimitAsked
from minwallet.storage.sqlite import SqliteStore
from tests.storage.shelf import NOW, VELA, WALLET_V2, Run, opening, operator, order, players

TODAY = NOW // DAY_MS

NEW_TABLES = ("spent", "limits", "exclusions")


class Table:
    """One account of a store that has it, and what happens to it."""

    def __init__(self, store: Store, run: Run, account_id: int = 1) -> None:
        self.store, self.run, self.account_id = store, run, account_id
        self.now_ms = NOW

    def limit(self, kind: LimitKind, per: LimitPeriod, cents: int | None) -> None:
        self.run(self.store.ask_limit(LimitAsked(self.account_id, kind, per, cents), self.now_ms))

    def exclude(self, until_ms: int | None, player_key: int = 1) -> None:
        self.run(self.store.ask_exclusion(player_key, until_ms, self.now_ms))

    def do(self, command: MoneyCommand, protocol: str = WALLET_V2) -> object:
        """Applied, Replayed or the refusal."""
        is_operators = protocol == OPERATOR
        asked = operator(command, self.account_id) if is_operators else order(command, self.account_id, protocol)
        (outcome,) = self.run(self.store.apply([asked], self.now_ms))
        return outcome.refusal if isinstance(outcome, Refused) else type(outcome)

    def give(self, reference: str, cents: int) -> object:
        return self.do(Deposit(reference, cents), OPERATOR)

    @property
    def guard(self) -> PlayerRestrictions:
        return self.run(self.store.find_guard(self.account_id, self.now_ms))


@pytest.fixture
def ann(store: Store, run: Run) -> Table:
    """Ann has 100 in one currency and nothing in another; bob is somebody else."""
    run(players(store, opening("ann", 100, 50), opening("ann", currency="EUR"), opening("bob", 100)))
    return Table(store, run)


def test_nobody_is_limited_unless_asked(ann: Table) -> None:
    """And nothing is counted."""
    ann.do(Bet("1", 10, "1"))
    assert ann.guard == UNRESTRICTED


def test_a_limit_counts_what_was_before_it(ann: Table) -> None:
    """By the day: deposits, with what the account began with; and cash that was lost, less what came back."""
    ann.now_ms = NOW - DAY_MS
    ann.give("r1", 7)
    ann.do(Bet("1", 30, "1"))
    ann.now_ms = NOW
    for command in (Bet("2", 20, "2"), Cancel("2"), Win("3", 4, "1"), BetWin("4", 10, 1), Withdraw("w", 5)):
        ann.do(command, OPERATOR if isinstance(command, Withdraw) else VELA)
    ann.limit(LimitKind.LOSS, LimitPeriod.WEEK, 60)
    expected = PlayerRestrictions(
        limits=(Limit(LimitKind.LOSS, LimitPeriod.WEEK, EffectiveValue(60)),),
        daily_usage=(DailyUsage(TODAY - 1, 7, 30), DailyUsage(TODAY, 100, 5)),
    )
    assert ann.guard == expected
    assert ann.do(Bet("5", 26, "5")) is Refusal.LOSS_LIMIT
    assert ann.do(Bet("6", 25, "6")) is Applied
    assert ann.do(Bet("7", 1, "7"), VELA) is Refusal.LOSS_LIMIT
    assert ann.do(Win("8", 1, "6")) is Applied
    assert ann.do(Bet("9", 1, "9")) is Applied
    ann.limit(LimitKind.DEPOSIT, LimitPeriod.WEEK, 107)
    assert ann.guard.daily_usage == (DailyUsage(TODAY - 1, 7, 30), DailyUsage(TODAY, 100, 30))


def test_what_was_long_before_is_forgotten(ann: Table) -> None:
    """A month is thirty days, whether a limit was there all the time or is new."""
    ann.limit(LimitKind.DEPOSIT, LimitPeriod.MONTH, 100)
    assert ann.give("r1", 1) is Refusal.DEPOSIT_LIMIT
    ann.now_ms = (TODAY + 30) * DAY_MS - 1
    assert ann.give("r1", 1) is Refusal.DEPOSIT_LIMIT
    ann.now_ms += 1
    assert ann.give("r1", 100) is Applied
    assert ann.guard.daily_usage == (DailyUsage(TODAY + 30, 100, 0),)
    bob = Table(ann.store, ann.run, 3)
    bob.now_ms = ann.now_ms
    bob.limit(LimitKind.DEPOSIT, LimitPeriod.MONTH, 100)
    assert bob.guard.daily_usage == ()
    assert bob.give("r3", 100) is Applied


def test_limits_are_of_one_account(ann: Table) -> None:
    """Neither of the player's other currency nor of another player."""
    ann.limit(LimitKind.DEPOSIT, LimitPeriod.DAY, 0)
    ann.limit(LimitKind.LOSS, LimitPeriod.DAY, 0)
    for number in (2, 3):
        other = Table(ann.store, ann.run, number)
        assert other.guard == UNRESTRICTED
        assert other.give(f"to {number}", 10) is Applied
        assert other.do(Bet(f"{number}", 10, "1")) is Applied


def test_a_higher_limit_holds_after_a_day(ann: Table) -> None:
    """And what was refused for the lower one stays refused if it was a bet, but not if it was a deposit."""
    ann.limit(LimitKind.LOSS, LimitPeriod.DAY, 10)
    ann.limit(LimitKind.DEPOSIT, LimitPeriod.DAY, 150)
    ann.limit(LimitKind.LOSS, LimitPeriod.DAY, None)
    ann.limit(LimitKind.DEPOSIT, LimitPeriod.DAY, 200)
    assert ann.do(Bet("1", 20, "1")) is Refusal.LOSS_LIMIT
    assert ann.give("r1", 160) is Refusal.DEPOSIT_LIMIT
    ann.now_ms += COOLING_OFF_MS - 1
    assert ann.give("r1", 160) is Refusal.DEPOSIT_LIMIT
    ann.now_ms += 1
    assert ann.give("r1", 160) is Applied
    assert ann.do(Bet("1", 20, "1")) is Refusal.LOSS_LIMIT
    assert ann.do(Bet("2", 20, "2")) is Applied


def test_an_excluded_player_neither_bets_nor_is_given_money(ann: Table) -> None:
    """In any currency, until the time has come; the balance is told, wins are paid and money can be taken out."""
    assert ann.do(Bet("1", 10, "1")) is Applied
    ann.exclude(NOW + 10)
    ann.exclude(None)
    assert ann.guard == PlayerRestrictions(EffectiveValue(NOW + 10))
    assert ann.do(Bet("2", 0, "2")) is Refusal.PLAYER_EXCLUDED
    assert Table(ann.store, ann.run, 2).give("r1", 1) is Refusal.PLAYER_EXCLUDED
    assert Table(ann.store, ann.run, 3).give("r1", 1) is Applied
    question = Order(Balance(), WALLET_V2, 1)
    assert ann.run(ann.store.look(question, NOW)) == BalanceShown(90, 50)
    asked = ann.run(ann.store.look(question._replace(command=Authenticate()), NOW))
    assert asked == Refused(Refusal.PLAYER_EXCLUDED, 90, 50)
    assert ann.do(Bet("1", 10, "1")) is Replayed
    assert ann.do(Win("3", 5, "1")) is Applied
    assert ann.do(Withdraw("w", 5), OPERATOR) is Applied
    ann.now_ms = NOW + 10
    assert ann.do(Bet("2", 0, "2")) is Refusal.PLAYER_EXCLUDED
    assert ann.do(Bet("4", 1, "4")) is Applied
    assert ann.give("r2", 1) is Applied


def test_an_account_begins_with_what_it_is_given(ann: Table) -> None:
    """What it is opened with is no deposit that could be refused, but counts as one."""
    ann.exclude(NOW + DAY_MS)
    ann.run(players(ann.store, opening("ann", 70, currency="FUN")))
    new = Table(ann.store, ann.run, 4)
    new.limit(LimitKind.DEPOSIT, LimitPeriod.DAY, 69)
    assert new.guard.daily_usage == (DailyUsage(TODAY, 70, 0),)


def test_no_sum_is_too_large_for_a_win(ann: Table) -> None:
    """Money may pass through an account again and again: what was deposited and lost is counted all the same."""
    ann.limit(LimitKind.LOSS, LimitPeriod.DAY, MAX_CENTS)
    ann.do(Withdraw("all", 100, 50), OPERATOR)
    for number in range(3):
        assert ann.give(f"d{number}", MAX_CENTS) is Applied
        assert ann.do(Withdraw(f"w{number}", MAX_CENTS), OPERATOR) is Applied
    assert ann.guard.daily_usage == (DailyUsage(TODAY, 100 + 3 * MAX_CENTS, 0),)
    for number in range(3):
        assert ann.do(Win(f"{number}", MAX_CENTS)) is Applied
        assert ann.do(Withdraw(f"v{number}", MAX_CENTS), OPERATOR) is Applied
    assert ann.give("last", MAX_CENTS) is Applied
    assert ann.do(Bet("b", MAX_CENTS, "b"), VELA) is Applied
    assert ann.do(Settle("b", 1), VELA) is Applied
    assert ann.guard.daily_usage == (DailyUsage(TODAY, 100 + 4 * MAX_CENTS, -2 * MAX_CENTS - 1),)
    ann.run(players(ann.store, opening("cat", MAX_CENTS)))


def test_sums_of_what_was_before_may_be_as_large(ann: Table) -> None:
    """When a limit is new, too."""
    ann.do(Withdraw("all", 100, 50), OPERATOR)
    for number in range(3):
        assert ann.give(f"d{number}", MAX_CENTS) is Applied
        assert ann.do(Bet(f"{number}", MAX_CENTS, f"{number}")) is Applied
    ann.limit(LimitKind.DEPOSIT, LimitPeriod.DAY, MAX_CENTS)
    assert ann.guard.daily_usage == (DailyUsage(TODAY, 100 + 3 * MAX_CENTS, 3 * MAX_CENTS),)


def test_a_file_from_before_limits_gets_them(db: Path, run: Run) -> None:
    """When it is opened, with all that was played before."""
    store = run(SqliteStore.open(db, create=True))
    run(players(store, opening("ann", 100)))
    run(store.apply([order(Bet("1", 30, "1"), 1)], NOW))
    run(store.close())
    with closing(sqlite3.connect(db)) as raw, raw:
        for what, name in (("TRIGGER", "transactions_count_against_limits"), *(("TABLE", n) for n in NEW_TABLES)):
            raw.execute(f"DROP {what} {name}")
        raw.execute("PRAGMA user_version = 3")
    store = run(SqliteStore.open(db, create=False, check=True))
    table = Table(store, run)
    assert table.guard == UNRESTRICTED
    table.limit(LimitKind.LOSS, LimitPeriod.DAY, 40)
    assert table.guard.daily_usage == (DailyUsage(TODAY, 100, 30),)
    assert table.do(Bet("2", 11, "2")) is Refusal.LOSS_LIMIT
    run(store.close())
