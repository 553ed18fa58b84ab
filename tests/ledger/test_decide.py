"""Decision tables of queries, bets and betwins, in order of precedence: in a row that refuses, all later checks
would fail too."""

from typing import Any

import pytest

from minwallet.ledger.commands import Authenticate, Balance, Bet, BetWin, Cancel, Settle, Win
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Kind, Refusal, State
from minwallet.ledger.limits import LimitKind
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.outcomes import Refused, Replayed
from minwallet.ledger.snapshot import Snapshot
from tests.ledger.builders import (
    EXCLUDED,
    EXPIRED,
    NOW_MS,
    OTHER,
    REVOKED,
    REVOKED_AND_EXPIRED,
    WITHOUT_EXPIRY,
    OutcomeSummary,
    daily_limit,
    history_of,
    snapshot,
    summarize,
    written_entry,
)

BET = Bet("3", 500, "3", "1012", '{"key":"red"}')
BETWIN = BetWin("3", 500, 700, "1012")

BALANCE_TABLE = {
    "a revoked session is refused, expired or not": (
        snapshot(session=REVOKED_AND_EXPIRED),
        OutcomeSummary("session_revoked"),
    ),
    "an expired session is refused": (snapshot(session=EXPIRED), OutcomeSummary("session_expired")),
    "a live session gets the balance": (snapshot(), OutcomeSummary("shown")),
    "a session without an expiry is live": (snapshot(session=WITHOUT_EXPIRY), OutcomeSummary("shown")),
    "a blocked player gets the balance": (snapshot(is_blocked=True), OutcomeSummary("shown")),
    "an excluded player gets the balance": (snapshot(restrictions=EXCLUDED), OutcomeSummary("shown")),
    "the operator needs no session": (snapshot(session=None), OutcomeSummary("shown")),
}


@pytest.mark.parametrize(("before", "expected"), BALANCE_TABLE.values(), ids=BALANCE_TABLE)
def test_balance(before: Snapshot, expected: OutcomeSummary) -> None:
    """A balance requires a live session and nothing else."""
    assert summarize(decide(before, Balance(), NOW_MS)) == expected


AUTHENTICATE_TABLE = {
    "a revoked session is refused": (
        snapshot(session=REVOKED_AND_EXPIRED, is_blocked=True),
        OutcomeSummary("session_revoked"),
    ),
    "an expired session is refused": (snapshot(session=EXPIRED, is_blocked=True), OutcomeSummary("session_expired")),
    "a blocked player is refused": (snapshot(is_blocked=True, restrictions=EXCLUDED), OutcomeSummary("player_blocked")),
    "an excluded player is refused": (snapshot(restrictions=EXCLUDED), OutcomeSummary("player_excluded")),
    "a player whose loss limit is reached may authenticate": (
        snapshot(restrictions=daily_limit(LimitKind.LOSS, 0)),
        OutcomeSummary("shown"),
    ),
    "a live session gets the balance": (snapshot(), OutcomeSummary("shown")),
}


@pytest.mark.parametrize(("before", "expected"), AUTHENTICATE_TABLE.values(), ids=AUTHENTICATE_TABLE)
def test_authenticate(before: Snapshot, expected: OutcomeSummary) -> None:
    """An authentication requires a live session of an active player."""
    assert summarize(decide(before, Authenticate(), NOW_MS)) == expected


def _bet_rows(command: Bet | BetWin) -> dict[str, tuple[Snapshot, OutcomeSummary]]:
    """Return the rows that a bet and a betwin have in common, in order of precedence."""
    return {**_seen_id_rows(command), **NEW_ID_ROWS}


NOTHING_LEFT: dict[str, Any] = {
    "cash": 0,
    "bonus": 0,
    "session": EXPIRED,
    "is_blocked": True,
    "restrictions": EXCLUDED,
}


def _seen_id_rows(command: Bet | BetWin) -> dict[str, tuple[Snapshot, OutcomeSummary]]:
    """Return the rows of an id that the ledger has seen before."""
    refused_when_poor, empty = history_of(command, cash=0, bonus=0), OutcomeSummary("", 0, 0)
    return {
        "an id cancelled after the bet stays cancelled": (
            snapshot(**NOTHING_LEFT, history=history_of(command, Cancel("3"))),
            empty._replace(result="cancelled"),
        ),
        "an id cancelled before the bet stays cancelled": (
            snapshot(**NOTHING_LEFT, history=history_of(Cancel("3"))),
            empty._replace(result="cancelled"),
        ),
        "an id that another player cancelled is cancelled": (
            snapshot(history=history_of(Cancel("3"), account_id=OTHER)),
            OutcomeSummary("cancelled"),
        ),
        "an id used for something else is taken": (
            snapshot(**NOTHING_LEFT, history=history_of(command._replace(stake=501))),
            empty._replace(result="id_taken"),
        ),
        "an id refused for something else is taken": (
            snapshot(history=history_of(command._replace(stake=501), cash=0, bonus=0)),
            OutcomeSummary("id_taken"),
        ),
        "a retry succeeds without a live session, an active player or money": (
            snapshot(**NOTHING_LEFT, history=history_of(command)),
            empty._replace(result="replayed"),
        ),
        "a retry succeeds in a revoked session": (
            snapshot(session=REVOKED, history=history_of(command)),
            OutcomeSummary("replayed"),
        ),
        "a bet refused for insufficient funds stays refused when there is money": (
            snapshot(session=EXPIRED, is_blocked=True, history=refused_when_poor),
            OutcomeSummary("insufficient_funds"),
        ),
        "a bet refused to a blocked player stays refused when the player is active again": (
            snapshot(history=history_of(command, is_blocked=True)),
            OutcomeSummary("player_blocked"),
        ),
    }


NEW_ID_ROWS = {
    "a revoked session may not bet, and no entry is written": (
        snapshot(0, 0, session=REVOKED_AND_EXPIRED, is_blocked=True),
        OutcomeSummary("session_revoked", 0, 0),
    ),
    "an expired session may not bet, and no entry is written": (
        snapshot(**NOTHING_LEFT),
        OutcomeSummary("session_expired", 0, 0),
    ),
    "a blocked player may not bet, and an entry is written": (
        snapshot(0, 0, is_blocked=True, restrictions=EXCLUDED),
        OutcomeSummary("player_blocked", 0, 0, is_written=True),
    ),
    "too little money is refused, and an entry is written": (
        snapshot(400, 99),
        OutcomeSummary("insufficient_funds", 400, 99, is_written=True),
    ),
}


def _restriction_rows(command: Bet | BetWin) -> dict[str, tuple[Snapshot, OutcomeSummary]]:
    """Return the rows about limits and exclusions that a bet and a betwin have in common."""
    return {
        "a bet refused to an excluded player stays refused after the exclusion": (
            snapshot(history=history_of(command, restrictions=EXCLUDED)),
            OutcomeSummary("player_excluded"),
        ),
        "a bet refused for a limit stays refused without the limit": (
            snapshot(history=history_of(command, restrictions=daily_limit(LimitKind.LOSS, 499))),
            OutcomeSummary("loss_limit"),
        ),
        "an excluded player may not bet, and an entry is written": (
            snapshot(0, 0, restrictions=daily_limit(LimitKind.LOSS, 0)._replace(exclusion=EXCLUDED.exclusion)),
            OutcomeSummary("player_excluded", 0, 0, is_written=True),
        ),
        "a bet above the loss limit is refused, and an entry is written": (
            snapshot(100, 0, restrictions=daily_limit(LimitKind.LOSS, 300, 201)),
            OutcomeSummary("loss_limit", 100, 0, is_written=True),
        ),
    }


BET_TABLE = (
    _bet_rows(BET)
    | _restriction_rows(BET)
    | {
        "cash pays the bet": (snapshot(), OutcomeSummary("applied", 500, 200, is_written=True)),
        "a session without an expiry may bet": (
            snapshot(session=WITHOUT_EXPIRY),
            OutcomeSummary("applied", 500, 200, is_written=True),
        ),
        "bonus pays the rest after cash": (snapshot(400, 200), OutcomeSummary("applied", 0, 100, is_written=True)),
        "bonus alone pays the bet": (snapshot(0, 500), OutcomeSummary("applied", 0, 0, is_written=True)),
        "the last cent may be bet": (snapshot(500, 0), OutcomeSummary("applied", 0, 0, is_written=True)),
        "the limit may be reached": (
            snapshot(restrictions=daily_limit(LimitKind.LOSS, 700, 200)),
            OutcomeSummary("applied", 500, 200, is_written=True),
        ),
        "earlier wins of the day reduce the loss": (
            snapshot(restrictions=daily_limit(LimitKind.LOSS, 0, -500)),
            OutcomeSummary("applied", 500, 200, is_written=True),
        ),
        "a bet of bonus does not count as a loss": (
            snapshot(0, 500, restrictions=daily_limit(LimitKind.LOSS, 0, 1)),
            OutcomeSummary("applied", 0, 0, is_written=True),
        ),
        "a deposit limit does not limit losses": (
            snapshot(restrictions=daily_limit(LimitKind.DEPOSIT, 0)),
            OutcomeSummary("applied", 500, 200, is_written=True),
        ),
    }
)


@pytest.mark.parametrize(("before", "expected"), BET_TABLE.values(), ids=BET_TABLE)
def test_bet(before: Snapshot, expected: OutcomeSummary) -> None:
    """The checks of a bet are, in this order: its id, the session, the player's status and limits, the money."""
    assert summarize(decide(before, BET, NOW_MS)) == expected


BETWIN_TABLE = (
    _bet_rows(BETWIN)
    | _restriction_rows(BETWIN)
    | {
        "a win above the maximum balance is refused, and no entry is written": (
            snapshot(MAX_CENTS - 399, 200),
            OutcomeSummary("out_of_range", MAX_CENTS - 399, 200),
        ),
        "the maximum balance may be reached": (
            snapshot(MAX_CENTS - 400, 200),
            OutcomeSummary("applied", MAX_CENTS - 200, 200, is_written=True),
        ),
        "its own win does not count towards the loss limit": (
            snapshot(restrictions=daily_limit(LimitKind.LOSS, 499)),
            OutcomeSummary("loss_limit", is_written=True),
        ),
        "cash pays the bet and takes the win": (snapshot(), OutcomeSummary("applied", 1200, 200, is_written=True)),
        "bonus pays the rest after cash, and the win is cash": (
            snapshot(400, 200),
            OutcomeSummary("applied", 700, 100, is_written=True),
        ),
    }
)


@pytest.mark.parametrize(("before", "expected"), BETWIN_TABLE.values(), ids=BETWIN_TABLE)
def test_betwin(before: Snapshot, expected: OutcomeSummary) -> None:
    """A betwin is a bet whose stake must be available before the win counts; both parts are applied, or none."""
    assert summarize(decide(before, BETWIN, NOW_MS)) == expected


@pytest.mark.parametrize("command", [Bet("3", 0, "3"), BetWin("3", 0, 0)])
def test_a_bet_of_zero_is_applied(command: Bet | BetWin) -> None:
    """A bet of zero needs no money and loses none, even if a loss limit is reached."""
    before = snapshot(0, 0, restrictions=daily_limit(LimitKind.LOSS, 100, 101))
    assert summarize(decide(before, command, NOW_MS)) == OutcomeSummary("applied", 0, 0, is_written=True)


OTHER_BETS = {
    "stake": BET._replace(stake=501),
    "round": BET._replace(round="2"),
    "game": BET._replace(game="1013"),
    "no game": BET._replace(game=None),
    "detail": BET._replace(detail=None),
    "kind win": Win("3", 500, "3", "1012"),
    "kind betwin": BetWin("3", 500, 0, "1012"),
}


@pytest.mark.parametrize("first", OTHER_BETS.values(), ids=OTHER_BETS)
def test_a_bet_with_other_content_is_refused(first: Bet | Win | BetWin) -> None:
    """An id stands for one content: kind, player, amount, game, round and the protocol's details."""
    assert summarize(decide(snapshot(history=history_of(first)), BET, NOW_MS)) == OutcomeSummary("id_taken")


OTHER_BETWINS = {
    "stake": BETWIN._replace(stake=501),
    "payout": BETWIN._replace(payout=0),
    "game": BETWIN._replace(game=None),
    "kind bet": Bet("3", 500, "3", "1012"),
}


@pytest.mark.parametrize("first", OTHER_BETWINS.values(), ids=OTHER_BETWINS)
def test_a_betwin_with_other_content_is_refused(first: Bet | BetWin) -> None:
    """A ticket stands for one content."""
    assert summarize(decide(snapshot(history=history_of(first)), BETWIN, NOW_MS)) == OutcomeSummary("id_taken")


@pytest.mark.parametrize("command", [BET, BETWIN])
def test_another_players_id_is_taken(command: Bet | BetWin) -> None:
    """The player is part of the content, even if all other fields agree."""
    before = snapshot(history=history_of(command, account_id=OTHER))
    assert summarize(decide(before, command, NOW_MS)) == OutcomeSummary("id_taken")


def test_a_settled_bet_is_still_replayed() -> None:
    """A bet that is delivered again after its result gets the outcome of the bet."""
    history = history_of(Bet("3", 500, "3"), Settle("3", 700))
    outcome = decide(snapshot(history=history), Bet("3", 500, "3"), NOW_MS)
    assert isinstance(outcome, Replayed)
    assert outcome.entry == history.original


def test_a_replay_has_the_first_and_the_current_balances() -> None:
    """Each protocol can return the balance that it promises: the one after the first call, or the current one."""
    outcome = decide(snapshot(5, 6, history=history_of(BET, cash=1000, bonus=0)), BET, NOW_MS)
    assert isinstance(outcome, Replayed)
    assert (outcome.entry.cash_after, outcome.entry.bonus_after) == (500, 0)
    assert (outcome.cash, outcome.bonus) == (5, 6)


def test_a_session_ends_at_its_expiry() -> None:
    """A session is expired at its time of expiry, and live one millisecond before."""
    before = snapshot(session=EXPIRED)
    assert summarize(decide(before, BET, NOW_MS)).result == "session_expired"
    assert summarize(decide(before, BET, NOW_MS - 1)).result == "applied"


def test_a_written_refusal_has_the_request_and_moves_no_money() -> None:
    """The entry has the stake, game and round of the bet, and the reason of the refusal."""
    outcome = decide(snapshot(1, 2), BET, NOW_MS)
    assert isinstance(outcome, Refused)
    entry = written_entry(outcome)
    assert (entry.kind, entry.state, entry.refusal) == (Kind.BET, State.REFUSED, Refusal.INSUFFICIENT_FUNDS)
    assert (entry.amount, entry.bonus_amount, entry.cash_after, entry.bonus_after) == (0, 0, 1, 2)
    assert (entry.stake, entry.game, entry.round, entry.detail) == (500, "1012", "3", '{"key":"red"}')
