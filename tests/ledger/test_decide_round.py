"""Decision tables of the commands for a whole round: its rollback, its end, and wins that no bet earned."""

import pytest

from minwallet.ledger.commands import (
    Bet,
    BetWin,
    Cancel,
    EndRound,
    MoneyCommand,
    Rollback,
    RollbackRound,
    Settle,
    Win,
    WinCategory,
)
from minwallet.ledger.decide import decide
from minwallet.ledger.limits import LimitKind
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.snapshot import Round, Session, Snapshot
from tests.ledger.builders import (
    BONUS,
    CASH,
    EXCLUDED,
    EXPIRED,
    NOW_MS,
    OTHER,
    REVOKED,
    OutcomeSummary,
    daily_limit,
    history_of,
    snapshot,
    summarize,
)
from tests.ledger.in_memory_ledger import InMemoryLedger, execute_all

BET, WIN, ROLLBACK = Bet("3", 500, "2", checks_round=True), Win("4", 700, "2"), RollbackRound("5", "2")
CLAMPED = ROLLBACK._replace(clamp=True)
FULL = MAX_CENTS - 200
LOST, WON, ROLLED_BACK = Round(1, cash=-500), Round(1, False, 9, cash=300), Round(0, True, is_rolled_back=True)
CLOSED = OutcomeSummary("closed", is_written=True)
MOVED = OutcomeSummary("applied", is_written=True)

ROLLBACK_TABLE = {
    "an id of a bet is taken": (
        snapshot(0, round_=ROLLED_BACK, history=history_of(Bet("5", 1, "2"))),
        ROLLBACK,
        OutcomeSummary("id_taken", 0),
    ),
    "an id used for another round is taken": (
        snapshot(0, round_=ROLLED_BACK, history=history_of(RollbackRound("5", "3"))),
        ROLLBACK,
        OutcomeSummary("id_taken", 0),
    ),
    "an id used by another player is taken": (
        snapshot(0, history=history_of(ROLLBACK, account_id=OTHER)),
        ROLLBACK,
        OutcomeSummary("id_taken", 0),
    ),
    "a retry changes nothing": (
        snapshot(0, round_=ROLLED_BACK, history=history_of(ROLLBACK)),
        CLAMPED,
        OutcomeSummary("replayed", 0),
    ),
    "an id that a cancel closed is cancelled": (
        snapshot(0, round_=WON, history=history_of(Cancel("5"))),
        ROLLBACK,
        OutcomeSummary("cancelled", 0),
    ),
    "an id that a rollback closed is cancelled": (
        snapshot(0, round_=WON, history=history_of(Rollback("9", "5"))),
        ROLLBACK,
        OutcomeSummary("cancelled", 0),
    ),
    "a round is rolled back once": (
        snapshot(0, round_=WON._replace(is_rolled_back=True)),
        ROLLBACK,
        OutcomeSummary("cancelled", 0),
    ),
    "an unknown round is closed": (snapshot(), ROLLBACK, CLOSED),
    "a round without standing bets and wins is closed": (snapshot(round_=Round(0, True)), ROLLBACK, CLOSED),
    "a round without a net movement is rolled back": (snapshot(round_=Round(1, False, 9)), ROLLBACK, MOVED),
    "a bet of 0 is rolled back": (snapshot(round_=Round(1)), ROLLBACK, MOVED),
    "a round with wins alone is rolled back": (
        snapshot(round_=Round(0, False, 9, cash=300)),
        ROLLBACK,
        MOVED._replace(cash=700),
    ),
    "a loss is returned": (snapshot(round_=LOST), ROLLBACK, MOVED._replace(cash=1500)),
    "bonus is returned": (
        snapshot(round_=Round(bonus=-9, cash=-8)),
        ROLLBACK,
        MOVED._replace(cash=1008, bonus=209),
    ),
    "a win is taken": (snapshot(300, round_=WON), ROLLBACK, MOVED._replace(cash=0)),
    "a win of which a cent is spent stays": (snapshot(299, round_=WON), ROLLBACK, OutcomeSummary("win_spent", 299)),
    "bonus does not pay for a win": (
        snapshot(299, round_=WON._replace(bonus=-400)),
        ROLLBACK,
        OutcomeSummary("win_spent", 299),
    ),
    "a clamp takes the cash that is left": (snapshot(299, round_=WON), CLAMPED, MOVED._replace(cash=0)),
    "a clamp takes no more than the win": (snapshot(round_=WON), CLAMPED, MOVED._replace(cash=700)),
    "the maximum balance is kept": (
        snapshot(FULL - 499, round_=LOST),
        CLAMPED,
        OutcomeSummary("out_of_range", FULL - 499),
    ),
    "the maximum balance may be reached": (snapshot(FULL - 500, round_=LOST), ROLLBACK, MOVED._replace(cash=FULL)),
    "session, block and exclusion do not matter": (
        snapshot(session=EXPIRED, is_blocked=True, restrictions=EXCLUDED, round_=LOST),
        ROLLBACK,
        MOVED._replace(cash=1500),
    ),
}


@pytest.mark.parametrize(("before", "command", "expected"), ROLLBACK_TABLE.values(), ids=ROLLBACK_TABLE)
def test_rollback_of_a_round(before: Snapshot, command: RollbackRound, expected: OutcomeSummary) -> None:
    """A rollback of a round reverses its net movement once, whatever made it."""
    assert summarize(decide(before, command, NOW_MS)) == expected


SECOND_BET = Bet("6", 1000, "2", checks_round=True)

ROUND_HISTORY_TABLE: dict[str, list[MoneyCommand]] = {
    "a bet": [BET],
    "a bet of cash and bonus": [BET, SECOND_BET],
    "a bet and its win": [BET, WIN],
    "a bet, its win, and another bet": [BET, WIN, SECOND_BET],
    "a cancelled bet": [BET, Cancel("3"), SECOND_BET],
    "a partial refund": [Bet("3", 1100, "2"), Rollback("7", "3", 150)],
    "a win that is rolled back": [BET, WIN, Rollback("7", "4", 100)],
    "a refused bet": [BET._replace(stake=5000), SECOND_BET],
    "an orphan win": [WIN],
    "a betwin": [BetWin("2", 500, 300)],
    "a result": [BET, Settle("3", 700)],
    "an ended round": [BET, WIN, EndRound("7", "2")],
}


@pytest.mark.parametrize("commands", ROUND_HISTORY_TABLE.values(), ids=ROUND_HISTORY_TABLE)
def test_a_rollback_of_a_round_restores_the_balances(commands: list[MoneyCommand]) -> None:
    """Afterwards cash and bonus are as before the round."""
    assert summarize(execute_all(*commands, ROLLBACK)) == OutcomeSummary("applied", CASH, BONUS, is_written=True)


AFTERWARDS_TABLE: dict[str, tuple[list[MoneyCommand], MoneyCommand, str]] = {
    "another rollback of the round": ([BET], RollbackRound("6", "2"), "cancelled"),
    "a retry": ([BET], ROLLBACK, "replayed"),
    "a new bet": ([BET], SECOND_BET, "round_cancelled"),
    "a new bet of the closed round": ([], SECOND_BET, "round_cancelled"),
    "a bet of another round": ([BET], SECOND_BET._replace(round="7"), "applied"),
    "a bet of a protocol without rollbacks of rounds": ([BET], SECOND_BET._replace(checks_round=False), "applied"),
    "a retry of the bet": ([BET], BET, "round_cancelled"),
    "another content of the bet": ([BET], BET._replace(stake=1), "id_taken"),
    "a betwin": ([], BetWin("2", 1, 1, checks_round=True), "round_cancelled"),
    "a retry of a betwin": ([BetWin("2", 1, 1)], BetWin("2", 1, 1, checks_round=True), "round_cancelled"),
    "a win": ([BET], WIN, "round_cancelled"),
    "a win of the closed round": ([], WIN, "round_cancelled"),
    "a win with a category": ([], WIN._replace(category=WinCategory.JACKPOT), "round_cancelled"),
    "a win without a round": ([BET], WIN._replace(round=None), "applied"),
    "a retry of the win": ([BET, WIN], WIN, "round_cancelled"),
    "a result": ([BET], Settle("3", 9, checks_round=True), "round_cancelled"),
    "a retry of the result": ([BET, Settle("3", 9)], Settle("3", 9, checks_round=True), "round_cancelled"),
    "another content of the result": ([BET, Settle("3", 9)], Settle("3", 8, checks_round=True), "id_taken"),
    "a cancel of the bet": ([BET], Cancel("3"), "cancelled"),
    "a retry of a cancel": ([BET, Cancel("3")], Cancel("3"), "replayed"),
    "a rollback of the bet": ([BET], Rollback("6", "3"), "cancelled"),
    "a rollback of the win": ([BET, WIN], Rollback("6", "4"), "cancelled"),
    "a cancel of a late bet": ([], Cancel("3", "2"), "closed"),
    "an end of the round": ([BET], EndRound("6", "2"), "applied"),
}


@pytest.mark.parametrize(("earlier", "command", "expected"), AFTERWARDS_TABLE.values(), ids=AFTERWARDS_TABLE)
def test_a_rolled_back_round_is_closed(earlier: list[MoneyCommand], command: MoneyCommand, expected: str) -> None:
    """No bet, win or reversal of the round moves money any more, not even a retry."""
    assert summarize(execute_all(*earlier, ROLLBACK, command)).result == expected


BET_TABLE = {
    "an expired session comes first": (snapshot(session=EXPIRED, round_=ROLLED_BACK), "session_expired"),
    "a block comes first": (snapshot(is_blocked=True, round_=ROLLED_BACK), "player_blocked"),
    "a limit comes first": (snapshot(restrictions=daily_limit(LimitKind.LOSS, 0), round_=ROLLED_BACK), "loss_limit"),
    "the round comes before the money": (snapshot(0, round_=ROLLED_BACK), "round_cancelled"),
}


@pytest.mark.parametrize(("before", "expected"), BET_TABLE.values(), ids=BET_TABLE)
def test_a_bet_of_a_rolled_back_round(before: Snapshot, expected: str) -> None:
    """The refusals have the order of `Refusal`. The refusal for the round writes nothing, as the round stays closed."""
    outcome = summarize(decide(before, BET, NOW_MS))
    assert outcome.result == expected
    assert outcome.is_written == (expected not in ("session_expired", "round_cancelled"))


END = EndRound("5", "2", "1012")

END_TABLE: dict[str, tuple[list[MoneyCommand], MoneyCommand, str]] = {
    "an unknown round may end": ([], END, "applied"),
    "a retry": ([END], END, "replayed"),
    "a second end under another id": ([END], END._replace(id="6"), "applied"),
    "another round": ([END], END._replace(round="3"), "id_taken"),
    "another game": ([END], END._replace(game=None), "id_taken"),
    "the id of a bet": ([Bet("5", 1, "2", "1012")], END, "id_taken"),
    "an id that a cancel closed": ([Cancel("5")], END, "cancelled"),
    "an id that a rollback closed": ([Rollback("6", "5")], END, "cancelled"),
    "a late win": ([BET, END], WIN, "applied"),
    "a late cancel": ([BET, END], Cancel("3"), "applied"),
    "a late rollback": ([BET, END], Rollback("6", "3"), "applied"),
    "a late bet": ([END], BET, "applied"),
    "a rollback of the round": ([BET, END], RollbackRound("6", "2"), "applied"),
    "a cancel of the end": ([END], Cancel("5"), "not_a_bet"),
}


@pytest.mark.parametrize(("earlier", "command", "expected"), END_TABLE.values(), ids=END_TABLE)
def test_end_of_a_round(earlier: list[MoneyCommand], command: MoneyCommand, expected: str) -> None:
    """An end has an id like any other command, and refuses nothing of its round."""
    assert summarize(execute_all(*earlier, command)).result == expected


def test_an_end_moves_no_money_and_needs_no_session() -> None:
    """Session, block and exclusion do not matter."""
    before = snapshot(session=REVOKED, is_blocked=True, restrictions=EXCLUDED)
    assert summarize(decide(before, END, NOW_MS)) == MOVED


def test_an_end_of_another_player_is_no_retry() -> None:
    """The account is part of the content."""
    before = snapshot(history=history_of(END, account_id=OTHER))
    assert summarize(decide(before, END, NOW_MS)) == OutcomeSummary("id_taken")


FREE = Win("4", 700, "2", "1012", WinCategory.FREE_ROUND)
ENDED, HOURS = Session(NOW_MS - 1000, None), 3_600_000
CANCELLED_BET = Round(has_cancelled_bet=True)

CATEGORY_TABLE = {
    "a live session": (snapshot(), FREE, "applied"),
    "no session": (snapshot(session=None), FREE, "applied"),
    "no session and no round": (snapshot(session=None), FREE._replace(round=None), "applied"),
    "an ended session": (snapshot(session=ENDED, settle_ms=HOURS), FREE, "orphan"),
    "a standing bet in an ended session": (snapshot(session=ENDED, round_=Round(1)), FREE, "applied"),
    "a session that ended long ago": (snapshot(session=ENDED), FREE, "session_expired"),
    "a round whose bets are cancelled": (snapshot(round_=CANCELLED_BET), FREE, "round_cancelled"),
    "no category and no session": (snapshot(session=None), FREE._replace(category=None), "orphan"),
    "a retry": (snapshot(history=history_of(FREE)), FREE, "replayed"),
    "another category": (snapshot(history=history_of(FREE)), FREE._replace(category=WinCategory.TIP), "id_taken"),
    "without its category": (snapshot(history=history_of(FREE)), FREE._replace(category=None), "id_taken"),
}


@pytest.mark.parametrize(("before", "win", "expected"), CATEGORY_TABLE.values(), ids=CATEGORY_TABLE)
def test_a_win_with_a_category(before: Snapshot, win: Win, expected: str) -> None:
    """It needs no bet, so it is an orphan only after the session's end. The category is part of the content."""
    assert summarize(decide(before, win, NOW_MS)).result == expected


def test_the_rounds_of_two_players_are_apart() -> None:
    """A rollback of a round of one player leaves another player's round of the same name open."""
    ledger = InMemoryLedger()
    ledger.execute(ROLLBACK, OTHER)
    ledger.execute(WIN._replace(id="9"))
    assert summarize(ledger.execute(BET)) == OutcomeSummary("applied", 200, 0, is_written=True)
