"""Groups: several commands of one account, in order and all or nothing."""

import pytest

from minwallet.ledger.commands import (
    MAX_GROUP_SIZE,
    Adjust,
    Authenticate,
    Balance,
    Bet,
    BetWin,
    Cancel,
    Command,
    Deposit,
    EndRound,
    GameCommand,
    Group,
    Rollback,
    RollbackRound,
    Settle,
    Win,
    WinCategory,
    Withdraw,
)
from minwallet.ledger.decide import decide
from minwallet.ledger.decide_group import decide_group
from minwallet.ledger.entries import Refusal
from minwallet.ledger.limits import EffectiveValue, Limit, LimitKind, LimitPeriod
from minwallet.ledger.outcomes import Applied, GroupApplied, Refused, Replayed
from tests.ledger.builders import (
    BONUS,
    CASH,
    EXPIRED,
    NOW_MS,
    OutcomeSummary,
    snapshot,
    summarize,
    written_entry,
)
from tests.ledger.in_memory_ledger import InMemoryLedger, execute_all

BET, WIN = Bet("3", 500, "2", "1012"), Win("4", 700, "2", "1012")

GroupTable = dict[str, tuple[list[GameCommand], list[GameCommand], str, tuple[int, int]]]

# The earlier commands, the group, the result and the balances afterwards.
TABLE: GroupTable = {
    "a bet and its win": ([], [BET, WIN], "group", (1200, 200)),
    "a win does not pay for an earlier stake": ([], [Bet("3", 1201, "2"), WIN], "insufficient_funds", (1000, 200)),
    "a win pays for a later stake": ([BET], [WIN, Bet("5", 1400, "5")], "group", (0, 0)),
    "a bet and a win that is refused": (
        [],
        [BET, RollbackRound("6", "9"), Win("4", 1, "9")],
        "round_cancelled",
        (1000, 200),
    ),
    "wins of two rounds": ([BET, Bet("5", 1, "7")], [WIN, Win("8", 9, "7")], "group", (1208, 200)),
    "a retry of a part": ([BET], [BET, WIN], "group", (1200, 200)),
    "a retry of all": ([BET, WIN], [BET, WIN], "group", (1200, 200)),
    "an id twice": ([], [BET, BET], "group", (500, 200)),
    "an id with two contents": ([], [BET, BET._replace(stake=1)], "id_taken", (1000, 200)),
    "a bet and its result": ([], [BET, Settle("3", 9)], "group", (509, 200)),
    "a bet and its cancel": ([], [BET, Cancel("3")], "group", (1000, 200)),
    "a cancel before its bet": ([], [Cancel("3"), BET], "cancelled", (1000, 200)),
    "a rollback before its bet": ([], [Rollback("6", "3"), BET], "cancelled", (1000, 200)),
    "a bet, its win and a cancel": ([], [BET, WIN, Cancel("3")], "round_settled", (1000, 200)),
    "two bets, a win and a cancel": ([], [BET, Bet("5", 1, "2"), WIN, Cancel("3")], "group", (1699, 200)),
    "an earlier bet, a win and a cancel": ([Bet("5", 1, "2")], [BET, WIN, Cancel("3")], "group", (1699, 200)),
    "a result of an earlier bet, and a cancel": (
        [Bet("5", 1, "2")],
        [BET, Settle("5", 9), Cancel("3")],
        "group",
        (1008, 200),
    ),
    "a win, whose bet is reversed after it": (
        [BET, WIN],
        [Rollback("6", "4"), Rollback("7", "3")],
        "group",
        (1000, 200),
    ),
    "a bet, and then its win": (
        [BET, WIN],
        [Rollback("7", "3"), Rollback("6", "4")],
        "group",
        (1000, 200),
    ),
    "a win that only the returned stake can pay for": (
        [BET, WIN, Bet("9", 1000, "9")],
        [Rollback("6", "4"), Rollback("7", "3")],
        "group",
        (0, 200),
    ),
    "a win that even the returned stake cannot pay for": (
        [BET, WIN, Bet("9", 1001, "9")],
        [Rollback("6", "4"), Rollback("7", "3")],
        "win_spent",
        (199, 200),
    ),
    "a bet, whose win is reversed after a cancel": (
        [BET, WIN],
        [Cancel("3"), Rollback("6", "4")],
        "group",
        (1000, 200),
    ),
    "the newer of two wins, and the bet": (
        [BET, Win("8", 1, "2"), WIN],
        [Rollback("6", "4"), Rollback("7", "3")],
        "round_settled",
        (1201, 200),
    ),
    "both wins, and the bet": (
        [BET, Win("8", 1, "2"), WIN],
        [Rollback("5", "8"), Rollback("6", "4"), Rollback("7", "3")],
        "group",
        (1000, 200),
    ),
    "a part of the win, and the bet": (
        [BET, WIN],
        [Rollback("6", "4", 699), Rollback("7", "3")],
        "round_settled",
        (1200, 200),
    ),
    "the parts of a bet": ([BET], [Rollback("6", "3", 100), Rollback("7", "3", 400)], "group", (1000, 200)),
    "more than the parts of a bet": (
        [BET],
        [Rollback("6", "3", 100), Rollback("7", "3", 401)],
        "out_of_range",
        (500, 200),
    ),
    "a part and a cancel": ([BET], [Rollback("6", "3", 100), Cancel("3")], "group", (1000, 200)),
    "a retry of a rollback": ([BET], [Rollback("6", "3"), Rollback("6", "3")], "group", (1000, 200)),
    "a rollback and a win of the round": ([BET], [Rollback("6", "3"), WIN], "round_cancelled", (500, 200)),
    "a rollback of one of two bets and a win": (
        [BET, Bet("5", 1, "2")],
        [Rollback("6", "3"), WIN],
        "group",
        (1699, 200),
    ),
    "a rollback of a refused bet and a win of its round": (
        [Bet("3", 9999, "2")],
        [Rollback("6", "3"), WIN],
        "round_cancelled",
        (1000, 200),
    ),
    "a rollback of a betwin": ([], [BetWin("3", 500, 300), Rollback("6", "3")], "group", (1000, 200)),
    "a betwin in a round that is rolled back before": (
        [],
        [RollbackRound("6", "3"), BetWin("3", 500, 300, checks_round=True)],
        "round_cancelled",
        (1000, 200),
    ),
    "a bet and a rollback of its round": ([], [BET, WIN, RollbackRound("6", "2")], "group", (1000, 200)),
    "a bet and a rollback of its round with earlier entries": (
        [BET],
        [Bet("5", 600, "2"), RollbackRound("6", "2")],
        "group",
        (1000, 200),
    ),
    "a bet after a rollback of its round": (
        [],
        [RollbackRound("6", "2"), BET._replace(checks_round=True)],
        "round_cancelled",
        (1000, 200),
    ),
    "a bet that does not check its round": ([], [RollbackRound("6", "2"), BET], "group", (500, 200)),
    "a spent win": ([BET, WIN], [Bet("5", 1199, "5"), Rollback("6", "4")], "win_spent", (1200, 200)),
    "an end of a round": ([], [BET, WIN, EndRound("6", "2")], "group", (1200, 200)),
    "a win with a category": ([], [Win("4", 9, "9", category=WinCategory.TIP), BET], "group", (509, 200)),
}


@pytest.mark.parametrize(("earlier", "commands", "result", "balances"), TABLE.values(), ids=TABLE)
def test_group(earlier: list[GameCommand], commands: list[GameCommand], result: str, balances: tuple[int, int]) -> None:
    """Each command is decided as after those before it. If one is refused, none moves money."""
    outcome = execute_all(*earlier, Group(tuple(commands)))
    assert summarize(outcome)[:3] == (result, *balances)


def test_an_applied_group_has_an_outcome_for_each_command() -> None:
    """Each has its own entry, balances and number, and the entries form a chain. A retry has its first entry."""
    ledger = InMemoryLedger()
    ledger.execute(Deposit("d", CASH, BONUS))
    first = written_entry(ledger.execute(BET))
    end = EndRound("5", "2")
    outcome = ledger.execute(Group((WIN, BET, end)))
    assert isinstance(outcome, GroupApplied)
    win, bet, ended = outcome.outcomes
    assert bet == Replayed(first, 1200, 200)
    assert isinstance(win, Applied)
    assert isinstance(ended, Applied)
    assert [(each.entry.seq, each.entry.previous_seq, each.cash) for each in (win, ended)] == [
        (3, 2, 1200),
        (4, 3, 1200),
    ]
    assert outcome[1:] == (1200, 200)
    assert ledger.execute(Group((WIN, BET, end))) == GroupApplied(
        tuple(Replayed(each.entry, 1200, 200) for each in outcome.outcomes), 1200, 200
    )


def test_a_permanent_refusal_is_the_only_entry_of_its_group() -> None:
    """It follows the last entry before the group, and has the balances from before the group."""
    ledger = InMemoryLedger()
    ledger.execute(Deposit("d", CASH, BONUS))
    group = Group((BET, Bet("5", 701, "2"), Bet("6", 1, "2")))
    outcome = ledger.execute(group)
    entry = written_entry(outcome)
    assert ledger.entries[1:] == [entry]
    assert (entry.seq, entry.previous_seq, entry.id, entry.cash_after, entry.bonus_after) == (2, 1, "5", CASH, BONUS)
    assert entry.refusal is Refusal.INSUFFICIENT_FUNDS
    assert ledger.execute(group) == Refused(Refusal.INSUFFICIENT_FUNDS, CASH, BONUS)
    assert summarize(ledger.execute(BET)) == OutcomeSummary("applied", 500, 200, is_written=True)


def test_a_group_uses_limits_up() -> None:
    """A bet counts for the limit of the next one, and a win gives room again."""
    ledger = InMemoryLedger()
    ledger.execute(Deposit("d", CASH, BONUS))
    ledger.limits = (Limit(LimitKind.LOSS, LimitPeriod.DAY, EffectiveValue(600)),)
    assert summarize(ledger.execute(Group((BET, Bet("5", 101, "5"))))).result == "loss_limit"
    assert summarize(ledger.execute(Group((BET, Bet("6", 100, "6"))))).result == "group"
    assert summarize(ledger.execute(Group((Bet("7", 1, "7"),)))).result == "loss_limit"
    assert summarize(ledger.execute(Group((WIN, Bet("8", 700, "8"))))).result == "group"


def test_a_group_needs_what_its_commands_need() -> None:
    """In an ended session bets are refused, and settlements succeed."""
    ledger = InMemoryLedger()
    ledger.execute(Deposit("d", CASH, BONUS))
    ledger.execute(BET)
    assert summarize(ledger.execute(Group((WIN, Bet("5", 1, "5"))), session=EXPIRED)).result == "session_expired"
    assert summarize(ledger.execute(Group((WIN, EndRound("5", "2"))), session=EXPIRED)).result == "group"


@pytest.mark.parametrize("size", [0, MAX_GROUP_SIZE + 1])
def test_a_group_has_a_limited_size(size: int) -> None:
    """A group without commands, or with too many, is a bug of the protocol."""
    with pytest.raises(ValueError, match=f"invalid group of {size} commands: use 1 to {MAX_GROUP_SIZE}"):
        decide_group([snapshot()] * size, [BET] * size, NOW_MS)


def test_a_group_of_the_maximum_size_is_decided() -> None:
    """MAX_GROUP_SIZE commands are allowed."""
    bets = [Bet(str(each), 1, "1") for each in range(MAX_GROUP_SIZE)]
    outcome = decide_group([snapshot()] * MAX_GROUP_SIZE, bets, NOW_MS)
    assert outcome[1:] == (CASH - MAX_GROUP_SIZE, BONUS)


@pytest.mark.parametrize(
    "command", [Balance(), Authenticate(), Deposit("1", 1), Withdraw("1", 1), Adjust("1", 1), Group((BET,))]
)
def test_a_group_has_only_commands_of_a_game(command: Command) -> None:
    """A query, a transfer or a group in a group is a bug of the protocol."""
    with pytest.raises(ValueError, match=f"invalid command {type(command).__name__} in a group"):
        decide_group([snapshot()] * 2, [BET, command], NOW_MS)  # type: ignore[list-item]  # the types forbid it too


def test_a_group_is_not_decided_as_one_command() -> None:
    """It needs a snapshot for each of its commands."""
    with pytest.raises(ValueError, match="decide_group"):
        decide(snapshot(), Group((BET,)), NOW_MS)
