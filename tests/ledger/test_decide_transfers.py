"""Decision tables of the operator's transfers: deposits, withdrawals and adjustments."""

import pytest

from minwallet.ledger.commands import Adjust, Deposit, Withdraw
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Kind
from minwallet.ledger.limits import LimitKind
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.snapshot import Snapshot
from tests.ledger.builders import (
    EXCLUDED,
    NOW_MS,
    OTHER,
    OutcomeSummary,
    daily_limit,
    history_of,
    snapshot,
    summarize,
    written_entry,
)

DEPOSIT = Deposit("r1", 300, 30)
WITHDRAWAL = Withdraw("r1", 300, 30)
FULL = MAX_CENTS - 200

DEPOSIT_TABLE = {
    "a reference used for another amount is taken": (
        snapshot(FULL, session=None, history=history_of(DEPOSIT._replace(cash=1))),
        OutcomeSummary("id_taken", FULL),
    ),
    "a reference used for another bonus is taken": (
        snapshot(session=None, history=history_of(DEPOSIT._replace(bonus=1))),
        OutcomeSummary("id_taken"),
    ),
    "a reference used for a withdrawal is taken": (
        snapshot(session=None, history=history_of(WITHDRAWAL)),
        OutcomeSummary("id_taken"),
    ),
    "a reference used for another player is taken": (
        snapshot(session=None, history=history_of(DEPOSIT, account_id=OTHER)),
        OutcomeSummary("id_taken"),
    ),
    "a retry changes nothing": (
        snapshot(FULL, session=None, history=history_of(DEPOSIT)),
        OutcomeSummary("replayed", FULL),
    ),
    "a retry for an excluded player changes nothing": (
        snapshot(session=None, history=history_of(DEPOSIT), restrictions=EXCLUDED),
        OutcomeSummary("replayed"),
    ),
    "a deposit for an excluded player is refused, and no entry is written": (
        snapshot(
            FULL, session=None, restrictions=daily_limit(LimitKind.DEPOSIT, 0)._replace(exclusion=EXCLUDED.exclusion)
        ),
        OutcomeSummary("player_excluded", FULL),
    ),
    "a deposit above the limit is refused, and no entry is written": (
        snapshot(FULL, session=None, restrictions=daily_limit(LimitKind.DEPOSIT, 1000, 701)),
        OutcomeSummary("deposit_limit", FULL),
    ),
    "the limit may be reached": (
        snapshot(session=None, restrictions=daily_limit(LimitKind.DEPOSIT, 1000, 700)),
        OutcomeSummary("applied", 1300, 230, is_written=True),
    ),
    "a loss limit does not limit deposits": (
        snapshot(session=None, restrictions=daily_limit(LimitKind.LOSS, 0, 1)),
        OutcomeSummary("applied", 1300, 230, is_written=True),
    ),
    "a deposit above the maximum balance is refused": (
        snapshot(FULL - 329, session=None),
        OutcomeSummary("out_of_range", FULL - 329),
    ),
    "the maximum balance may be reached": (
        snapshot(FULL - 330, session=None),
        OutcomeSummary("applied", FULL - 30, 230, is_written=True),
    ),
    "cash and bonus are added": (snapshot(session=None), OutcomeSummary("applied", 1300, 230, is_written=True)),
    "a blocked player gets a deposit": (
        snapshot(session=None, is_blocked=True),
        OutcomeSummary("applied", 1300, 230, is_written=True),
    ),
}


@pytest.mark.parametrize(("before", "expected"), DEPOSIT_TABLE.values(), ids=DEPOSIT_TABLE)
def test_deposit(before: Snapshot, expected: OutcomeSummary) -> None:
    """A deposit adds cash, bonus or both, once for each reference."""
    assert summarize(decide(before, DEPOSIT, NOW_MS)) == expected


WITHDRAW_TABLE = {
    "a reference used for another amount is taken": (
        snapshot(0, 0, session=None, history=history_of(WITHDRAWAL._replace(cash=1))),
        OutcomeSummary("id_taken", 0, 0),
    ),
    "a reference used for a deposit is taken": (
        snapshot(session=None, history=history_of(DEPOSIT)),
        OutcomeSummary("id_taken"),
    ),
    "a retry changes nothing": (
        snapshot(0, 0, session=None, history=history_of(WITHDRAWAL)),
        OutcomeSummary("replayed", 0, 0),
    ),
    "bonus does not replace cash, and no entry is written": (
        snapshot(299, 1000, session=None),
        OutcomeSummary("insufficient_funds", 299, 1000),
    ),
    "cash does not replace bonus": (
        snapshot(1000, 29, session=None),
        OutcomeSummary("insufficient_funds", 1000, 29),
    ),
    "the last cent may be withdrawn": (
        snapshot(300, 30, session=None),
        OutcomeSummary("applied", 0, 0, is_written=True),
    ),
    "an excluded player's money may be withdrawn": (
        snapshot(
            session=None, restrictions=daily_limit(LimitKind.DEPOSIT, 0, 1)._replace(exclusion=EXCLUDED.exclusion)
        ),
        OutcomeSummary("applied", 700, 170, is_written=True),
    ),
    "a blocked player's money may be withdrawn": (
        snapshot(session=None, is_blocked=True),
        OutcomeSummary("applied", 700, 170, is_written=True),
    ),
}


@pytest.mark.parametrize(("before", "expected"), WITHDRAW_TABLE.values(), ids=WITHDRAW_TABLE)
def test_withdraw(before: Snapshot, expected: OutcomeSummary) -> None:
    """A withdrawal takes cash or promotional bonus, and never one in place of the other."""
    assert summarize(decide(before, WITHDRAWAL, NOW_MS)) == expected


ADDITION, REDUCTION = Adjust("r1", 300, 30), Adjust("r1", -300, -30)
RESTRICTED = daily_limit(LimitKind.DEPOSIT, 0, 1)._replace(exclusion=EXCLUDED.exclusion)

ADJUST_TABLE = {
    "a reference used for another amount is taken": (
        ADDITION,
        snapshot(session=None, history=history_of(ADDITION._replace(cash=1))),
        OutcomeSummary("id_taken"),
    ),
    "a reference used for the opposite amount is taken": (
        ADDITION,
        snapshot(session=None, history=history_of(REDUCTION)),
        OutcomeSummary("id_taken"),
    ),
    "a reference used for a deposit is taken": (
        ADDITION,
        snapshot(session=None, history=history_of(DEPOSIT)),
        OutcomeSummary("id_taken"),
    ),
    "a reference used for a withdrawal is taken": (
        REDUCTION,
        snapshot(session=None, history=history_of(WITHDRAWAL)),
        OutcomeSummary("id_taken"),
    ),
    "a reference used for another player is taken": (
        ADDITION,
        snapshot(session=None, history=history_of(ADDITION, account_id=OTHER)),
        OutcomeSummary("id_taken"),
    ),
    "a retry changes nothing": (
        REDUCTION,
        snapshot(0, 0, session=None, history=history_of(REDUCTION)),
        OutcomeSummary("replayed", 0, 0),
    ),
    "an excluded and limited player's balance is corrected": (
        ADDITION,
        snapshot(session=None, restrictions=RESTRICTED),
        OutcomeSummary("applied", 1300, 230, is_written=True),
    ),
    "a blocked player's balance is corrected": (
        REDUCTION,
        snapshot(session=None, is_blocked=True),
        OutcomeSummary("applied", 700, 170, is_written=True),
    ),
    "bonus does not replace cash, and no entry is written": (
        REDUCTION,
        snapshot(299, 1000, session=None),
        OutcomeSummary("insufficient_funds", 299, 1000),
    ),
    "cash does not replace bonus": (
        REDUCTION,
        snapshot(1000, 29, session=None),
        OutcomeSummary("insufficient_funds", 1000, 29),
    ),
    "the last cent may be taken": (
        REDUCTION,
        snapshot(300, 30, session=None),
        OutcomeSummary("applied", 0, 0, is_written=True),
    ),
    "an addition above the maximum balance is refused": (
        ADDITION,
        snapshot(FULL - 329, session=None),
        OutcomeSummary("out_of_range", FULL - 329),
    ),
    "the maximum balance may be reached": (
        ADDITION,
        snapshot(FULL - 330, session=None),
        OutcomeSummary("applied", FULL - 30, 230, is_written=True),
    ),
}


@pytest.mark.parametrize(("command", "before", "expected"), ADJUST_TABLE.values(), ids=ADJUST_TABLE)
def test_adjust(command: Adjust, before: Snapshot, expected: OutcomeSummary) -> None:
    """An adjustment corrects cash, bonus or both, once for each reference, whatever the player may do otherwise."""
    assert summarize(decide(before, command, NOW_MS)) == expected


def test_a_deposit_of_bonus_is_not_limited() -> None:
    """Promotional credit is not the player's own money."""
    before = snapshot(session=None, restrictions=daily_limit(LimitKind.DEPOSIT, 0, 1))
    assert summarize(decide(before, Deposit("r1", 0, 30), NOW_MS)).result == "applied"


def test_a_withdrawal_of_cash_never_touches_bonus() -> None:
    """The bonus balance stays the same."""
    outcome = decide(snapshot(session=None), Withdraw("r1", 1000), NOW_MS)
    assert summarize(outcome) == OutcomeSummary("applied", 0, 200, is_written=True)


def test_a_refused_withdrawal_may_be_retried() -> None:
    """No entry is written, so the same reference succeeds once there is enough money."""
    assert summarize(decide(snapshot(0, 0, session=None), WITHDRAWAL, NOW_MS)) == OutcomeSummary(
        "insufficient_funds", 0, 0
    )
    assert summarize(decide(snapshot(session=None), WITHDRAWAL, NOW_MS)).result == "applied"


@pytest.mark.parametrize(
    ("command", "kind", "sign"),
    [
        (DEPOSIT, Kind.DEPOSIT, 1),
        (WITHDRAWAL, Kind.WITHDRAW, -1),
        (ADDITION, Kind.ADJUSTMENT, 1),
        (REDUCTION, Kind.ADJUSTMENT, -1),
    ],
)
def test_a_transfer_is_written_with_its_sign(command: Deposit | Withdraw | Adjust, kind: Kind, sign: int) -> None:
    """The amounts of a deposit are positive and those of a withdrawal negative; none has a game or a round."""
    entry = written_entry(decide(snapshot(session=None), command, NOW_MS))
    assert (entry.kind, entry.id, entry.amount, entry.bonus_amount) == (kind, "r1", sign * 300, sign * 30)
    assert (entry.game, entry.round, entry.detail, entry.refusal) == (None, None, None, None)
