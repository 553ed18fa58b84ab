"""Properties of reversals and groups in every history: any commands in any order."""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from minwallet.ledger.commands import Bet, BetWin, Cancel, GameCommand, Group, Rollback, RollbackRound, Settle, Win
from minwallet.ledger.entries import Entry, Kind, State, find_open_bets
from minwallet.ledger.limits import EffectiveValue, Limit, LimitKind, LimitPeriod
from minwallet.ledger.outcomes import Applied, GroupApplied, Refused, Replayed
from minwallet.ledger.snapshot import Round
from tests.ledger.builders import LIVE, ME, WITHOUT_EXPIRY
from tests.ledger.in_memory_ledger import InMemoryLedger
from tests.ledger.test_properties import LedgerStep, build_funded_ledger, execute_step, game_commands, histories, ids

few_ids, rounds, cents = st.sampled_from("1234"), st.sampled_from("AB"), st.sampled_from([0, 100, 100, 300])

# Few ids, rounds and amounts, so that commands meet each other more often than in all histories.
related_commands: st.SearchStrategy[GameCommand] = st.one_of(
    st.builds(Bet, few_ids, cents, rounds, checks_round=st.booleans()),
    st.builds(Bet, few_ids, cents, rounds),
    st.builds(Win, few_ids, cents, rounds),
    st.builds(Settle, few_ids, cents),
    st.builds(Cancel, few_ids),
    st.builds(
        Rollback, st.sampled_from("rst"), few_ids, st.none() | cents, st.booleans(), st.booleans(), st.none() | rounds
    ),
    st.builds(Rollback, st.sampled_from("uvw"), few_ids),
    st.builds(RollbackRound, st.sampled_from("xy"), rounds, st.booleans()),
)
related_histories = st.lists(related_commands.map(lambda command: (command, ME, LIVE, False)), max_size=10)
groups = st.lists(related_commands, min_size=1, max_size=6).map(lambda commands: Group(tuple(commands)))


def execute_until_refused(ledger: InMemoryLedger, group: Group) -> GroupApplied | Refused:
    """Execute the commands of a group one after another, and return the outcome that the group should have."""
    outcomes: list[Applied | Replayed] = []
    for command in group.commands:
        outcome = ledger.execute(command)
        if isinstance(outcome, Refused):
            return outcome
        assert isinstance(outcome, Applied | Replayed)
        outcomes.append(outcome)
    return GroupApplied(tuple(outcomes), *ledger.accounts[ME][1:3])


@settings(max_examples=300)
@given(related_histories, groups, st.booleans())
def test_a_group_is_its_commands_in_order_or_nothing(history: list[LedgerStep], group: Group, has_limits: bool) -> None:
    """An applied group has the outcomes and entries of its commands one after another. A refused one has the refusal
    of the first command that would be refused, and its entry alone."""
    grouped = build_funded_ledger()
    for step in history:
        execute_step(grouped, step)
    if has_limits:
        grouped.limits = (Limit(LimitKind.LOSS, LimitPeriod.DAY, EffectiveValue(250)),)
    before, single = copy.deepcopy(grouped), copy.deepcopy(grouped)
    outcome, expected = grouped.execute(group), execute_until_refused(single, group)
    if isinstance(outcome, GroupApplied):
        assert outcome == expected
        assert (grouped.entries, grouped.accounts) == (single.entries, single.accounts)
    else:
        assert isinstance(outcome, Refused)
        assert isinstance(expected, Refused)
        assert outcome.refusal is expected.refusal
        assert outcome[1:3] == before.accounts[ME][1:3]
        assert (outcome.entry is None) == (expected.entry is None)
        assert grouped.entries == [*before.entries, *([outcome.entry] if outcome.entry else [])]
        if (entry := outcome.entry) and expected.entry:
            first = before.accounts[ME]
            assert entry[6:12] == expected.entry[6:12]
            assert (entry.seq, entry.previous_seq) == (len(before.entries) + 1, first.last_seq)
            assert (entry.cash_after, entry.bonus_after) == (first.cash, first.bonus)


@given(related_histories, groups)
def test_a_group_delivered_twice_counts_once(history: list[LedgerStep], group: Group) -> None:
    """The second delivery moves nothing. It repeats the first outcome, unless the group reverses its own commands."""
    ledger = build_funded_ledger()
    for step in history:
        execute_step(ledger, step)
    first = ledger.execute(group)
    entries, accounts = list(ledger.entries), dict(ledger.accounts)
    again = ledger.execute(group)
    assert (ledger.entries, ledger.accounts) == (entries, accounts)
    if isinstance(first, Refused):
        assert again == first._replace(entry=None)
    elif not any(isinstance(each, Cancel | Rollback | RollbackRound) for each in group.commands):
        assert isinstance(again, GroupApplied)
        assert isinstance(first, GroupApplied)
        assert [each.entry for each in again.outcomes] == [each.entry for each in first.outcomes]


def reversals_of(ledger: InMemoryLedger, entry: Entry) -> list[Entry]:
    """Return the applied cancels and rollbacks of one entry."""
    cancels = [each for each in ledger.entries if each.kind is Kind.CANCEL and each.id == entry.id]
    return cancels + [each for each in ledger.entries if each.reference == entry.id]


@given(histories | related_histories)
def test_a_stake_and_a_win_are_reversed_at_most_once(history: list[LedgerStep]) -> None:
    """The reversals of a bet return no more cash and no more bonus than it took. Those of a win take no more than it
    paid."""
    ledger = build_funded_ledger()
    for step in history:
        execute_step(ledger, step)
    for entry in ledger.entries:
        reversals = reversals_of(ledger, entry)
        if entry.kind is Kind.BET:
            assert 0 <= sum(each.amount for each in reversals) <= -entry.amount
            assert 0 <= sum(each.bonus_amount for each in reversals) <= -entry.bonus_amount
        if entry.kind is Kind.WIN and ledger.histories[entry.id].original == entry:
            assert 0 <= -sum(each.amount for each in reversals) <= entry.payout
            assert all(each.bonus_amount == 0 for each in reversals)


@given(histories, ids, ids, st.booleans())
def test_what_is_reversed_first_moves_nothing_later(
    history: list[LedgerStep], id_: str, round_: str, is_cancel: bool
) -> None:
    """After a tombstone, no bet, betwin or win with the id moves money."""
    ledger = build_funded_ledger()
    reversal = Cancel(id_) if is_cancel else Rollback("first", id_)
    if not is_cancel:
        history = [step for step in history if not (isinstance(step[0], Cancel) and step[0].id == id_)]
    ledger.execute(reversal)
    for step in history:
        execute_step(ledger, step)
    for command in (Bet(id_, 1, round_), BetWin(id_, 1, 9), Win(id_, 9, round_)):
        assert isinstance(ledger.execute(command), Refused)
    moves = [row for row in ledger.entries if row.id == id_ and row.kind in (Kind.BET, Kind.BETWIN, Kind.WIN)]
    assert moves == []


def with_checked_rounds(command: GameCommand) -> GameCommand:
    """Return the command as a protocol with rollbacks of rounds makes it: everything names its round and checks it."""
    if isinstance(command, Win):
        return command._replace(round=command.round or "1")
    return command._replace(checks_round=True) if isinstance(command, Bet | BetWin | Settle) else command


@given(st.lists((game_commands | related_commands).map(with_checked_rounds), max_size=25), ids | rounds, st.booleans())
def test_a_rolled_back_round_stays_at_zero(history: list[GameCommand], round_: str, clamp: bool) -> None:
    """The entries of a round that is rolled back sum to zero, whatever follows. With a clamp, the player keeps what
    was spent."""
    ledger = build_funded_ledger()
    for command in history:
        ledger.execute(command, session=WITHOUT_EXPIRY)
    outcome = ledger.execute(RollbackRound("last", round_, clamp))
    if not isinstance(outcome, Applied):
        return
    kept = ledger.find_round(round_, ME)
    assert kept.bonus == 0
    assert kept.cash == 0 or (clamp and kept.cash > 0 and outcome.cash == 0)
    for command in history:
        ledger.execute(command, session=WITHOUT_EXPIRY)
    after = ledger.find_round(round_, ME)
    assert (after.cash, after.bonus) == (kept.cash, kept.bonus)
    assert find_open_bets([row for row in ledger.entries if row.round == round_]) == []


@given(st.lists(related_commands.map(with_checked_rounds), max_size=15))
def test_the_summary_of_a_round_is_that_of_its_bets(history: list[GameCommand]) -> None:
    """An open bet of the ledger stands in its round, and no win after it stands there."""
    ledger = build_funded_ledger()
    for command in history:
        ledger.execute(command)
    for bet in find_open_bets(ledger.entries):
        summary: Round = ledger.find_round(bet.round, bet.account_id)
        assert bet.state is State.APPLIED
        assert summary.standing_bets >= 1
        assert summary.last_win_seq < bet.seq
