"""The round after a rollback: of an unknown bet, of a known one, and of a settled one that is returned all the same."""

import pytest

from minwallet.ledger.commands import Bet, Cancel, Group, MoneyCommand, Rollback, RollbackRound, Settle, Win
from minwallet.ledger.entries import State
from tests.ledger.builders import BONUS, CASH, OutcomeSummary, summarize
from tests.ledger.in_memory_ledger import InMemoryLedger, execute_all

BET, ROLLBACK = Bet("3", 500, "2", "1012"), Rollback("5", "3")
EVEN_IF_SETTLED = Rollback("5", "3", even_if_settled=True)
NAMED, WIN_OF_ROUND = Rollback("5", "3", round="2", game="1012"), Win("4", 9, "2", "1012")

ROUND_TABLE: dict[str, tuple[list[MoneyCommand], str]] = {
    "a win of the round": ([NAMED, WIN_OF_ROUND], "round_cancelled"),
    "the same events in another order": ([BET, NAMED, WIN_OF_ROUND], "round_cancelled"),
    "a late bet between them": ([NAMED, BET, WIN_OF_ROUND], "round_cancelled"),
    "a win while another bet of the round stands": ([Bet("6", 1, "2"), NAMED, WIN_OF_ROUND], "applied"),
    "a win after another bet of the round": ([NAMED, Bet("6", 1, "2"), WIN_OF_ROUND], "applied"),
    "a win of another round": ([NAMED, Win("4", 9, "1")], "orphan"),
    "a win without a round": ([NAMED, Win("4", 9)], "applied"),
    "a win after a rollback that names no round": ([ROLLBACK, WIN_OF_ROUND], "orphan"),
    "a rollback of a refused bet has the round of the bet": (
        [BET._replace(stake=9999), Rollback("5", "3", round="8"), Win("4", 9, "8")],
        "orphan",
    ),
    "the round of a known bet counts": ([BET, Rollback("5", "3", round="8"), Win("4", 9, "8")], "orphan"),
    "and not the one that the rollback names": ([BET, Rollback("5", "3", round="8"), WIN_OF_ROUND], "round_cancelled"),
    "a retry of a result after its bet was returned": (
        [BET, Settle("3", 7), EVEN_IF_SETTLED, Settle("3", 7)],
        "replayed",
    ),
    "a second win after the bet was returned in spite of the first": (
        [BET, WIN_OF_ROUND, EVEN_IF_SETTLED, Win("7", 1, "2")],
        "round_cancelled",
    ),
    "a retry of the win of a returned bet": ([BET, WIN_OF_ROUND, EVEN_IF_SETTLED, WIN_OF_ROUND], "replayed"),
    "a rollback of the win of a returned bet": (
        [BET, WIN_OF_ROUND, EVEN_IF_SETTLED, Rollback("8", "4")],
        "applied",
    ),
    "a cancel of a returned bet": ([BET, WIN_OF_ROUND, EVEN_IF_SETTLED, Cancel("3")], "cancelled"),
    "a partial refund of a settled bet": (
        [BET, WIN_OF_ROUND, Rollback("5", "3", 100, even_if_settled=True)],
        "applied",
    ),
}


@pytest.mark.parametrize(("commands", "expected"), ROUND_TABLE.values(), ids=ROUND_TABLE)
def test_a_round_after_a_rollback(commands: list[MoneyCommand], expected: str) -> None:
    """An unknown bet is rolled back in the round that the rollback names. The order of the events does not matter."""
    assert summarize(execute_all(*commands)).result == expected


@pytest.mark.parametrize("is_grouped", [True, False])
def test_a_tombstone_has_the_round_and_the_game_that_the_rollback_names(is_grouped: bool) -> None:
    """A later win in the same group finds it, too."""
    ledger = InMemoryLedger()
    if is_grouped:
        refused = ledger.execute(Group((NAMED, WIN_OF_ROUND)))
        assert summarize(refused) == OutcomeSummary("round_cancelled", 0, 0)
    ledger.execute(Group((NAMED,)) if is_grouped else NAMED)
    (entry,) = ledger.entries
    assert (entry.state, entry.round, entry.game, entry.reference) == (State.CLOSED, "2", "1012", "3")


def test_a_round_rollback_after_a_returned_bet_takes_the_win_only() -> None:
    """The net movement of the round is what the player has more than before it."""
    commands: list[MoneyCommand] = [BET, WIN_OF_ROUND, EVEN_IF_SETTLED, RollbackRound("8", "2")]
    assert summarize(execute_all(*commands)) == OutcomeSummary("applied", CASH, BONUS, is_written=True)
