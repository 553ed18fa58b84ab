"""The check of reversals: it accepts every ledger that decisions write, and reports each false row."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.commands import (
    Bet,
    BetWin,
    Cancel,
    EndRound,
    GameCommand,
    Group,
    Rollback,
    RollbackRound,
    Win,
)
from minwallet.ledger.entries import Entry, Kind
from tests.faults.reversal_checks import LedgerRow, ReversalChecker
from tests.ledger.builders import ME
from tests.ledger.in_memory_ledger import InMemoryLedger
from tests.ledger.test_properties import build_funded_ledger
from tests.ledger.test_reversal_properties import related_commands, with_checked_rounds

checked_groups = st.lists(related_commands.map(with_checked_rounds), min_size=1, max_size=6).map(
    lambda commands: Group(tuple(commands))
)


def to_rows(entries: Sequence[Entry]) -> list[LedgerRow]:
    """Return the entries as rows of one scope, as a file has them."""
    used: set[str] = set()
    rows = []
    for entry in entries:
        role = 2 if entry.kind is Kind.CANCEL else int(entry.id in used)
        used |= set() if role == 2 else {entry.id}
        rows.append(LedgerRow(*entry, role, 1))
    return rows


def find_problems(rows: Sequence[LedgerRow]) -> list[str]:
    checker = ReversalChecker()
    for row in rows:
        checker.add(row)
    return checker.problems


def play(*commands: GameCommand) -> list[LedgerRow]:
    """Return the rows of these commands of the first player."""
    ledger = build_funded_ledger()
    for command in commands:
        ledger.execute(command)
    return to_rows(ledger.entries)[2:]


@given(st.lists(related_commands.map(with_checked_rounds) | checked_groups, max_size=20))
def test_a_true_ledger_has_no_problems(history: list[GameCommand | Group]) -> None:
    """Any commands in any order leave a ledger without problems, if the bets check their rounds."""
    ledger: InMemoryLedger = build_funded_ledger()
    for command in history:
        ledger.execute(command)
    assert find_problems(to_rows(ledger.entries)) == []


BET, WIN = Bet("3", 5300, "2"), Win("4", 700, "2")

# The commands, and the changed fields of the last row.
FALSE_ROWS: dict[str, tuple[list[GameCommand], dict[str, Any], str]] = {
    "a rollback moves too much": ([BET, Rollback("5", "3")], {"amount": 5001}, "moves"),
    "a part returns cash before bonus": (
        [BET, Rollback("5", "3", 100)],
        {"amount": 100, "bonus_amount": 0},
        "moves (100, 0) instead of (0, 100)",
    ),
    "a rollback of a win takes too little": ([WIN, Rollback("5", "4")], {"amount": -699}, "moves"),
    "a rollback of a betwin keeps the win": (
        [BetWin("3", 500, 700), Rollback("5", "3")],
        {"amount": 500},
        "moves (500, 0) instead of (-200, 0)",
    ),
    "more than the stake": ([BET, Rollback("5", "3")], {"payout": 5301}, "more than its target"),
    "the wrong direction": ([BET, Rollback("5", "3")], {"stake": 1}, "more than its target"),
    "a tombstone moves money": ([Rollback("5", "3")], {"amount": 1}, "no tombstone"),
    "an unknown target": ([Rollback("5", "3")], {"state": "applied"}, "no tombstone"),
    "a known target is closed": ([BET, Rollback("5", "3")], {"state": "closed"}, "may not reverse"),
    "another account": ([BET, Rollback("5", "3")], {"account_id": ME + 1}, "may not reverse"),
    "a target that is no bet": ([EndRound("3", "2"), Rollback("5", "9")], {"reference": "3"}, "may not reverse"),
    "a second rollback": ([BET, Rollback("4", "3"), Rollback("5", "9")], {"reference": "3"}, "a second time"),
    "a rollback after a cancel": ([BET, Cancel("3"), Rollback("5", "9")], {"reference": "3"}, "a second time"),
    "a rollback in a closed round": (
        [BET, RollbackRound("6", "2"), Rollback("5", "9")],
        {"reference": "3", "state": "applied"},
        "closed round",
    ),
    "a late bet": ([Rollback("5", "3"), Bet("9", 1, "2")], {"id": "3"}, "was rolled back before"),
    "a late win": ([Rollback("5", "4"), Win("9", 1, "2")], {"id": "4"}, "was rolled back before"),
    "a win in a closed round": ([RollbackRound("5", "2"), Win("9", 1, "3")], {"round": "2"}, "was rolled back before"),
    "a round keeps a cent": ([BET, RollbackRound("5", "2")], {"amount": 4999}, "moves"),
    "a round keeps bonus": ([BET, RollbackRound("5", "2")], {"bonus_amount": 0}, "moves"),
    "a round a second time": ([RollbackRound("5", "2"), RollbackRound("6", "3")], {"round": "2"}, "a second time"),
    "an end moves money": ([EndRound("5", "2")], {"amount": 1}, "moves money"),
}


@pytest.mark.parametrize(("commands", "change", "complaint"), FALSE_ROWS.values(), ids=FALSE_ROWS)
def test_a_false_row_is_reported(commands: list[GameCommand], change: dict[str, Any], complaint: str) -> None:
    """A row that moves what it may not, or refers to what it may not reverse, is the only problem."""
    rows = play(*commands)
    assert len(rows) == len(commands)
    assert find_problems(rows) == []
    (problem,) = find_problems([*rows[:-1], rows[-1]._replace(**change)])
    assert complaint in problem
