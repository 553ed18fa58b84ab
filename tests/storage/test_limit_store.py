"""Tests of limits and exclusions, with every engine, and with a file from before limits."""

from pathlib import Path

import pytest

from minwallet.ledger.commands import (
    Adjust,
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
from minwallet.ledger.time_units import DAY_MS
from minwallet.storage.limit_store import LimitChange
from minwallet.storage.models import OPERATOR_PROTOCOL, AccountCommand
from minwallet.storage.sqlite import SqliteStore
from minwallet.storage.store import Store
from tests.storage.older_schema import copy_to_older_schema
from tests.storage.store_helpers import (
    NOW,
    VELA,
    WALLET_V2,
    Run,
    create_players,
    make_command,
    make_new_account,
    make_operator_command,
)

TODAY = NOW // DAY_MS


class LimitedAccount:
    """One account in a store, with short methods for its commands."""

    def __init__(self, store: Store, run: Run, account_id: int = 1) -> None:
        self.store, self.run, self.account_id = store, run, account_id
        self.now_ms = NOW

    def request_limit(self, kind: LimitKind, per: LimitPeriod, cents: int | None) -> None:
        self.run(self.store.limits.request_limit(LimitChange(self.account_id, kind, per, cents), self.now_ms))

    def request_exclusion(self, until_ms: int | None, player_key: int = 1) -> None:
        self.run(self.store.limits.request_exclusion(player_key, until_ms, self.now_ms))

    def apply(self, command: MoneyCommand, protocol: str = WALLET_V2) -> object:
        """Apply the command. Return Applied, Replayed or the refusal."""
        is_operators = protocol == OPERATOR_PROTOCOL
        asked = (
            make_operator_command(command, self.account_id)
            if is_operators
            else make_command(command, self.account_id, protocol)
        )
        (outcome,) = self.run(self.store.apply([asked], self.now_ms))
        return outcome.refusal if isinstance(outcome, Refused) else type(outcome)

    def deposit(self, reference: str, cents: int) -> object:
        return self.apply(Deposit(reference, cents), OPERATOR_PROTOCOL)

    @property
    def restrictions(self) -> PlayerRestrictions:
        return self.run(self.store.limits.find_restrictions(self.account_id, self.now_ms))


@pytest.fixture
def ann(store: Store, run: Run) -> LimitedAccount:
    """Return the account of ann, who has 100 in one currency and nothing in another. Bob has one account."""
    run(
        create_players(
            store,
            make_new_account("ann", 100, 50),
            make_new_account("ann", currency="EUR"),
            make_new_account("bob", 100),
        )
    )
    return LimitedAccount(store, run)


def test_an_account_without_limits_is_not_limited(ann: LimitedAccount) -> None:
    """An account without limits has no counted usage."""
    ann.apply(Bet("1", 10, "1"))
    assert ann.restrictions == UNRESTRICTED


def test_a_limit_counts_what_was_before_it(ann: LimitedAccount) -> None:
    """Usage is counted per day: deposits with the first one, and lost cash less payouts and refunds."""
    ann.now_ms = NOW - DAY_MS
    ann.deposit("r1", 7)
    ann.apply(Bet("1", 30, "1"))
    ann.now_ms = NOW
    for command in (Bet("2", 20, "2"), Cancel("2"), Win("3", 4, "1"), BetWin("4", 10, 1), Withdraw("w", 5)):
        ann.apply(command, OPERATOR_PROTOCOL if isinstance(command, Withdraw) else VELA)
    ann.request_limit(LimitKind.LOSS, LimitPeriod.WEEK, 60)
    expected = PlayerRestrictions(
        limits=(Limit(LimitKind.LOSS, LimitPeriod.WEEK, EffectiveValue(60)),),
        daily_usage=(DailyUsage(TODAY - 1, 7, 30), DailyUsage(TODAY, 100, 5)),
    )
    assert ann.restrictions == expected
    assert ann.apply(Bet("5", 26, "5")) is Refusal.LOSS_LIMIT
    assert ann.apply(Bet("6", 25, "6")) is Applied
    assert ann.apply(Bet("7", 1, "7"), VELA) is Refusal.LOSS_LIMIT
    assert ann.apply(Win("8", 1, "6")) is Applied
    assert ann.apply(Bet("9", 1, "9")) is Applied
    ann.request_limit(LimitKind.DEPOSIT, LimitPeriod.WEEK, 107)
    assert ann.restrictions.daily_usage == (DailyUsage(TODAY - 1, 7, 30), DailyUsage(TODAY, 100, 30))


def test_what_was_long_before_is_forgotten(ann: LimitedAccount) -> None:
    """A month is 30 days, for an old limit and for a new one."""
    ann.request_limit(LimitKind.DEPOSIT, LimitPeriod.MONTH, 100)
    assert ann.deposit("r1", 1) is Refusal.DEPOSIT_LIMIT
    ann.now_ms = (TODAY + 30) * DAY_MS - 1
    assert ann.deposit("r1", 1) is Refusal.DEPOSIT_LIMIT
    ann.now_ms += 1
    assert ann.deposit("r1", 100) is Applied
    assert ann.restrictions.daily_usage == (DailyUsage(TODAY + 30, 100, 0),)
    bob = LimitedAccount(ann.store, ann.run, 3)
    bob.now_ms = ann.now_ms
    bob.request_limit(LimitKind.DEPOSIT, LimitPeriod.MONTH, 100)
    assert bob.restrictions.daily_usage == ()
    assert bob.deposit("r3", 100) is Applied


def test_limits_are_of_one_account(ann: LimitedAccount) -> None:
    """A limit applies neither to the player's other currency nor to another player."""
    ann.request_limit(LimitKind.DEPOSIT, LimitPeriod.DAY, 0)
    ann.request_limit(LimitKind.LOSS, LimitPeriod.DAY, 0)
    for number in (2, 3):
        other = LimitedAccount(ann.store, ann.run, number)
        assert other.restrictions == UNRESTRICTED
        assert other.deposit(f"to {number}", 10) is Applied
        assert other.apply(Bet(f"{number}", 10, "1")) is Applied


def test_a_higher_limit_holds_after_a_day(ann: LimitedAccount) -> None:
    """A bet that the lower limit refused stays refused. A deposit does not."""
    ann.request_limit(LimitKind.LOSS, LimitPeriod.DAY, 10)
    ann.request_limit(LimitKind.DEPOSIT, LimitPeriod.DAY, 150)
    ann.request_limit(LimitKind.LOSS, LimitPeriod.DAY, None)
    ann.request_limit(LimitKind.DEPOSIT, LimitPeriod.DAY, 200)
    assert ann.apply(Bet("1", 20, "1")) is Refusal.LOSS_LIMIT
    assert ann.deposit("r1", 160) is Refusal.DEPOSIT_LIMIT
    ann.now_ms += COOLING_OFF_MS - 1
    assert ann.deposit("r1", 160) is Refusal.DEPOSIT_LIMIT
    ann.now_ms += 1
    assert ann.deposit("r1", 160) is Applied
    assert ann.apply(Bet("1", 20, "1")) is Refusal.LOSS_LIMIT
    assert ann.apply(Bet("2", 20, "2")) is Applied


def test_an_excluded_player_neither_bets_nor_is_given_money(ann: LimitedAccount) -> None:
    """The exclusion covers all currencies until its end. Queries, wins and withdrawals still work."""
    assert ann.apply(Bet("1", 10, "1")) is Applied
    ann.request_exclusion(NOW + 10)
    ann.request_exclusion(None)
    assert ann.restrictions == PlayerRestrictions(EffectiveValue(NOW + 10))
    assert ann.apply(Bet("2", 0, "2")) is Refusal.PLAYER_EXCLUDED
    assert LimitedAccount(ann.store, ann.run, 2).deposit("r1", 1) is Refusal.PLAYER_EXCLUDED
    assert LimitedAccount(ann.store, ann.run, 3).deposit("r1", 1) is Applied
    question = AccountCommand(Balance(), WALLET_V2, 1)
    assert ann.run(ann.store.dry_run(question, NOW)) == BalanceShown(90, 50)
    asked = ann.run(ann.store.dry_run(question._replace(command=Authenticate()), NOW))
    assert asked == Refused(Refusal.PLAYER_EXCLUDED, 90, 50)
    assert ann.apply(Bet("1", 10, "1")) is Replayed
    assert ann.apply(Win("3", 5, "1")) is Applied
    assert ann.apply(Withdraw("w", 5), OPERATOR_PROTOCOL) is Applied
    ann.now_ms = NOW + 10
    assert ann.apply(Bet("2", 0, "2")) is Refusal.PLAYER_EXCLUDED
    assert ann.apply(Bet("4", 1, "4")) is Applied
    assert ann.deposit("r2", 1) is Applied


def test_an_adjustment_is_neither_a_deposit_nor_a_loss(ann: LimitedAccount) -> None:
    """It counts neither in the backfill of a first limit nor after it, and no limit or exclusion refuses it."""
    adjustments = [Adjust("a", 40), Adjust("b", -30, 5)]
    for command in adjustments:
        assert ann.apply(command, OPERATOR_PROTOCOL) is Applied
    ann.request_limit(LimitKind.DEPOSIT, LimitPeriod.DAY, 100)
    ann.request_limit(LimitKind.LOSS, LimitPeriod.DAY, 0)
    ann.request_exclusion(NOW + DAY_MS)
    assert ann.restrictions.daily_usage == (DailyUsage(TODAY, 100, 0),)
    for command in adjustments:
        assert ann.apply(command, OPERATOR_PROTOCOL) is Replayed
        assert ann.apply(command._replace(id=f"{command.id}2"), OPERATOR_PROTOCOL) is Applied
    assert ann.restrictions.daily_usage == (DailyUsage(TODAY, 100, 0),)


def test_an_account_begins_with_what_it_is_given(ann: LimitedAccount) -> None:
    """The first deposit of an account is never refused, but it counts as a deposit."""
    ann.request_exclusion(NOW + DAY_MS)
    ann.run(create_players(ann.store, make_new_account("ann", 70, currency="FUN")))
    new = LimitedAccount(ann.store, ann.run, 4)
    new.request_limit(LimitKind.DEPOSIT, LimitPeriod.DAY, 69)
    assert new.restrictions.daily_usage == (DailyUsage(TODAY, 70, 0),)


def test_no_sum_is_too_large_for_a_win(ann: LimitedAccount) -> None:
    """Turnover beyond 64 bits is counted correctly, and a win does not fail."""
    ann.request_limit(LimitKind.LOSS, LimitPeriod.DAY, MAX_CENTS)
    ann.apply(Withdraw("all", 100, 50), OPERATOR_PROTOCOL)
    for number in range(3):
        assert ann.deposit(f"d{number}", MAX_CENTS) is Applied
        assert ann.apply(Withdraw(f"w{number}", MAX_CENTS), OPERATOR_PROTOCOL) is Applied
    assert ann.restrictions.daily_usage == (DailyUsage(TODAY, 100 + 3 * MAX_CENTS, 0),)
    for number in range(3):
        assert ann.apply(Win(f"{number}", MAX_CENTS)) is Applied
        assert ann.apply(Withdraw(f"v{number}", MAX_CENTS), OPERATOR_PROTOCOL) is Applied
    assert ann.deposit("last", MAX_CENTS) is Applied
    assert ann.apply(Bet("b", MAX_CENTS, "b"), VELA) is Applied
    assert ann.apply(Settle("b", 1), VELA) is Applied
    assert ann.restrictions.daily_usage == (DailyUsage(TODAY, 100 + 4 * MAX_CENTS, -2 * MAX_CENTS - 1),)
    ann.run(create_players(ann.store, make_new_account("cat", MAX_CENTS)))


def test_sums_of_what_was_before_may_be_as_large(ann: LimitedAccount) -> None:
    """The backfill of a new limit counts turnover beyond 64 bits correctly, too."""
    ann.apply(Withdraw("all", 100, 50), OPERATOR_PROTOCOL)
    for number in range(3):
        assert ann.deposit(f"d{number}", MAX_CENTS) is Applied
        assert ann.apply(Bet(f"{number}", MAX_CENTS, f"{number}")) is Applied
    ann.request_limit(LimitKind.DEPOSIT, LimitPeriod.DAY, MAX_CENTS)
    assert ann.restrictions.daily_usage == (DailyUsage(TODAY, 100 + 3 * MAX_CENTS, 3 * MAX_CENTS),)


def test_a_file_from_before_limits_gets_them(db: Path, run: Run) -> None:
    """A file from before limits gets them when it is opened, with the usage of its entries."""
    store = run(SqliteStore.open(db, create=True))
    run(create_players(store, make_new_account("ann", 100)))
    run(store.apply([make_command(Bet("1", 30, "1"), 1)], NOW))
    run(store.close())
    older = db.with_name("older.db")
    copy_to_older_schema(db, older, version=3)
    store = run(SqliteStore.open(older, create=False, check=True))
    table = LimitedAccount(store, run)
    assert table.restrictions == UNRESTRICTED
    table.request_limit(LimitKind.LOSS, LimitPeriod.DAY, 40)
    assert table.restrictions.daily_usage == (DailyUsage(TODAY, 100, 30),)
    assert table.apply(Bet("2", 11, "2")) is Refusal.LOSS_LIMIT
    run(store.close())
