"""Tests of rollbacks, groups and ends of rounds, with every engine. The rules of each decision are in tests/ledger."""

import pytest

from minwallet.ledger.commands import (
    Bet,
    BetWin,
    Cancel,
    EndRound,
    Group,
    MoneyCommand,
    Rollback,
    RollbackRound,
    Settle,
    Win,
)
from minwallet.ledger.entries import Kind, Refusal, State, find_open_bets
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.outcomes import Applied, GroupApplied, Refused
from minwallet.ledger.time_units import DAY_MS
from minwallet.storage.errors import CommandFault
from minwallet.storage.models import IdScope, SessionHolder
from minwallet.storage.queries import Filter, OrphanWins, Total
from minwallet.storage.store import Store
from tests.storage.store_helpers import (
    NOW,
    ORBIT,
    VELA,
    WALLET_V2,
    Run,
    create_players,
    make_command,
    make_new_account,
    outcome_names,
)


class Player:
    """A player of one account who sends commands of orbit, one in each batch."""

    def __init__(self, store: Store, run: Run, account_id: int = 1) -> None:
        self._store = store
        self._run = run
        self._account_id = account_id

    def send(self, command: MoneyCommand | Group) -> object:
        """Return the cash after the command, or its refusal. Assert that a dry run predicts the outcome."""
        account_command = make_command(command, self._account_id, ORBIT)
        predicted = self._run(self._store.dry_run(account_command, NOW))
        (outcome,) = self._run(self._store.apply([account_command], NOW))
        assert outcome == predicted
        return outcome.refusal if isinstance(outcome, Refused) else outcome.cash

    def send_all(self, *commands: MoneyCommand | Group) -> list[object]:
        return [self.send(command) for command in commands]


@pytest.fixture
def ann(store: Store, run: Run) -> Player:
    """Return a player with 100 cents in account 1; account 2 is bob's, with as much."""
    run(create_players(store, make_new_account("ann", 100), make_new_account("bob", 100)))
    return Player(store, run)


def find_total(store: Store, run: Run) -> Total:
    """Return the totals of orbit."""
    while run(store.totals.aggregate_totals(2)):
        continue
    today = NOW // DAY_MS
    total = Total()
    for key, each in run(store.totals.read_totals(today, today + 1, None)):
        total = total.plus(each) if key.protocol == ORBIT else total
    return total


def test_a_rollback_finds_its_target_by_reference(ann: Player, store: Store, run: Run) -> None:
    """The history of an id includes its rollbacks, so all of them together return the stake once."""
    assert ann.send_all(Bet("1", 60, "7"), Rollback("r1", "1", 20), Rollback("r2", "1")) == [40, 60, 100]
    assert ann.send_all(Rollback("r3", "1"), Cancel("1"), Bet("1", 60, "7")) == [Refusal.CANCELLED] * 3
    assert ann.send_all(Rollback("r1", "1", 20), Rollback("r2", "1")) == [100, 100]
    assert ann.send(Rollback("r1", "2", 20)) is Refusal.ID_TAKEN
    entries = [each.entry for each in run(store.ledger.read_page(Filter(kind="rollback"), None, 9)).rows]
    assert [(each.id, each.reference, each.round, each.amount) for each in entries] == [
        ("r2", "1", "7", 40),
        ("r1", "1", "7", 20),
    ]


def test_a_rollback_of_an_unknown_id_closes_it(ann: Player) -> None:
    """The bet and the win that arrive later are refused."""
    assert ann.send(Rollback("r1", "1")) == 100
    assert ann.send_all(Bet("1", 5, "7"), Win("1", 5, "7")) == [Refusal.CANCELLED] * 2
    assert ann.send(Rollback("r1", "1")) == 100


def test_protocols_and_agents_do_not_share_references(ann: Player, store: Store, run: Run) -> None:
    """A rollback of another protocol, or another player's, does not find the bet."""
    assert ann.send(Bet("1", 60, "7")) == 40
    for protocol in (VELA, WALLET_V2):
        (outcome,) = run(store.apply([make_command(Rollback("r", "1"), 1, protocol)], NOW))
        assert isinstance(outcome, Applied)
        assert outcome.entry.state is State.CLOSED
    assert Player(store, run, 2).send(Rollback("r", "1")) is Refusal.ID_TAKEN
    assert ann.send(Rollback("r", "1")) == 100


def test_a_rollback_and_its_target_in_one_batch_are_decided_in_order(ann: Player, store: Store, run: Run) -> None:
    """The other player's bet finds the id closed."""
    del ann
    batch = [make_command(Rollback("r", "1"), 1, ORBIT), make_command(Bet("1", 5, "1"), 2, ORBIT)]
    outcomes = run(store.apply(batch, NOW))
    assert outcome_names(outcomes) == ["Applied", "Refused"]
    assert outcomes[1] == Refused(Refusal.CANCELLED, 100, 0)
    batch = [make_command(Bet("2", 5, "2"), 2, ORBIT), make_command(Rollback("q", "2"), 1, ORBIT)]
    assert run(store.apply(batch, NOW))[1] == Refused(Refusal.ID_TAKEN, 100, 0)


def test_a_rolled_back_win_does_not_settle_its_round(ann: Player, store: Store, run: Run) -> None:
    """The bet can be cancelled again, and is open again."""
    assert ann.send_all(Bet("1", 60, "7"), Win("2", 30, "7"), Cancel("1")) == [40, 70, Refusal.ROUND_SETTLED]
    assert run(store.ledger.count_open_rounds(99)) == 0
    assert ann.send_all(Rollback("r1", "2", 10)) == [60]
    assert run(store.ledger.count_open_rounds(99)) == 0
    assert ann.send_all(Rollback("r2", "2")) == [40]
    assert run(store.ledger.count_open_rounds(99)) == 1
    assert [each.entry.id for each in run(store.ledger.read_open_bets(None, None, 9)).rows] == ["1"]
    assert ann.send_all(Cancel("1")) == [100]
    assert run(store.ledger.count_open_rounds(99)) == 0


def test_a_result_is_not_what_rollbacks_of_its_id_refer_to(ann: Player, store: Store, run: Run) -> None:
    """A partial refund of the bet of more than the win does not reverse the win."""
    assert ann.send_all(Bet("1", 60, "1"), Rollback("r1", "1", 50), Settle("1", 20)) == [40, 90, 110]
    assert run(store.ledger.count_open_rounds(99)) == 0
    assert ann.send(Cancel("1")) is Refusal.ROUND_SETTLED


def test_a_result_stays_if_its_bet_is_returned_all_the_same(ann: Player, store: Store, run: Run) -> None:
    """The rollback of the bet is none of the result, so the result settles another bet of the round."""
    assert ann.send_all(Bet("1", 60, "7"), Bet("2", 5, "7"), Settle("1", 20)) == [40, 35, 55]
    assert ann.send(Rollback("r1", "1")) is Refusal.ROUND_SETTLED
    assert ann.send(Rollback("r1", "1", even_if_settled=True)) == 115
    assert run(store.ledger.read_open_bets(None, None, 9)).rows == []
    entries = [each for each in run(store.ledger.read_entries([1], 9)) if each.protocol == ORBIT]
    assert find_open_bets(entries) == []
    assert find_open_bets([each for each in entries if (each.id, each.kind) != ("1", Kind.BET)]) == []
    assert ann.send_all(Settle("1", 20), Rollback("r1", "1")) == [115, 115]
    assert find_total(store, run).moved == 15


def test_a_rollback_of_an_unknown_bet_counts_in_the_round_that_it_names(ann: Player, store: Store, run: Run) -> None:
    """A later win of the round is refused, as after a cancel. Another player's round is another one."""
    rollback = Rollback("r1", "1", round="7", game="fish")
    assert ann.send_all(rollback, rollback._replace(round="8"), Bet("1", 5, "7")) == [100, 100, Refusal.CANCELLED]
    assert ann.send_all(Win("2", 5, "7"), Win("3", 5, "8")) == [Refusal.ROUND_CANCELLED, 105]
    assert Player(store, run, 2).send(Win("4", 5, "7")) == 105
    (entry,) = [each.entry for each in run(store.ledger.read_page(Filter(kind="rollback"), None, 9)).rows]
    assert (entry.state, entry.round, entry.game) == (State.CLOSED, "7", "fish")
    assert ann.send_all(Bet("5", 5, "7"), Win("2", 5, "7")) == [100, 105]


def test_the_end_of_a_round_settles_its_bets(ann: Player, store: Store, run: Run) -> None:
    """A later bet opens the round again."""
    assert ann.send_all(Bet("1", 10, "7"), EndRound("e", "7")) == [90, 90]
    assert run(store.ledger.count_open_rounds(99)) == 0
    assert ann.send_all(Bet("2", 10, "7"), EndRound("e", "7"), EndRound("e", "8")) == [80, 80, Refusal.ID_TAKEN]
    assert [each.entry.id for each in run(store.ledger.read_open_bets(None, None, 9)).rows] == ["2"]


def test_a_rollback_of_a_round_reverses_what_stands(ann: Player, store: Store, run: Run) -> None:
    """The round is closed for its late bets and wins. Other players' rounds of the same name stay as they are."""
    bob = Player(store, run, 2)
    assert bob.send(Bet("b", 10, "7")) == 90
    assert ann.send_all(Bet("1", 60, "7"), Win("2", 25, "7"), Bet("3", 5, "7"), Cancel("3")) == [40, 65, 60, 65]
    assert ann.send_all(RollbackRound("x", "7"), RollbackRound("x", "7")) == [100, 100]
    assert ann.send(RollbackRound("y", "7")) is Refusal.CANCELLED
    assert ann.send_all(Rollback("r", "1"), Cancel("1")) == [Refusal.CANCELLED] * 2
    late = Bet("4", 5, "7", checks_round=True)
    assert ann.send_all(late, Win("5", 5, "7")) == [Refusal.ROUND_CANCELLED] * 2
    assert [each.entry.id for each in run(store.ledger.read_open_bets(None, None, 9)).rows] == ["b"]
    assert bob.send(Win("w", 5, "7")) == 95


def test_an_unknown_round_is_closed(ann: Player) -> None:
    """Only a bet that checks its round is refused."""
    assert ann.send(RollbackRound("x", "7")) == 100
    assert ann.send(Bet("1", 5, "7", checks_round=True)) is Refusal.ROUND_CANCELLED
    assert ann.send(Bet("2", 5, "7")) == 95


def test_sums_of_a_round_may_exceed_64_bits(store: Store, run: Run) -> None:
    """The order of its entries does not matter, as long as the balance can hold the result."""
    run(create_players(store, make_new_account("ann", MAX_CENTS)))
    ann = Player(store, run)
    for number in range(3):
        assert ann.send_all(Bet(f"b{number}", MAX_CENTS, "7"), Win(f"w{number}", MAX_CENTS, "6")) == [0, MAX_CENTS]
    assert ann.send(RollbackRound("x", "7")) is Refusal.OUT_OF_RANGE
    assert ann.send(RollbackRound("y", "6", clamp=True)) == 0
    assert find_total(store, run).moved == -MAX_CENTS


def test_a_group_is_applied_in_order_as_one(ann: Player, store: Store, run: Run) -> None:
    """Each command has an entry of its own, and later ones depend on earlier ones. A retry adds nothing."""
    assert ann.send_all(Bet("0", 10, "7"), Win("2", 30, "7")) == [90, 120]
    group = Group((Bet("1", 60, "7"), Win("3", 5, "7"), Rollback("r", "2"), Cancel("0"), Bet("4", 70, "8")))
    assert ann.send(group) is Refusal.INSUFFICIENT_FUNDS
    smaller = Group((*group.commands[:4], Bet("5", 45, "8")))
    (outcome,) = run(store.apply([make_command(smaller, 1, ORBIT)], NOW))
    assert isinstance(outcome, GroupApplied)
    assert (outcome.cash, outcome_names(outcome.outcomes)) == (0, ["Applied"] * 5)
    (again,) = run(store.apply([make_command(smaller, 1, ORBIT)], NOW))
    assert isinstance(again, GroupApplied)
    assert (again.cash, outcome_names(again.outcomes)) == (0, ["Replayed"] * 5)
    entries = [entry for entry in run(store.ledger.read_entries([1], 9)) if entry.protocol == ORBIT][::-1]
    assert [(entry.id, entry.state) for entry in entries] == [
        *(("0", State.APPLIED), ("2", State.APPLIED), ("4", State.REFUSED)),
        *((id_, State.APPLIED) for id_ in ("1", "3", "r", "0", "5")),
    ]
    assert [each.entry for each in outcome.outcomes] == entries[3:]


def test_a_refused_group_leaves_only_a_permanent_refusal(ann: Player, store: Store, run: Run) -> None:
    """A refusal that is not permanent writes nothing."""
    before = run(store.ledger.count_entries())
    assert ann.send(Group((Bet("1", 60, "7"), Win("1", 5, "7")))) is Refusal.ID_TAKEN
    assert run(store.ledger.count_entries()) == before
    assert ann.send(Group((Win("2", 5), Bet("3", 500, "7")))) is Refusal.INSUFFICIENT_FUNDS
    assert run(store.ledger.count_entries()) == before + 1
    assert ann.send_all(Bet("3", 500, "7"), Win("2", 5)) == [Refusal.INSUFFICIENT_FUNDS, 105]


def test_groups_of_many_players_share_a_batch(store: Store, run: Run) -> None:
    """Their entries may be more than one statement takes, and an id of one group is taken for the next."""
    players = 12
    run(create_players(store, *(make_new_account(f"p{number}", 100) for number in range(players))))
    groups = [Group(tuple(Bet(f"{player}-{n}", 1, str(n)) for n in range(100))) for player in range(players)]
    batch = [make_command(group, player, ORBIT) for player, group in enumerate(groups, 1)]
    outcomes = run(store.apply([*batch[:-1], make_command(groups[0], players, ORBIT)], NOW))
    assert outcome_names(outcomes) == ["GroupApplied"] * (players - 1) + ["Refused"]
    assert run(store.ledger.count_entries()) == players + 100 * (players - 1)
    page = run(store.ledger.read_page(Filter(player_id="p3"), None, 999))
    assert [each.entry.id for each in page.rows[-2::-1]] == [f"3-{n}" for n in range(100)]


@pytest.mark.parametrize("commands", [(), (Bet("1", 1, "1"),) * 101])
def test_a_group_of_an_invalid_size_is_a_bug_of_its_caller(
    ann: Player, store: Store, run: Run, commands: tuple[Bet, ...]
) -> None:
    """It raises CommandFault, and nothing of its batch happened."""
    before = run(store.ledger.count_entries())
    with pytest.raises(CommandFault):
        run(store.apply([make_command(Group(commands), 1, ORBIT)], NOW))
    assert run(store.ledger.count_entries()) == before
    assert ann.send(Bet("1", 1, "1")) == 99


def test_totals_count_what_rollbacks_returned_and_took(ann: Player, store: Store, run: Run) -> None:
    """A bet's rollback is a refund. A win's rollback reduces what was paid, also for a win without a bet."""
    ann.send_all(Bet("1", 60, "7"), Win("2", 50, "7"), Win("3", 30, "9"), BetWin("4", 10, 15))
    before = Total(bets=2, staked=70, wins=3, paid=95, moved=25, orphan_wins=1, orphan_paid=30)
    assert find_total(store, run) == before
    ann.send_all(Rollback("r1", "2"), Rollback("r2", "1", 20), Rollback("r3", "3", 10), Rollback("r4", "4"))
    assert run(store.totals.read_orphan_wins()) == [OrphanWins("USD", 1, 20)]
    total = find_total(store, run)
    assert total == before.plus(Total(paid=-60, refunds=2, refunded=15, moved=-45, orphan_paid=-10))
    assert run(store.totals.read_orphan_wins()) == [OrphanWins("USD", 1, 20)]
    assert total.ggr == -total.moved
    assert [each.is_consistent for each in run(store.totals.read_currency_balances())] == [True]


def test_totals_split_a_rollback_of_a_round(ann: Player, store: Store, run: Run) -> None:
    """Its stakes are a refund, and its wins reduce what was paid, also if there was too little cash to take them."""
    ann.send_all(Bet("1", 60, "7", "fish"), Win("2", 25, "7"), Bet("3", 5, "7"), Cancel("3"), RollbackRound("x", "7"))
    before = Total(bets=2, staked=65, wins=1, paid=0, refunds=2, refunded=65, moved=0)
    assert find_total(store, run) == before
    ann.send_all(Win("4", 50, "8"), Bet("5", 130, "9"), RollbackRound("y", "8", clamp=True))
    assert run(store.totals.read_orphan_wins()) == [OrphanWins("USD", 1, 30)]
    total = find_total(store, run)
    assert total == before.plus(
        Total(bets=1, staked=130, wins=1, paid=30, refunds=1, moved=-100, orphan_wins=1, orphan_paid=30)
    )
    assert run(store.totals.read_orphan_wins()) == [OrphanWins("USD", 1, 30)]
    assert total.ggr == -total.moved


def test_an_account_is_found_by_its_player_and_currency(store: Store, run: Run) -> None:
    """Only at the agent. The holder has no session."""
    agent = run(store.accounts.add_agent("two", "token2", None, NOW))
    assert agent
    run(
        create_players(
            store,
            make_new_account("ann", 1),
            make_new_account("ann", 1, currency="EUR"),
            make_new_account("ann", 1, agent="two"),
        )
    )
    find = store.find_account_holder
    assert run(find(1, "ann", "EUR")) == SessionHolder(None, 2, 1, "ann", "EUR", 1, "default")
    assert run(find(agent.agent_id, "ann", "USD")) == SessionHolder(None, 3, 2, "ann", "USD", agent.agent_id, "token2")
    for unknown in ((1, "bob", "USD"), (1, "Ann", "USD"), (1, "ann", "SEK"), (2, "ann", "EUR"), (9, "ann", "USD")):
        assert run(find(*unknown)) is None
    for agent_id, player_id, is_known in ((1, "ann", True), (2, "ann", True), (9, "ann", False), (1, "Ann", False)):
        assert run(store.has_player(agent_id, player_id)) is is_known


def test_the_scopes_of_ids_are_listed(ann: Player, store: Store, run: Run) -> None:
    """A scope has a currency if its protocol says so."""
    ann.send(Bet("1", 1, "1"))
    run(store.apply([make_command(Bet("1", 1, "1"), 1)], NOW))
    assert set(run(store.ledger.list_id_scopes())) == {
        IdScope("default", "opening", ""),
        IdScope("default", ORBIT, ""),
        IdScope("default", WALLET_V2, "USD"),
    }


def test_a_rollback_is_not_a_ticket(ann: Player, store: Store, run: Run) -> None:
    """A report knows bets. One that was wholly rolled back is refunded."""
    ann.send_all(Bet("1", 60, "7"), Rollback("r1", "1"), Bet("2", 10, "8"), Rollback("r2", "2", 5), EndRound("e", "8"))
    tickets = run(store.reports.read_tickets(1, ORBIT, "", 9))
    assert [(each.ticket, each.is_open, each.is_refunded) for each in tickets] == [
        ("1", False, True),
        ("2", True, False),
    ]
    ann.send_all(Win("3", 5, "9"), Win("4", 5, "9"), Rollback("r3", "3"))
    assert [each.ticket for each in run(store.reports.read_orphans(1))] == ["4"]


def test_an_account_is_as_the_last_entry_of_a_group_left_it(ann: Player) -> None:
    """The rollback of a win is decided last, wherever the list of the group has it."""
    assert ann.send_all(Bet("1", 30, "1"), Win("2", 50, "1")) == [70, 120]
    assert ann.send(Group((Rollback("r:2", "2"), Rollback("r:1", "1")))) == 100
    assert ann.send(Bet("3", 100, "3")) == 0
