"""Decision tables of wins and results. Like cancels, they settle whatever the state of session and player."""

import pytest

from minwallet.ledger.commands import Bet, BetWin, Cancel, Command, Settle, Win
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Kind
from minwallet.ledger.limits import LimitKind
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.outcomes import Replayed
from minwallet.ledger.snapshot import Round, Session, Snapshot, TransactionHistory
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
CANCEL = Cancel("3", "3")

OPEN, CALLED_OFF = Round(standing_bets=1), Round(has_cancelled_bet=True)
PAID = OutcomeSummary("applied", 1700, 200, is_written=True)
FULL = MAX_CENTS - 200

WIN_TABLE = {
    "an id used for another win is taken": (
        snapshot(FULL, round_=CALLED_OFF, history=history_of(WIN._replace(payout=1))),
        OutcomeSummary("id_taken", FULL),
    ),
    "a retry succeeds, whatever the round and the balance are now": (
        snapshot(FULL, round_=CALLED_OFF, history=history_of(WIN)),
        OutcomeSummary("replayed", FULL),
    ),
    "an id that a cancel has closed is taken": (
        snapshot(FULL, round_=CALLED_OFF, history=history_of(Cancel("4"))),
        OutcomeSummary("id_taken", FULL),
    ),
    "a round is over when all its bets are cancelled": (
        snapshot(FULL, round_=CALLED_OFF),
        OutcomeSummary("round_cancelled", FULL),
    ),
    "a win above the maximum balance is refused": (
        snapshot(FULL - 699, round_=OPEN),
        OutcomeSummary("out_of_range", FULL - 699),
    ),
    "the maximum balance may be reached": (
        snapshot(FULL - 700, round_=OPEN),
        OutcomeSummary("applied", FULL, is_written=True),
    ),
    "cash takes the win": (snapshot(round_=OPEN), PAID),
    "a round is not over while one bet is not cancelled": (snapshot(round_=Round(1, True)), PAID),
    "a round may win twice": (snapshot(round_=Round(1, False, 20)), PAID),
    "a win of an unknown round is paid and marked as an orphan": (snapshot(), PAID._replace(result="orphan")),
    "the player of an expired session is paid": (snapshot(session=EXPIRED, round_=OPEN), PAID),
    "the player of a revoked session is paid": (snapshot(session=REVOKED, round_=OPEN), PAID),
    "a blocked player is paid": (snapshot(is_blocked=True, round_=OPEN), PAID),
}


@pytest.mark.parametrize(("before", "expected"), WIN_TABLE.values(), ids=WIN_TABLE)
def test_win(before: Snapshot, expected: OutcomeSummary) -> None:
    """A win is applied unless its id, its round or the maximum balance forbids it."""
    assert summarize(decide(before, WIN, NOW_MS)) == expected


def test_a_win_of_zero_is_applied() -> None:
    """A lost round is a win of zero."""
    assert summarize(decide(snapshot(round_=OPEN), WIN._replace(payout=0), NOW_MS)) == PAID._replace(cash=CASH)


def test_a_win_without_a_round_is_not_an_orphan() -> None:
    """Without a round there is no missing bet, and no finished round."""
    assert summarize(decide(snapshot(round_=CALLED_OFF), WIN._replace(round=None), NOW_MS)) == PAID


def test_an_orphan_win_is_replayed() -> None:
    """The same orphan win a second time changes nothing."""
    outcome = decide(snapshot(history=history_of(WIN)), WIN, NOW_MS)
    assert isinstance(outcome, Replayed)
    assert outcome.entry.state == "orphan"


HOURS = 3_600_000
ENDED = Session(NOW_MS - 1000, None)

LATE_WIN_TABLE = {
    "within the time after the end it is paid": (ENDED, WIN, "orphan"),
    "without a round too, and marked": (ENDED, WIN._replace(round=None), "orphan"),
    "at the end of the time it is refused": (ENDED._replace(expires_at_ms=NOW_MS - HOURS), WIN, "session_expired"),
    "before the end of the time it is paid": (ENDED._replace(expires_at_ms=NOW_MS - HOURS + 1), WIN, "orphan"),
    "without a round it is refused too": (
        ENDED._replace(expires_at_ms=NOW_MS - HOURS),
        WIN._replace(round=None),
        "session_expired",
    ),
    "a win of 0 is refused too": (
        ENDED._replace(expires_at_ms=NOW_MS - HOURS),
        WIN._replace(payout=0),
        "session_expired",
    ),
    "a revocation ends a session": (Session(None, NOW_MS - HOURS), WIN, "session_revoked"),
    "a revocation before the expiry counts": (Session(NOW_MS - 1, NOW_MS - HOURS), WIN, "session_revoked"),
    "an expiry before the revocation counts": (Session(NOW_MS - HOURS, NOW_MS - 1), WIN, "session_revoked"),
    "the time counts from the earlier end": (Session(NOW_MS - 1, NOW_MS - 2), WIN, "orphan"),
    "a live session has no time limit": (Session(NOW_MS + 1, None), WIN, "orphan"),
    "a session without an end has no time limit": (Session(None, None), WIN, "orphan"),
}


@pytest.mark.parametrize(("session", "win", "expected"), LATE_WIN_TABLE.values(), ids=LATE_WIN_TABLE)
def test_a_win_without_a_bet_after_the_session_ended(session: Session, win: Win, expected: str) -> None:
    """It is paid and marked for a limited time after the session's end, refused without an entry afterwards."""
    outcome = summarize(decide(snapshot(session=session, settle_ms=HOURS), win, NOW_MS))
    paid = PAID._replace(result="orphan")
    assert outcome == (paid if expected == "orphan" else OutcomeSummary(expected))


def test_a_win_with_a_bet_settles_long_after_the_session_ended() -> None:
    """A standing bet in the round makes the win a settlement, without a time limit. A cancelled bet does not."""
    for session in (Session(1, None), Session(None, 1)):
        assert summarize(decide(snapshot(session=session, round_=OPEN), WIN, NOW_MS)) == PAID
    long_ago = snapshot(session=Session(1, None), round_=CALLED_OFF)
    assert summarize(decide(long_ago, WIN, NOW_MS)) == OutcomeSummary("session_expired")
    recently = snapshot(session=ENDED, round_=CALLED_OFF, settle_ms=HOURS)
    assert summarize(decide(recently, WIN, NOW_MS)) == OutcomeSummary("round_cancelled")


def test_a_retry_of_a_win_succeeds_long_after_the_session_ended() -> None:
    """The id is checked before the session."""
    history = history_of(WIN)
    assert summarize(decide(snapshot(session=Session(1, None), history=history), WIN, NOW_MS)).result == "replayed"
    other = WIN._replace(payout=1)
    assert summarize(decide(snapshot(session=Session(1, None), history=history), other, NOW_MS)).result == "id_taken"


OTHER_WINS = {
    "payout": WIN._replace(payout=1),
    "round": WIN._replace(round="2"),
    "no round": WIN._replace(round=None),
    "game": WIN._replace(game="1013"),
    "kind bet": Bet("4", 0, "3", "1012"),
}


@pytest.mark.parametrize("first", OTHER_WINS.values(), ids=OTHER_WINS)
def test_a_win_with_other_content_is_refused(first: Win | Bet) -> None:
    """An id stands for one content."""
    assert summarize(decide(snapshot(round_=OPEN, history=history_of(first)), WIN, NOW_MS)) == OutcomeSummary(
        "id_taken"
    )


def test_another_players_win_is_refused() -> None:
    """The player is part of the content, even if all other fields agree."""
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
    "a retry succeeds, even at the maximum balance": (
        snapshot(FULL, history=history_of(BET, RESULT)),
        OutcomeSummary("replayed", FULL),
    ),
    "a retry succeeds in an expired session": (
        snapshot(session=EXPIRED, history=history_of(BET, RESULT)),
        OutcomeSummary("replayed"),
    ),
    "an unknown ticket has no bet": (snapshot(FULL), OutcomeSummary("no_open_bet", FULL)),
    "another player's bet": (snapshot(history=history_of(BET, account_id=OTHER)), OutcomeSummary("no_open_bet")),
    "a bet refused for insufficient funds": (snapshot(history=history_of(BET, cash=0)), OutcomeSummary("no_open_bet")),
    "a bet refused to a blocked player": (
        snapshot(history=history_of(BET, is_blocked=True)),
        OutcomeSummary("no_open_bet"),
    ),
    "a refunded bet": (snapshot(history=history_of(BET, Cancel("3"))), OutcomeSummary("no_open_bet")),
    "a ticket refunded before it was seen": (snapshot(history=history_of(Cancel("3"))), OutcomeSummary("no_open_bet")),
    "the ticket of a betwin": (snapshot(history=history_of(BETWIN)), OutcomeSummary("no_open_bet")),
    "a payout above the maximum balance": (
        snapshot(FULL - 699, history=history_of(BET)),
        OutcomeSummary("out_of_range", FULL - 699),
    ),
    "the maximum balance may be reached": (
        snapshot(FULL - 700, history=history_of(BET)),
        OutcomeSummary("applied", FULL, is_written=True),
    ),
    "an open bet is paid": (snapshot(history=history_of(BET)), PAID),
    "the player of an expired session is paid": (snapshot(session=EXPIRED, history=history_of(BET)), PAID),
    "the player of a revoked session is paid": (snapshot(session=REVOKED, history=history_of(BET)), PAID),
    "a blocked player is paid": (snapshot(is_blocked=True, history=history_of(BET)), PAID),
}


@pytest.mark.parametrize(("before", "expected"), SETTLE_TABLE.values(), ids=SETTLE_TABLE)
def test_settle(before: Snapshot, expected: OutcomeSummary) -> None:
    """A result pays an applied bet of the same player once, unless the bet is settled or refunded."""
    assert summarize(decide(before, RESULT, NOW_MS)) == expected


def test_a_result_of_zero_settles_the_bet() -> None:
    """A lost bet is settled by zero, and no other result can follow."""
    lost = RESULT._replace(payout=0)
    assert summarize(decide(snapshot(history=history_of(BET)), lost, NOW_MS)) == PAID._replace(cash=CASH)
    assert summarize(decide(snapshot(history=history_of(BET, lost)), RESULT, NOW_MS)) == OutcomeSummary("id_taken")


def test_total_used_is_in_the_entry() -> None:
    """`total_used` is stored with the result."""
    entry = written_entry(decide(snapshot(history=history_of(BET)), RESULT, NOW_MS))
    assert (entry.kind, entry.round, entry.detail, entry.payout) == (Kind.WIN, "3", '{"total_used":10}', 700)


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
def test_limits_and_exclusions_do_not_stop_settlements(command: Command, history: TransactionHistory) -> None:
    """An excluded player with limits of zero still gets wins, results and refunds."""
    guard = daily_limit(LimitKind.LOSS, 0, 1)
    guard = guard._replace(
        exclusion=EXCLUDED.exclusion, limits=(*guard.limits, *daily_limit(LimitKind.DEPOSIT, 0).limits)
    )
    before = snapshot(round_=OPEN, history=history)
    assert decide(before._replace(restrictions=guard), command, NOW_MS) == decide(before, command, NOW_MS)
