"""Money in flight, as decision tables: wins, results and cancels settle whatever became of session and player."""

import pytest

from minwallet.ledger.commands import Bet, BetWin, Cancel, Command, Settle, Win
from minwallet.ledger.decide import Round, Snapshot, TransactionHistory, decide
from minwallet.ledger.entries import Kind
from minwallet.ledger.limits import LimitKind
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.outcomes import Replayed
from tests.ledger.builders import (
    CASH,
    EXCLUDED,
    EXPIRED,
    NO_HISTORY,
    NOW_MS,
    OTHER,
    REVOKED,
    OutcomeSummary,
    daily_limit,
    history_of,
    snapshot,
    summarize,
    written_entry,
)

BET = Bet("3", 500, "3", "1012")
BETWIN = BetWin("3", 500, 700, "1012")
WIN = Win("4", 700, "3", "1012")
RESULT = Settle("3", 700, "1012", '{"total_used":10}')

OPEN, CALLED_OFF = Round(has_standing_bet=True), Round(has_cancelled_bet=True)
PAID = OutcomeSummary("applied", 1700, 200, is_written=True)
REFUNDED = OutcomeSummary("applied", 1500, 200, is_written=True)
FULL = MAX_CENTS - 200

WIN_TABLE = {
    "an id used for another win is taken": (
        snapshot(FULL, round_=CALLED_OFF, history=history_of(WIN._replace(payout=1))),
        OutcomeSummary("id_taken", FULL),
    ),
    "a retry succeeds, whatever became of round and balance": (
        snapshot(FULL, round_=CALLED_OFF, history=history_of(WIN)),
        OutcomeSummary("replayed", FULL),
    ),
    "an id that a cancel has closed is taken": (
        snapshot(FULL, round_=CALLED_OFF, history=history_of(Cancel("4"))),
        OutcomeSummary("id_taken", FULL),
    ),
    "a round whose bets are all cancelled is over": (
        snapshot(FULL, round_=CALLED_OFF),
        OutcomeSummary("round_cancelled", FULL),
    ),
    "a win that would pass the largest balance is refused": (
        snapshot(FULL - 699, round_=OPEN),
        OutcomeSummary("out_of_range", FULL - 699),
    ),
    "the largest balance may be reached": (
        snapshot(FULL - 700, round_=OPEN),
        OutcomeSummary("applied", FULL, is_written=True),
    ),
    "cash takes the win": (snapshot(round_=OPEN), PAID),
    "a round of which one bet stands is not over": (snapshot(round_=Round(True, True)), PAID),
    "a round may win twice": (snapshot(round_=Round(True, False, 20)), PAID),
    "a round never seen is paid, and marked": (snapshot(), PAID._replace(result="orphan")),
    "an expired session is paid": (snapshot(session=EXPIRED, round_=OPEN), PAID),
    "a revoked session is paid": (snapshot(session=REVOKED, round_=OPEN), PAID),
    "a blocked player is paid": (snapshot(is_blocked=True, round_=OPEN), PAID),
}


@pytest.mark.parametrize(("before", "expected"), WIN_TABLE.values(), ids=WIN_TABLE)
def test_win(before: Snapshot, expected: OutcomeSummary) -> None:
    """A winning has to be taken: only its identity, its round and the largest balance stand in the way."""
    assert summarize(decide(before, WIN, NOW_MS)) == expected


def test_a_win_of_nothing_is_legal() -> None:
    """A lost round is a win of zero."""
    assert summarize(decide(snapshot(round_=OPEN), WIN._replace(payout=0), NOW_MS)) == PAID._replace(cash=CASH)


def test_a_win_without_a_round_is_no_orphan() -> None:
    """It names no round, so none is missing, and none can be over."""
    assert summarize(decide(snapshot(round_=CALLED_OFF), WIN._replace(round=None), NOW_MS)) == PAID


def test_an_orphan_is_replayed_as_itself() -> None:
    """The same orphan win again changes nothing."""
    outcome = decide(snapshot(history=history_of(WIN)), WIN, NOW_MS)
    assert isinstance(outcome, Replayed)
    assert outcome.entry.state == "orphan"


OTHER_WINS = {
    "payout": WIN._replace(payout=1),
    "round": WIN._replace(round="2"),
    "no round": WIN._replace(round=None),
    "game": WIN._replace(game="1013"),
    "kind bet": Bet("4", 0, "3", "1012"),
}


@pytest.mark.parametrize("first", OTHER_WINS.values(), ids=OTHER_WINS)
def test_a_win_with_other_content_is_refused(first: Win | Bet) -> None:
    """The same id stands for one content."""
    assert summarize(decide(snapshot(round_=OPEN, history=history_of(first)), WIN, NOW_MS)) == OutcomeSummary(
        "id_taken"
    )


def test_another_players_win_is_refused() -> None:
    """The player is part of the content, even where everything else agrees."""
    assert summarize(decide(snapshot(history=history_of(WIN, account_id=OTHER)), WIN, NOW_MS)) == OutcomeSummary(
        "id_taken"
    )


SETTLE_TABLE = {
    "settled with another amount": (
        snapshot(history=history_of(BET, RESULT._replace(payout=1))),
        OutcomeSummary("id_taken"),
    ),
    "settled with another game": (
        snapshot(history=history_of(BET, RESULT._replace(game=None))),
        OutcomeSummary("id_taken"),
    ),
    "settled with other points used": (
        snapshot(history=history_of(BET, RESULT._replace(detail=None))),
        OutcomeSummary("id_taken"),
    ),
    "settled for another player": (
        snapshot(history=history_of(BET, RESULT, account_id=OTHER)),
        OutcomeSummary("id_taken"),
    ),
    "a retry succeeds, however full the account": (
        snapshot(FULL, history=history_of(BET, RESULT)),
        OutcomeSummary("replayed", FULL),
    ),
    "a retry succeeds in an expired session": (
        snapshot(session=EXPIRED, history=history_of(BET, RESULT)),
        OutcomeSummary("replayed"),
    ),
    "an unknown ticket has no bet": (snapshot(FULL), OutcomeSummary("no_open_bet", FULL)),
    "another player's bet": (snapshot(history=history_of(BET, account_id=OTHER)), OutcomeSummary("no_open_bet")),
    "a bet refused for want of funds": (snapshot(history=history_of(BET, cash=0)), OutcomeSummary("no_open_bet")),
    "a bet refused to a blocked player": (
        snapshot(history=history_of(BET, is_blocked=True)),
        OutcomeSummary("no_open_bet"),
    ),
    "a refunded bet": (snapshot(history=history_of(BET, Cancel("3"))), OutcomeSummary("no_open_bet")),
    "a ticket refunded before it was seen": (snapshot(history=history_of(Cancel("3"))), OutcomeSummary("no_open_bet")),
    "the ticket of a betwin": (snapshot(history=history_of(BETWIN)), OutcomeSummary("no_open_bet")),
    "a payout that would pass the largest balance": (
        snapshot(FULL - 699, history=history_of(BET)),
        OutcomeSummary("out_of_range", FULL - 699),
    ),
    "the largest balance may be reached": (
        snapshot(FULL - 700, history=history_of(BET)),
        OutcomeSummary("applied", FULL, is_written=True),
    ),
    "an open bet is paid": (snapshot(history=history_of(BET)), PAID),
    "an expired session is paid": (snapshot(session=EXPIRED, history=history_of(BET)), PAID),
    "a revoked session is paid": (snapshot(session=REVOKED, history=history_of(BET)), PAID),
    "a blocked player is paid": (snapshot(is_blocked=True, history=history_of(BET)), PAID),
}


@pytest.mark.parametrize(("before", "expected"), SETTLE_TABLE.values(), ids=SETTLE_TABLE)
def test_settle(before: Snapshot, expected: OutcomeSummary) -> None:
    """A result pays this player's applied bet that is neither settled nor refunded, once."""
    assert summarize(decide(before, RESULT, NOW_MS)) == expected


def test_a_result_of_nothing_settles_too() -> None:
    """A lost bet is settled by zero, and no other result can follow."""
    lost = RESULT._replace(payout=0)
    assert summarize(decide(snapshot(history=history_of(BET)), lost, NOW_MS)) == PAID._replace(cash=CASH)
    assert summarize(decide(snapshot(history=history_of(BET, lost)), RESULT, NOW_MS)) == OutcomeSummary("id_taken")


def test_the_points_used_are_in_the_row() -> None:
    """`total_used` is recorded with the result."""
    entry = written_entry(decide(snapshot(history=history_of(BET)), RESULT, NOW_MS))
    assert (entry.kind, entry.round, entry.detail, entry.payout) == (Kind.WIN, "3", '{"total_used":10}', 700)


CANCEL = Cancel("3", "3")
CLOSED = OutcomeSummary("closed", is_written=True)

CANCEL_TABLE = {
    "the id of a win is not a bet": (snapshot(history=history_of(Win("3", 5))), OutcomeSummary("not_a_bet")),
    "the id of another player's win is not a bet": (
        snapshot(history=history_of(Win("3", 5), account_id=OTHER)),
        OutcomeSummary("not_a_bet"),
    ),
    "another player's bet is not ours to cancel": (
        snapshot(history=history_of(BET, account_id=OTHER)),
        OutcomeSummary("id_taken"),
    ),
    "another player's refused bet is not ours to close": (
        snapshot(history=history_of(BET, account_id=OTHER, cash=0)),
        OutcomeSummary("id_taken"),
    ),
    "an id that another player closed is taken": (
        snapshot(history=history_of(Cancel("3"), account_id=OTHER)),
        OutcomeSummary("id_taken"),
    ),
    "the same again changes nothing, whatever the round has won": (
        snapshot(round_=Round(last_win_seq=99), history=history_of(BET, CANCEL)),
        OutcomeSummary("replayed"),
    ),
    "the same again from a cancel that says less": (
        snapshot(history=history_of(BET, Cancel("3"))),
        OutcomeSummary("replayed"),
    ),
    "a closed id again changes nothing": (snapshot(history=history_of(CANCEL)), OutcomeSummary("replayed")),
    "an id never seen is closed for ever": (snapshot(), CLOSED),
    "an id never seen is closed in a round that has won, too": (snapshot(round_=Round(last_win_seq=99)), CLOSED),
    "the id of a bet refused for want of funds is closed": (snapshot(history=history_of(BET, cash=0)), CLOSED),
    "the id of a bet refused to a blocked player is closed": (
        snapshot(history=history_of(BET, is_blocked=True)),
        CLOSED,
    ),
    "a settled bet stands": (snapshot(0, history=history_of(BET, Settle("3", 0))), OutcomeSummary("round_settled", 0)),
    "a win after the bet keeps it": (
        snapshot(FULL, round_=Round(True, False, 11), history=history_of(BET)),
        OutcomeSummary("round_settled", FULL),
    ),
    "a win before the bet does not matter": (snapshot(round_=Round(True, False, 9), history=history_of(BET)), REFUNDED),
    "a betwin whose win is spent stands": (
        snapshot(699, MAX_CENTS - 699, history=history_of(BETWIN)),
        OutcomeSummary("win_spent", 699, MAX_CENTS - 699),
    ),
    "money back may not pass the largest balance": (
        snapshot(FULL - 499, history=history_of(BET)),
        OutcomeSummary("out_of_range", FULL - 499),
    ),
    "the largest balance may be reached": (
        snapshot(FULL - 500, history=history_of(BET)),
        OutcomeSummary("applied", FULL, is_written=True),
    ),
    "cash goes back to cash": (snapshot(history=history_of(BET)), REFUNDED),
    "bonus goes back to bonus": (
        snapshot(0, 0, history=history_of(BET, cash=0, bonus=500)),
        OutcomeSummary("applied", 0, 500, is_written=True),
    ),
    "each part goes back to where it came from": (
        snapshot(1, 2, history=history_of(BET, cash=300, bonus=200)),
        OutcomeSummary("applied", 301, 202, is_written=True),
    ),
    "a betwin is reversed as a whole": (
        snapshot(700, 100, history=history_of(BETWIN, cash=400, bonus=200)),
        OutcomeSummary("applied", 400, 200, is_written=True),
    ),
    "an expired session gets its money back": (snapshot(session=EXPIRED, history=history_of(BET)), REFUNDED),
    "a revoked session gets its money back": (snapshot(session=REVOKED, history=history_of(BET)), REFUNDED),
    "a blocked player gets the money back": (snapshot(is_blocked=True, history=history_of(BET)), REFUNDED),
}


@pytest.mark.parametrize(("before", "expected"), CANCEL_TABLE.values(), ids=CANCEL_TABLE)
def test_cancel(before: Snapshot, expected: OutcomeSummary) -> None:
    """A cancel gives back what the bet took, once, or closes an id that took nothing."""
    assert summarize(decide(before, CANCEL, NOW_MS)) == expected


@pytest.mark.parametrize(
    ("history", "command", "expected"),
    [
        (NO_HISTORY, Cancel("3"), ("3", None)),
        (NO_HISTORY, Cancel("3", "2"), ("2", None)),
        (history_of(BET._replace(round="2")), Cancel("3"), ("2", "1012")),
        (history_of(BET._replace(round="2")), Cancel("3", "9"), ("2", "1012")),
        (history_of(BET, cash=0), Cancel("3"), ("3", "1012")),
    ],
)
def test_a_cancel_is_written_to_its_bets_round(
    history: TransactionHistory, command: Command, expected: tuple[str, str]
) -> None:
    """Round and game are the bet's where it is known, else what the cancel says."""
    entry = written_entry(decide(snapshot(history=history), command, NOW_MS))
    assert (entry.round, entry.game) == expected


@pytest.mark.parametrize(
    ("command", "history"),
    [
        (WIN, NO_HISTORY),
        (RESULT, history_of(BET)),
        (CANCEL, history_of(BET)),
        (CANCEL, history_of(BETWIN)),
        (CANCEL, NO_HISTORY),
    ],
)
def test_neither_limits_nor_exclusion_hold_back_what_is_in_flight(
    command: Command, history: TransactionHistory
) -> None:
    """A player who may lose and deposit nothing, and play no more, is paid and given back as everybody is."""
    guard = daily_limit(LimitKind.LOSS, 0, 1)
    guard = guard._replace(
        exclusion=EXCLUDED.exclusion, limits=(*guard.limits, *daily_limit(LimitKind.DEPOSIT, 0).limits)
    )
    before = snapshot(round_=OPEN, history=history)
    assert decide(before._replace(restrictions=guard), command, NOW_MS) == decide(before, command, NOW_MS)
