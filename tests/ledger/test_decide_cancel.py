"""Decision table of cancels and refunds."""

import pytest

from minwallet.ledger.commands import Bet, BetWin, Cancel, Command, Settle, Win
from minwallet.ledger.decide import decide
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.snapshot import Round, Snapshot, TransactionHistory
from tests.ledger.builders import (
    EXPIRED,
    NO_HISTORY,
    NOW_MS,
    OTHER,
    REVOKED,
    OutcomeSummary,
    history_of,
    snapshot,
    summarize,
    written_entry,
)

BET = Bet("3", 500, "3", "1012")
BETWIN = BetWin("3", 500, 700, "1012")
CANCEL = Cancel("3", "3")

REFUNDED = OutcomeSummary("applied", 1500, 200, is_written=True)
FULL = MAX_CENTS - 200
CLOSED = OutcomeSummary("closed", is_written=True)

CANCEL_TABLE = {
    "the id of a win is not a bet": (snapshot(history=history_of(Win("3", 5))), OutcomeSummary("not_a_bet")),
    "the id of another player's win is not a bet": (
        snapshot(history=history_of(Win("3", 5), account_id=OTHER)),
        OutcomeSummary("not_a_bet"),
    ),
    "a bet of another player cannot be cancelled": (
        snapshot(history=history_of(BET, account_id=OTHER)),
        OutcomeSummary("id_taken"),
    ),
    "a refused bet of another player cannot be closed": (
        snapshot(history=history_of(BET, account_id=OTHER, cash=0)),
        OutcomeSummary("id_taken"),
    ),
    "an id that another player closed is taken": (
        snapshot(history=history_of(Cancel("3"), account_id=OTHER)),
        OutcomeSummary("id_taken"),
    ),
    "a repeated cancel changes nothing, whatever the round has won": (
        snapshot(round_=Round(last_win_seq=99), history=history_of(BET, CANCEL)),
        OutcomeSummary("replayed"),
    ),
    "a repeated cancel with fewer fields changes nothing": (
        snapshot(history=history_of(BET, Cancel("3"))),
        OutcomeSummary("replayed"),
    ),
    "a repeated cancel of a closed id changes nothing": (
        snapshot(history=history_of(CANCEL)),
        OutcomeSummary("replayed"),
    ),
    "an unknown id is closed permanently": (snapshot(), CLOSED),
    "an unknown id is closed in a round that has won": (snapshot(round_=Round(last_win_seq=99)), CLOSED),
    "the id of a bet refused for insufficient funds is closed": (snapshot(history=history_of(BET, cash=0)), CLOSED),
    "the id of a bet refused to a blocked player is closed": (
        snapshot(history=history_of(BET, is_blocked=True)),
        CLOSED,
    ),
    "a settled bet cannot be cancelled": (
        snapshot(0, history=history_of(BET, Settle("3", 0))),
        OutcomeSummary("round_settled", 0),
    ),
    "a bet with a later win in its round cannot be cancelled": (
        snapshot(FULL, round_=Round(1, False, 11), history=history_of(BET)),
        OutcomeSummary("round_settled", FULL),
    ),
    "a bet with a later win can be cancelled while another bet of its round stands": (
        snapshot(round_=Round(2, False, 11), history=history_of(BET)),
        REFUNDED,
    ),
    "a settled bet cannot be cancelled, whatever stands in its round": (
        snapshot(0, round_=Round(2), history=history_of(BET, Settle("3", 0))),
        OutcomeSummary("round_settled", 0),
    ),
    "a bet with an earlier win in its round can be cancelled": (
        snapshot(round_=Round(1, False, 9), history=history_of(BET)),
        REFUNDED,
    ),
    "a betwin whose net win is spent cannot be cancelled": (
        snapshot(199, MAX_CENTS - 199, history=history_of(BETWIN)),
        OutcomeSummary("win_spent", 199, MAX_CENTS - 199),
    ),
    "a betwin needs its net win only": (
        snapshot(200, history=history_of(BETWIN)),
        OutcomeSummary("applied", 0, 200, is_written=True),
    ),
    "a betwin that lost is reversed without any cash": (
        snapshot(0, history=history_of(BETWIN._replace(payout=499))),
        OutcomeSummary("applied", 1, 200, is_written=True),
    ),
    "a bonus stake does not pay for the win of a betwin": (
        snapshot(699, 500, history=history_of(BETWIN, cash=0, bonus=500)),
        OutcomeSummary("win_spent", 699, 500),
    ),
    "a bonus stake goes back to bonus when the win is taken from cash": (
        snapshot(700, 0, history=history_of(BETWIN, cash=0, bonus=500)),
        OutcomeSummary("applied", 0, 500, is_written=True),
    ),
    "a refund above the maximum balance is refused": (
        snapshot(FULL - 499, history=history_of(BET)),
        OutcomeSummary("out_of_range", FULL - 499),
    ),
    "the maximum balance may be reached": (
        snapshot(FULL - 500, history=history_of(BET)),
        OutcomeSummary("applied", FULL, is_written=True),
    ),
    "a bonus stake counts towards the maximum balance": (
        snapshot(FULL - 499, history=history_of(BET, cash=0, bonus=500)),
        OutcomeSummary("out_of_range", FULL - 499),
    ),
    "the maximum balance may be reached with a bonus stake": (
        snapshot(FULL - 500, history=history_of(BET, cash=0, bonus=500)),
        OutcomeSummary("applied", FULL - 500, 700, is_written=True),
    ),
    "cash goes back to cash": (snapshot(history=history_of(BET)), REFUNDED),
    "bonus goes back to bonus": (
        snapshot(0, 0, history=history_of(BET, cash=0, bonus=500)),
        OutcomeSummary("applied", 0, 500, is_written=True),
    ),
    "cash and bonus go back to cash and bonus": (
        snapshot(1, 2, history=history_of(BET, cash=300, bonus=200)),
        OutcomeSummary("applied", 301, 202, is_written=True),
    ),
    "a betwin is reversed as a whole": (
        snapshot(700, 100, history=history_of(BETWIN, cash=400, bonus=200)),
        OutcomeSummary("applied", 400, 200, is_written=True),
    ),
    "the player of an expired session gets the money back": (
        snapshot(session=EXPIRED, history=history_of(BET)),
        REFUNDED,
    ),
    "the player of a revoked session gets the money back": (
        snapshot(session=REVOKED, history=history_of(BET)),
        REFUNDED,
    ),
    "a blocked player gets the money back": (snapshot(is_blocked=True, history=history_of(BET)), REFUNDED),
}


@pytest.mark.parametrize(("before", "expected"), CANCEL_TABLE.values(), ids=CANCEL_TABLE)
def test_cancel(before: Snapshot, expected: OutcomeSummary) -> None:
    """A cancel returns once what the bet took, or closes an id that took nothing."""
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
def test_a_cancel_has_the_round_of_its_bet(
    history: TransactionHistory, command: Command, expected: tuple[str, str]
) -> None:
    """Round and game are those of the bet if it is known, and otherwise those of the cancel."""
    entry = written_entry(decide(snapshot(history=history), command, NOW_MS))
    assert (entry.round, entry.game) == expected
