"""Decision tables of rollbacks, in order of precedence: in a row that refuses, most later checks would fail too."""

import pytest

from minwallet.ledger.commands import (
    Bet,
    BetWin,
    Cancel,
    EndRound,
    MoneyCommand,
    Rollback,
    Settle,
    Win,
)
from minwallet.ledger.decide import decide
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.snapshot import Round, Snapshot
from tests.ledger.builders import (
    BONUS,
    CASH,
    EXCLUDED,
    EXPIRED,
    NOW_MS,
    OTHER,
    REVOKED,
    OutcomeSummary,
    history_of,
    snapshot,
    summarize,
)
from tests.ledger.in_memory_ledger import execute_all

BET, BETWIN, WIN = Bet("3", 500, "2", "1012"), BetWin("3", 500, 700, "1012"), Win("3", 700, "2", "1012")
ROLLBACK, PART = Rollback("5", "3"), Rollback("5", "3", 100)
EVEN_IF_SETTLED = Rollback("5", "3", even_if_settled=True)

FULL = MAX_CENTS - 200
RETURNED = OutcomeSummary("applied", 1500, 200, is_written=True)
CLOSED = OutcomeSummary("closed", is_written=True)
WON = Round(1, False, 11)


OWN_ID_TABLE: dict[str, tuple[list[MoneyCommand], str]] = {
    "a retry": ([BET, ROLLBACK, ROLLBACK], "replayed"),
    "a retry with the resolved amount of the first one": (
        [BET, ROLLBACK, Rollback("5", "3", 500)],
        "replayed",
    ),
    "a retry without the amount of the first one": ([BET, PART, ROLLBACK], "replayed"),
    "a retry with another clamp": ([WIN, ROLLBACK, Rollback("5", "3", clamp=True)], "replayed"),
    "a retry with another round, which is not content": ([ROLLBACK, Rollback("5", "3", round="9")], "replayed"),
    "a retry with another game, which is not content": ([ROLLBACK, Rollback("5", "3", game="9")], "replayed"),
    "a retry without even_if_settled": (
        [BET, Win("4", 9, "2"), Rollback("5", "3", even_if_settled=True), ROLLBACK],
        "replayed",
    ),
    "a retry after a part and the rest were rolled back": ([BET, PART, Rollback("6", "3"), PART], "replayed"),
    "a retry after its bet was cancelled": ([BET, PART, Cancel("3"), PART], "replayed"),
    "a retry of a tombstone": ([ROLLBACK, ROLLBACK], "replayed"),
    "a retry of a tombstone with an amount": ([PART, PART], "replayed"),
    "another amount": ([BET, ROLLBACK, Rollback("5", "3", 499)], "id_taken"),
    "another reference": ([BET, ROLLBACK, Rollback("5", "4")], "id_taken"),
    "the id of a bet": ([BET, Bet("5", 1, "5"), ROLLBACK], "id_taken"),
    "the id of an end of a round": ([EndRound("5", "3"), ROLLBACK], "id_taken"),
    "the id of the bet itself": ([BET, Rollback("3", "3")], "id_taken"),
    "the id of another rollback": ([BET, Rollback("5", "4"), ROLLBACK], "id_taken"),
    "an id that a cancel closed": ([BET, Cancel("5"), ROLLBACK], "cancelled"),
    "an id that a rollback closed": ([BET, Rollback("6", "5"), ROLLBACK], "cancelled"),
}


@pytest.mark.parametrize(("commands", "expected"), OWN_ID_TABLE.values(), ids=OWN_ID_TABLE)
def test_the_own_id_of_a_rollback(commands: list[MoneyCommand], expected: str) -> None:
    """A rollback has one content: its reference and its amount. Without an amount it matches the first one's."""
    assert summarize(execute_all(*commands)).result == expected


def test_a_rollback_of_another_account_is_no_retry() -> None:
    """The account is part of the content."""
    assert summarize(execute_all(BET, ROLLBACK, ROLLBACK, account_id=OTHER)) == OutcomeSummary("id_taken")


TARGET_TABLE = {
    "a bet of another player": (
        snapshot(referenced=history_of(BET, account_id=OTHER)),
        ROLLBACK,
        OutcomeSummary("id_taken"),
    ),
    "a win of another player": (
        snapshot(referenced=history_of(WIN, account_id=OTHER)),
        ROLLBACK,
        OutcomeSummary("id_taken"),
    ),
    "an id that another player's cancel closed": (
        snapshot(referenced=history_of(Cancel("3"), account_id=OTHER)),
        ROLLBACK,
        OutcomeSummary("id_taken"),
    ),
    "an id that another player's rollback closed": (
        snapshot(referenced=history_of(Rollback("9", "3"), account_id=OTHER)),
        ROLLBACK,
        OutcomeSummary("id_taken"),
    ),
    "an end of a round": (snapshot(referenced=history_of(EndRound("3", "2"))), ROLLBACK, OutcomeSummary("not_a_bet")),
    "a cancelled bet": (
        snapshot(round_=WON, referenced=history_of(BET, Cancel("3"))),
        ROLLBACK,
        OutcomeSummary("cancelled"),
    ),
    "a bet that is wholly rolled back": (
        snapshot(round_=WON, referenced=history_of(BET, Rollback("9", "3"))),
        ROLLBACK,
        OutcomeSummary("cancelled"),
    ),
    "a bet whose parts are all rolled back": (
        snapshot(referenced=history_of(BET, Rollback("8", "3", 1), Rollback("9", "3", 499))),
        ROLLBACK,
        OutcomeSummary("cancelled"),
    ),
    "a bet of 0 that is rolled back": (
        snapshot(referenced=history_of(BET._replace(stake=0), Rollback("9", "3"))),
        ROLLBACK,
        OutcomeSummary("cancelled"),
    ),
    "a win that is wholly rolled back": (
        snapshot(referenced=history_of(WIN, Rollback("9", "3"))),
        ROLLBACK,
        OutcomeSummary("cancelled"),
    ),
    "a betwin that is rolled back": (
        snapshot(referenced=history_of(BETWIN, Rollback("9", "3"))),
        ROLLBACK,
        OutcomeSummary("cancelled"),
    ),
    "an id closed by a cancel": (snapshot(referenced=history_of(Cancel("3"))), ROLLBACK, OutcomeSummary("cancelled")),
    "an id closed by a rollback": (
        snapshot(referenced=history_of(Rollback("9", "3"))),
        ROLLBACK,
        OutcomeSummary("cancelled"),
    ),
    "a bet of a round that is rolled back": (
        snapshot(round_=Round(0, True, is_rolled_back=True), referenced=history_of(BET)),
        ROLLBACK,
        OutcomeSummary("cancelled"),
    ),
    "an unknown id": (snapshot(), ROLLBACK, CLOSED),
    "an unknown id with an amount": (snapshot(), PART, CLOSED),
    "a refused bet": (snapshot(round_=WON, referenced=history_of(BET, cash=0)), ROLLBACK, CLOSED),
    "a refused bet with an amount above its stake": (
        snapshot(referenced=history_of(BET, cash=0)),
        Rollback("5", "3", 501),
        CLOSED,
    ),
    "a bet with a result": (
        snapshot(referenced=history_of(BET, Settle("3", 0))),
        Rollback("5", "3", 501),
        OutcomeSummary("round_settled"),
    ),
    "the last standing bet before a win": (
        snapshot(round_=WON, referenced=history_of(BET)),
        Rollback("5", "3", 501),
        OutcomeSummary("round_settled"),
    ),
    "a bet with a result that it survives": (
        snapshot(referenced=history_of(BET, Settle("3", 0))),
        EVEN_IF_SETTLED,
        RETURNED,
    ),
    "the last standing bet before a win that it survives": (
        snapshot(round_=WON, referenced=history_of(BET)),
        EVEN_IF_SETTLED,
        RETURNED,
    ),
    "more than the stake of a settled bet": (
        snapshot(round_=WON, referenced=history_of(BET)),
        Rollback("5", "3", 501, even_if_settled=True),
        OutcomeSummary("out_of_range"),
    ),
    "a settled bet that is rolled back already": (
        snapshot(round_=WON, referenced=history_of(BET, Rollback("9", "3"))),
        EVEN_IF_SETTLED,
        OutcomeSummary("cancelled"),
    ),
    "a settled bet of a round that is rolled back": (
        snapshot(round_=Round(0, True, 11, is_rolled_back=True), referenced=history_of(BET)),
        EVEN_IF_SETTLED,
        OutcomeSummary("cancelled"),
    ),
    "a bet before a win, while another one stands": (
        snapshot(round_=Round(2, False, 11), referenced=history_of(BET)),
        ROLLBACK,
        RETURNED,
    ),
    "a bet after a win": (snapshot(round_=Round(1, False, 9), referenced=history_of(BET)), ROLLBACK, RETURNED),
    "more than the stake": (
        snapshot(FULL, referenced=history_of(BET)),
        Rollback("5", "3", 501),
        OutcomeSummary("out_of_range", FULL),
    ),
    "a negative amount": (
        snapshot(referenced=history_of(BET)),
        Rollback("5", "3", -1),
        OutcomeSummary("out_of_range"),
    ),
    "more than is left of the stake": (
        snapshot(FULL, referenced=history_of(BET, Rollback("9", "3", 1))),
        Rollback("5", "3", 500),
        OutcomeSummary("out_of_range", FULL),
    ),
    "more than the payout": (
        snapshot(0, referenced=history_of(WIN)),
        Rollback("5", "3", 701, clamp=True),
        OutcomeSummary("out_of_range", 0),
    ),
    "a part of a betwin": (snapshot(referenced=history_of(BETWIN)), PART, OutcomeSummary("out_of_range")),
    "a win of which a cent is spent": (
        snapshot(699, referenced=history_of(WIN)),
        ROLLBACK,
        OutcomeSummary("win_spent", 699),
    ),
    "a net win of which a cent is spent": (
        snapshot(199, MAX_CENTS - 199, referenced=history_of(BETWIN)),
        ROLLBACK,
        OutcomeSummary("win_spent", 199, MAX_CENTS - 199),
    ),
    "a stake above the maximum balance": (
        snapshot(FULL - 499, referenced=history_of(BET)),
        ROLLBACK,
        OutcomeSummary("out_of_range", FULL - 499),
    ),
    "the maximum balance may be reached": (
        snapshot(FULL - 500, referenced=history_of(BET)),
        ROLLBACK,
        OutcomeSummary("applied", FULL, is_written=True),
    ),
}


@pytest.mark.parametrize(("before", "command", "expected"), TARGET_TABLE.values(), ids=TARGET_TABLE)
def test_the_target_of_a_rollback(before: Snapshot, command: Rollback, expected: OutcomeSummary) -> None:
    """A rollback reverses a bet, betwin or win of the same player once, unless the bet is settled or the win spent."""
    assert summarize(decide(before, command, NOW_MS)) == expected


AMOUNTS_TABLE = {
    "cash goes back to cash": (snapshot(referenced=history_of(BET)), ROLLBACK, (1500, 200)),
    "bonus goes back to bonus": (snapshot(referenced=history_of(BET, cash=0, bonus=500)), ROLLBACK, (1000, 700)),
    "both go back to both": (snapshot(referenced=history_of(BET, cash=400, bonus=100)), ROLLBACK, (1400, 300)),
    "the whole stake may be named": (snapshot(referenced=history_of(BET)), Rollback("5", "3", 500), (1500, 200)),
    "a part of a cash stake is cash": (snapshot(referenced=history_of(BET)), PART, (1100, 200)),
    "a part goes back to bonus first": (
        snapshot(referenced=history_of(BET, cash=400, bonus=100)),
        Rollback("5", "3", 70),
        (1000, 270),
    ),
    "and then to cash": (
        snapshot(referenced=history_of(BET, cash=400, bonus=100)),
        Rollback("5", "3", 130),
        (1030, 300),
    ),
    "a second part continues where the first one ended": (
        snapshot(referenced=history_of(BET, Rollback("9", "3", 70), cash=400, bonus=100)),
        Rollback("5", "3", 70),
        (1040, 230),
    ),
    "without an amount the rest is returned": (
        snapshot(referenced=history_of(BET, Rollback("9", "3", 130), cash=400, bonus=100)),
        ROLLBACK,
        (1370, 200),
    ),
    "a part may be 0": (snapshot(referenced=history_of(BET)), Rollback("5", "3", 0), (1000, 200)),
    "a win is taken from cash": (snapshot(referenced=history_of(WIN)), ROLLBACK, (300, 200)),
    "all cash may be taken": (snapshot(700, referenced=history_of(WIN)), ROLLBACK, (0, 200)),
    "a part of a win": (snapshot(referenced=history_of(WIN)), PART, (900, 200)),
    "the rest of a win": (snapshot(referenced=history_of(WIN, Rollback("9", "3", 100))), ROLLBACK, (400, 200)),
    "a clamped win takes the cash that is left": (
        snapshot(50, referenced=history_of(WIN)),
        Rollback("5", "3", clamp=True),
        (0, 200),
    ),
    "a clamp takes no less than it can": (
        snapshot(referenced=history_of(WIN)),
        Rollback("5", "3", clamp=True),
        (300, 200),
    ),
    "a net win is taken from cash": (snapshot(200, referenced=history_of(BETWIN)), ROLLBACK, (0, 200)),
    "a clamped net win": (
        snapshot(50, 0, referenced=history_of(BETWIN, cash=400, bonus=100)),
        Rollback("5", "3", clamp=True),
        (0, 100),
    ),
    "a net loss is returned": (
        snapshot(referenced=history_of(BETWIN._replace(payout=100))),
        Rollback("5", "3", 500),
        (1400, 200),
    ),
    "an expired session does not matter": (
        snapshot(session=EXPIRED, referenced=history_of(BET)),
        ROLLBACK,
        (1500, 200),
    ),
    "a revoked session does not matter": (snapshot(session=REVOKED, referenced=history_of(WIN)), ROLLBACK, (300, 200)),
    "a block does not matter": (snapshot(is_blocked=True, referenced=history_of(BET)), ROLLBACK, (1500, 200)),
    "an exclusion does not matter": (
        snapshot(restrictions=EXCLUDED, referenced=history_of(BET)),
        ROLLBACK,
        (1500, 200),
    ),
}


@pytest.mark.parametrize(("before", "command", "balances"), AMOUNTS_TABLE.values(), ids=AMOUNTS_TABLE)
def test_the_amounts_of_a_rollback(before: Snapshot, command: Rollback, balances: tuple[int, int]) -> None:
    """A rollback moves what its target moved back to where it came from. No balance becomes negative."""
    expected = OutcomeSummary("applied", *balances, is_written=True)
    assert summarize(decide(before, command, NOW_MS)) == expected


TARGET_ID_TABLE: dict[str, tuple[list[MoneyCommand], str]] = {
    "a late bet": ([ROLLBACK, BET], "cancelled"),
    "a late betwin": ([ROLLBACK, BETWIN], "cancelled"),
    "a late win": ([ROLLBACK, WIN], "cancelled"),
    "a late result": ([ROLLBACK, Settle("3", 9)], "no_open_bet"),
    "a late rollback": ([Rollback("6", "5"), ROLLBACK], "cancelled"),
    "a late end": ([ROLLBACK, EndRound("3", "2")], "cancelled"),
    "an end whose id a cancel closed": ([Cancel("3"), EndRound("3", "2")], "cancelled"),
    "a cancel of a closed id": ([ROLLBACK, Cancel("3")], "cancelled"),
    "a retry of a bet that is rolled back": ([BET, ROLLBACK, BET], "cancelled"),
    "a retry of a bet that is rolled back in part": ([BET, PART, BET], "replayed"),
    "a retry of a betwin that is rolled back": ([BETWIN, ROLLBACK, BETWIN], "cancelled"),
    "a retry of a win that is rolled back": ([WIN, ROLLBACK, WIN], "cancelled"),
    "a retry of a win that is rolled back in part": ([WIN, PART, WIN], "replayed"),
    "another content of a bet that is rolled back in part": ([BET, PART, BET._replace(stake=1)], "id_taken"),
    "a result of a bet that is rolled back": ([BET, ROLLBACK, Settle("3", 9)], "no_open_bet"),
    "a result of a bet that is rolled back in part": ([BET, PART, Settle("3", 9)], "applied"),
    "a cancel of a bet that is rolled back": ([BET, ROLLBACK, Cancel("3")], "cancelled"),
    "a retry of a cancel after a part": ([BET, PART, Cancel("3"), Cancel("3")], "replayed"),
    "a cancel of a rollback": ([BET, ROLLBACK, Cancel("5")], "not_a_bet"),
    "a rollback of a rollback": ([BET, ROLLBACK, Rollback("6", "5")], "not_a_bet"),
    "a win of a round whose bet is rolled back": ([BET, ROLLBACK, Win("4", 9, "2")], "round_cancelled"),
    "a win of a round whose bet is rolled back in part": ([BET, PART, Win("4", 9, "2")], "applied"),
    "a bet whose win is rolled back": ([BET, Win("4", 9, "2"), Rollback("6", "4"), ROLLBACK], "applied"),
    "a bet whose win is rolled back in part": (
        [BET, Win("4", 9, "2"), Rollback("6", "4", 8), ROLLBACK],
        "round_settled",
    ),
    "a cancel of a bet whose win is rolled back": ([BET, Win("4", 9, "2"), Rollback("6", "4"), Cancel("3")], "applied"),
    "a refund of an id of its own": ([Rollback("3", "3"), Rollback("3", "3")], "replayed"),
    "a late bet with the id of such a refund": ([Rollback("3", "3"), BET], "cancelled"),
}


@pytest.mark.parametrize(("commands", "expected"), TARGET_ID_TABLE.values(), ids=TARGET_ID_TABLE)
def test_an_id_that_a_rollback_refers_to(commands: list[MoneyCommand], expected: str) -> None:
    """An id that is wholly rolled back, before or after its transaction, moves no money any more."""
    assert summarize(execute_all(*commands)).result == expected


def test_a_cancel_returns_what_refunds_have_left() -> None:
    """The parts of the stake go back to cash and bonus exactly as they were taken."""
    bet = Bet("3", 1100, "2")
    parts = [Rollback("4", "3", 30), Rollback("5", "3", 130)]
    assert summarize(execute_all(bet, *parts))[1:3] == (60, 200)
    assert summarize(execute_all(bet, *parts, Cancel("3"))) == OutcomeSummary("applied", CASH, BONUS, is_written=True)
