"""Descriptions of entries and rounds on pages."""

import pytest

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.commands import (
    Adjust,
    Bet,
    BetWin,
    Cancel,
    Deposit,
    EndRound,
    MoneyCommand,
    Rollback,
    RollbackRound,
    Settle,
    Win,
    WinCategory,
    Withdraw,
)
from minwallet.ledger.entries import Refusal
from minwallet.storage.models import OPENING_PROTOCOL
from minwallet.web.backoffice.descriptions import (
    describe_entry,
    describe_round,
    parse_actor_and_reason,
    parse_category,
)
from minwallet.web.refusal_texts import REFUSAL_TEXTS
from tests.ledger.in_memory_ledger import InMemoryLedger

ANN_ACCOUNT = AccountRef("default", "ann", "USD")

INITIAL_DEPOSIT = Deposit("start", 10_00, 5_00, '{"by": "admin eve", "reason": "a gift"}')


def build_ledger(*commands: MoneyCommand) -> InMemoryLedger:
    """Return a ledger in which ann has 10.00 of cash and 5.00 of bonus, after these commands."""
    book = InMemoryLedger()
    for command in (INITIAL_DEPOSIT, *commands):
        book.execute(command)
    return book


@pytest.mark.parametrize(
    ("commands", "text"),
    [
        ([], "10.00 USD of cash and 5.00 USD of bonus was deposited for ann."),
        ([Withdraw("w", 2_00)], "2.00 USD of cash was withdrawn from ann."),
        ([Adjust("a", 2_00)], "2.00 USD of cash was added to ann's account as an adjustment."),
        ([Adjust("a", 0, -2_00)], "2.00 USD of bonus was taken from ann's account as an adjustment."),
        ([Bet("1", 3_00, "1")], "ann bet 3.00 USD."),
        ([Bet("1", 12_00, "1")], "ann bet 12.00 USD (10.00 cash, 2.00 bonus)."),
        (
            [Bet("1", 99_00, "1")],
            "ann's bet of 99.00 USD was refused permanently: the balance was too low. No money moved.",
        ),
        ([Bet("1", 3_00, "1"), Win("2", 7_00, "1")], "ann won 7.00 USD."),
        ([Bet("1", 3_00, "1"), Settle("1", 0)], "ann's round was settled without a win."),
        (
            [Win("2", 7_00, "1")],
            "ann won 7.00 USD without a known bet."
            " The win was paid, because its bet may be older than this wallet, or lost.",
        ),
        ([BetWin("1", 3_00, 7_00)], "ann bet 3.00 USD and won 7.00 USD in one step."),
        ([Bet("1", 3_00, "1"), Cancel("1")], "The bet was cancelled: 3.00 USD returned to ann."),
        (
            [Bet("1", 12_00, "1"), Cancel("1")],
            "The bet was cancelled: 12.00 USD returned to ann (10.00 cash, 2.00 bonus).",
        ),
        ([BetWin("1", 3_00, 7_00), Cancel("1")], "The bet was cancelled: 4.00 USD was taken back."),
        (
            [Cancel("1")],
            "A cancel of an id that took no money. The id is closed permanently, so a late bet is refused."
            " No money moved.",
        ),
        (
            [Bet("1", 12_00, "1"), Rollback("r", "1", 3_00)],
            "A rollback of transaction 1: 3.00 USD returned to ann (1.00 cash, 2.00 bonus).",
        ),
        ([BetWin("1", 3_00, 7_00), Rollback("r", "1")], "A rollback of transaction 1: 4.00 USD was taken back."),
        ([Win("w", 7_00), Rollback("r", "w", 2_00)], "A rollback of transaction w: 2.00 USD was taken back."),
        (
            [Win("w", 7_00), Bet("1", 12_00, "1"), Rollback("r", "w", clamp=True)],
            "A rollback of transaction w: 5.00 USD was taken back. ann had spent the other 2.00 USD.",
        ),
        (
            [Rollback("r", "1")],
            "A rollback of transaction 1, which took no money. That id is closed permanently, so a late bet is refused."
            " No money moved.",
        ),
        ([Bet("1", 3_00, "1"), RollbackRound("r", "1")], "The round was rolled back: 3.00 USD returned to ann."),
        (
            [RollbackRound("r", "1")],
            "A rollback of a round that moved no money. The round is closed permanently, so a late bet is refused."
            " No money moved.",
        ),
        ([EndRound("e", "1")], "The round ended, so its bets are settled. No money moved."),
        ([Win("w", 7_00, category=WinCategory.JACKPOT)], "ann won 7.00 USD as a jackpot."),
        ([Win("w", 7_00, "9", category=WinCategory.FREE_ROUND)], "ann won 7.00 USD in a free round."),
    ],
)
def test_an_entry_is_described(commands: list[MoneyCommand], text: str) -> None:
    """The text has the kind, the amounts, or the reason of a refusal."""
    assert describe_entry(build_ledger(*commands).entries[-1], ANN_ACCOUNT) == text


def test_an_opening_balance_is_not_a_deposit() -> None:
    """It is described as an opening balance."""
    entry = build_ledger().entries[0]._replace(protocol=OPENING_PROTOCOL, detail=None)
    assert describe_entry(entry, ANN_ACCOUNT) == "ann's account started with 15.00 USD (10.00 cash, 5.00 bonus)."
    assert parse_actor_and_reason(entry) == ("", "")


def test_actor_and_reason_are_parsed() -> None:
    """Each is optional; a provider's details have neither."""
    book = build_ledger(Bet("1", 3_00, "1", None, '{"by":"a game"}'), Withdraw("w", 1))
    book.execute(Adjust("a", 1, 0, INITIAL_DEPOSIT.detail))
    known, unknown = ("admin eve", "a gift"), ("", "")
    assert [parse_actor_and_reason(entry) for entry in book.entries] == [known, unknown, unknown, known]


def test_every_refusal_has_a_text() -> None:
    """A new refusal without a text fails this test."""
    assert set(REFUSAL_TEXTS) == set(Refusal)


@pytest.mark.parametrize(
    ("commands", "word", "text"),
    [
        ([Bet("1", 3_00, "1")], "open", "3.00 USD staked; no result or cancel yet."),
        ([Bet("1", 3_00, "1"), Win("2", 7_00, "1")], "settled", "3.00 USD staked, 7.00 USD won."),
        (
            [Bet("1", 3_00, "1"), Win("2", 7_00, "1"), Bet("3", 1_00, "1")],
            "open",
            "4.00 USD staked, and 7.00 USD won so far; no result or cancel yet.",
        ),
        (
            [Bet("1", 3_00, "1"), Bet("2", 1_00, "1"), Cancel("2"), Win("3", 0, "1")],
            "settled",
            "3.00 USD staked, 0.00 USD won.",
        ),
        ([BetWin("1", 3_00, 7_00)], "settled", "3.00 USD staked, 7.00 USD won."),
        ([Bet("1", 3_00, "1"), Cancel("1")], "cancelled", "Cancelled; 3.00 USD staked and returned."),
        ([Bet("1", 99_00, "1")], "refused", "All bets were refused; no money moved."),
        ([Cancel("1", "1")], "closed", "Cancelled before a bet arrived; no money moved."),
        ([Win("2", 7_00, "1")], "orphan", "7.00 USD won without a known bet."),
        ([Bet("1", 3_00, "1"), Rollback("r", "1", 1_00)], "open", "2.00 USD staked; no result or cancel yet."),
        ([Bet("1", 3_00, "1"), Rollback("r", "1")], "cancelled", "Cancelled; 3.00 USD staked and returned."),
        (
            [Bet("1", 3_00, "1"), Win("2", 7_00, "1"), Rollback("r", "2", 2_00)],
            "settled",
            "3.00 USD staked, 5.00 USD won.",
        ),
        (
            [Bet("1", 3_00, "1"), Win("2", 7_00, "1"), Rollback("r", "2")],
            "open",
            "3.00 USD staked; no result or cancel yet.",
        ),
        ([Win("2", 7_00, "1"), Rollback("r", "2")], "cancelled", "All wins were rolled back."),
        (
            [Bet("1", 3_00, "1"), Win("2", 7_00, "1"), RollbackRound("r", "1")],
            "cancelled",
            "Rolled back as a whole: 4.00 USD was taken back.",
        ),
        ([RollbackRound("r", "1")], "closed", "Cancelled before a bet arrived; no money moved."),
        ([Bet("1", 3_00, "1"), EndRound("e", "1")], "settled", "3.00 USD staked, 0.00 USD won."),
        ([EndRound("e", "1")], "settled", "The round ended without a known bet; no money moved."),
    ],
)
def test_a_round_is_described_by_its_status(commands: list[MoneyCommand], word: str, text: str) -> None:
    """Stake and payout are without cancelled bets."""
    assert describe_round(build_ledger(*commands).entries[1:], ANN_ACCOUNT) == (word, text)


@pytest.mark.parametrize("detail", [None, "", "no JSON", "[]", "{}", '{"category":"gift"}', '{"total_used":1}'])
def test_a_win_without_a_known_category_has_none(detail: str | None) -> None:
    """The detail of a result belongs to its protocol, and may be anything."""
    win = build_ledger(Win("w", 7_00)).entries[-1]
    assert parse_category(win._replace(detail=detail)) is None
    assert parse_category(win._replace(detail='{"category":"tip"}')) is WinCategory.TIP
