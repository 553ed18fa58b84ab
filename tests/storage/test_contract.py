"""Tests of the promises of `Store`, with every engine."""

import asyncio

import pytest

from minwallet.ledger.audit import Audit, EntryRow
from minwallet.ledger.commands import Balance, Bet, BetWin, Cancel, Deposit, Settle, Win, Withdraw
from minwallet.ledger.entries import Kind, Refusal, State
from minwallet.ledger.outcomes import Applied, BalanceShown, Refused, Replayed
from minwallet.storage.errors import CommandFault
from minwallet.storage.models import Partition, PlayerStatus
from minwallet.storage.queries import Filter
from minwallet.storage.store import Store
from minwallet.wallet.sessions import build_new_session, hash_token
from tests.storage.store_helpers import (
    NOW,
    VELA,
    WALLET_V2,
    Run,
    create_players,
    make_command,
    make_new_account,
    make_operator_command,
    outcome_names,
)

LARGEST = 2**64 - 1


def test_a_command_changes_its_account(store: Store, run: Run) -> None:
    """The outcome has the new balances, and the player is found with them."""
    run(create_players(store, make_new_account("ann", 1000, 500)))
    (outcome,) = run(store.apply([make_command(Bet("7", 1200, "7", "1012"), 1)], NOW + 5))
    assert isinstance(outcome, Applied)
    entry = outcome.entry
    assert (entry.seq, entry.previous_seq, entry.at_ms, entry.account_id) == (2, 1, NOW + 5, 1)
    assert (entry.kind, entry.id, entry.round, entry.game, entry.stake) == (Kind.BET, "7", "7", "1012", 1200)
    assert (entry.amount, entry.bonus_amount, outcome.cash, outcome.bonus) == (-1000, -200, 0, 300)
    found = run(store.accounts.find_player("default", "ann"))
    assert found
    assert found.accounts == ((1, "USD", 0, 300),)


def test_commands_of_a_batch_are_decided_in_order(store: Store, run: Run) -> None:
    """Each command has one outcome, in the order of the commands, and `seq` increases."""
    run(create_players(store, make_new_account("ann", 100), make_new_account("bob", 100), make_new_account("cat", 100)))
    batch = [make_command(Bet("3", 10, "3"), 3), make_command(Bet("1", 500, "1"), 1), make_command(Win("2", 7), 2)]
    outcomes = run(store.apply(batch, NOW))
    assert outcome_names(outcomes) == ["Applied", "Refused", "Applied"]
    entries = [outcome.entry for outcome in outcomes if isinstance(outcome, Applied | Refused) and outcome.entry]
    assert [(entry.account_id, entry.id) for entry in entries] == [(3, "3"), (1, "1"), (2, "2")]
    assert [entry.seq for entry in entries] == [4, 5, 6]
    assert run(store.apply([], NOW)) == []


@pytest.mark.parametrize(
    "bug", [KeyError("x"), StopIteration(), UnicodeDecodeError("utf-8", b"x", 0, 1, "x"), asyncio.CancelledError()]
)
def test_a_bug_of_one_command_fails_its_batch_with_a_command_fault(store: Store, run: Run, bug: BaseException) -> None:
    """Nothing of the batch happened, whatever exception it was, and the next batch is applied."""
    run(create_players(store, make_new_account("ann", 100), make_new_account("bob", 100)))

    class Faulty(int):
        def __le__(self, other: int) -> bool:
            raise bug

        __lt__ = __ge__ = __gt__ = __le__

    batch = [make_command(Bet("1", 10, "1"), 1), make_command(Bet("2", Faulty(10), "2"), 2)]
    with pytest.raises(CommandFault) as caught:
        run(asyncio.wait_for(store.apply(batch, NOW), 10))
    assert caught.value.__cause__ is bug
    assert store.failure is None
    assert run(store.ledger.count_entries()) == 2
    assert outcome_names(run(store.apply(batch[:1], NOW))) == ["Applied"]


def test_two_players_with_one_id_in_one_batch(store: Store, run: Run) -> None:
    """The first player's bet is applied, the second one's is refused."""
    run(create_players(store, make_new_account("ann", 100), make_new_account("bob", 100)))
    outcomes = run(store.apply([make_command(Bet("1", 10, "1"), 2), make_command(Bet("1", 10, "1"), 1)], NOW))
    assert outcome_names(outcomes) == ["Applied", "Refused"]
    assert outcomes[1] == Refused(Refusal.ID_TAKEN, 100, 0)
    assert run(store.ledger.count_entries()) == 3


def test_a_cancel_and_another_players_bet_in_one_batch(store: Store, run: Run) -> None:
    """An id that a cancel closes is closed for later commands of the batch."""
    run(create_players(store, make_new_account("ann", 100), make_new_account("bob", 100)))
    outcomes = run(store.apply([make_command(Cancel("1"), 1), make_command(Bet("1", 10, "1"), 2)], NOW))
    assert outcome_names(outcomes) == ["Applied", "Refused"]
    assert isinstance(outcomes[1], Refused)
    assert outcomes[1].refusal is Refusal.CANCELLED


def test_an_id_is_unique_where_its_protocol_says(store: Store, run: Run) -> None:
    """Ids are unique per agent and currency in wallet-v2, and per agent in vela. Protocols do not share ids."""
    run(store.accounts.add_agent("other", "other", None, NOW))
    run(
        create_players(
            store,
            make_new_account("ann", 100),
            make_new_account("ann", 100, currency="EUR"),
            make_new_account("ann", 100, agent="other"),
        )
    )
    in_wallet_v2 = [run(store.apply([make_command(Bet("1", 1, "1"), account)], NOW))[0] for account in (1, 2, 3)]
    assert outcome_names(in_wallet_v2) == ["Applied", "Applied", "Applied"]
    in_vela = [run(store.apply([make_command(Bet("1", 1, "1"), account, VELA)], NOW))[0] for account in (1, 2, 3)]
    assert outcome_names(in_vela) == ["Applied", "Refused", "Applied"]
    deposits = [run(store.apply([make_operator_command(Deposit("1", 1), account)], NOW))[0] for account in (1, 2, 3)]
    assert outcome_names(deposits) == ["Applied", "Refused", "Applied"]


def test_a_retry_has_the_same_outcome(store: Store, run: Run) -> None:
    """For every kind of command a retry returns the first entry and the current balances, and adds no entry."""
    run(create_players(store, make_new_account("ann", 1000), make_new_account("bob", 0)))
    commands = [
        make_command(Bet("1", 100, "1", "game", '{"key":"k"}'), 1, VELA),
        make_command(Settle("1", 30), 1, VELA),
        make_command(BetWin("2", 10, 20), 1, VELA),
        make_command(Bet(str(LARGEST), 5, str(LARGEST)), 1),
        make_command(Cancel(str(LARGEST)), 1),
        make_command(Win("3", 9, "88"), 1),
        make_command(Cancel("99"), 1),
        make_operator_command(Deposit("ref", 1, 2), 1),
        make_operator_command(Withdraw("out", 0, 1), 1),
    ]
    first = [run(store.apply([each], NOW))[0] for each in commands]
    assert outcome_names(first) == ["Applied"] * len(commands)
    rows = run(store.ledger.count_entries())
    for before, again in zip(first, [run(store.apply([each], NOW + 9))[0] for each in commands], strict=True):
        # A retry must not apply a cancelled bet again.
        if again == Refused(Refusal.CANCELLED, first[-1].cash, first[-1].bonus):
            continue
        assert isinstance(before, Applied)
        assert again == Replayed(before.entry, first[-1].cash, first[-1].bonus)
    assert run(store.ledger.count_entries()) == rows


def test_a_refusal_lasts(store: Store, run: Run) -> None:
    """A bet that was refused for insufficient funds stays refused after a deposit."""
    run(create_players(store, make_new_account("ann", 5)))
    bet = make_command(Bet("1", 10, "1"), 1)
    (first,) = run(store.apply([bet], NOW))
    assert isinstance(first, Refused)
    assert first.entry
    assert (first.refusal, first.entry.state) == (Refusal.INSUFFICIENT_FUNDS, State.REFUSED)
    run(store.apply([make_operator_command(Deposit("r", 100), 1)], NOW))
    assert run(store.apply([bet], NOW)) == [Refused(Refusal.INSUFFICIENT_FUNDS, 105, 0)]


def test_a_tombstone_lasts(store: Store, run: Run) -> None:
    """A bet that arrives after its cancel is refused and takes nothing."""
    run(create_players(store, make_new_account("ann", 5)))
    (closed,) = run(store.apply([make_command(Cancel("1"), 1)], NOW))
    assert isinstance(closed, Applied)
    assert (closed.entry.state, closed.cash) == (State.CLOSED, 5)
    assert run(store.apply([make_command(Bet("1", 1, "1"), 1)], NOW)) == [Refused(Refusal.CANCELLED, 5, 0)]


def test_a_round_is_known_by_its_bets(store: Store, run: Run) -> None:
    """A win without a bet is an orphan, a win with a standing bet is applied, and a win is refused if all bets are
    cancelled. A win settles the last standing bet before it, not one after it."""
    run(create_players(store, make_new_account("ann", 100), make_new_account("bob", 100)))

    def apply(*commands: Bet | Win | Cancel, account: int = 1) -> list[object]:
        outcomes = [run(store.apply([make_command(command, account)], NOW))[0] for command in commands]
        return [
            each.entry.state if isinstance(each, Applied) else each[0] if isinstance(each, Refused) else "replayed"
            for each in outcomes
        ]

    assert apply(Win("1", 5, "10")) == [State.ORPHAN]
    assert apply(Bet("10", 1, "10"), Bet("11", 1, "10"), Win("2", 5, "10")) == [State.APPLIED] * 3
    assert apply(Cancel("10"), Cancel("11"), Cancel("10")) == [State.APPLIED, Refusal.ROUND_SETTLED, "replayed"]
    assert apply(Bet("12", 1, "10"), Cancel("12"), Cancel("11")) == [State.APPLIED] * 2 + [Refusal.ROUND_SETTLED]
    assert apply(Bet("13", 1, "10"), Cancel("11"), Cancel("13")) == [State.APPLIED] * 3
    assert apply(Bet("20", 1, "20"), Bet("21", 1, "20"), Cancel("20")) == [State.APPLIED] * 3
    assert apply(Win("3", 5, "20"), Win("4", 5, "10"), account=2) == [State.ORPHAN] * 2
    assert apply(Cancel("21"), Win("5", 5, "20")) == [State.APPLIED, Refusal.ROUND_CANCELLED]


def test_a_win_without_a_bet_depends_on_the_sessions_end(store: Store, run: Run) -> None:
    """`settle_ms` counts from the session's end. A win with a standing bet needs none."""
    run(create_players(store, make_new_account("ann", 100)))
    run(store.sessions.add_session(1, build_new_session("token", NOW), NOW))

    def apply(command: Bet | Win, now_ms: int, session_id: int | None = 1) -> object:
        account_command = make_command(command, 1, session_id=session_id)._replace(settle_ms=10)
        (outcome,) = run(store.apply([account_command], now_ms))
        return outcome.entry.state if isinstance(outcome, Applied) else outcome[0]

    assert apply(Win("1", 5, "7"), NOW + 9) == apply(Win("2", 5), NOW + 9) == State.ORPHAN
    assert apply(Win("3", 5, "7"), NOW + 10) == apply(Win("4", 5), NOW + 10) == Refusal.SESSION_EXPIRED
    assert apply(Bet("7", 5, "7"), NOW, session_id=None) == State.APPLIED
    assert apply(Win("3", 5, "7"), NOW + 10**9) == State.APPLIED
    rows = [each.entry.id for each in run(store.ledger.read_page(Filter(kind="win"), 99, 99)).rows]
    assert rows == ["3", "2", "1"]


def test_a_query_changes_nothing(store: Store, run: Run) -> None:
    """A query returns the balances, unless the session has ended."""
    (ann,) = run(create_players(store, make_new_account("ann", 100, 50)))
    run(store.sessions.add_session(ann.accounts[0].account_id, build_new_session("token", NOW + 10), NOW))
    question = make_command(Bet("1", 1, "1"), 1, session_id=1)._replace(command=Balance())
    assert run(store.dry_run(question, NOW)) == BalanceShown(100, 50)
    assert run(store.dry_run(question, NOW + 10)) == Refused(Refusal.SESSION_EXPIRED, 100, 50)
    assert run(store.ledger.count_entries()) == 1


def test_a_dry_run_predicts_the_outcome(store: Store, run: Run) -> None:
    """A dry run returns the outcome of `apply`, also for the first command of a scope, and writes nothing."""
    run(create_players(store, make_new_account("ann", 100)))
    for bet in (make_command(Bet("1", 10, "1"), 1), make_command(BetWin("1", 10, 5), 1, VELA)):
        would = run(store.dry_run(bet, NOW))
        assert isinstance(would, Applied)
        assert run(store.ledger.count_entries()) == would.entry.seq - 1
        assert run(store.apply([bet], NOW)) == [would]
        assert run(store.dry_run(bet, NOW)) == run(store.apply([bet], NOW))[0] == Replayed(*would)
    dear = make_command(Bet("2", 500, "2"), 1)
    would = run(store.dry_run(dear, NOW))
    assert isinstance(would, Refused)
    assert would.entry
    assert run(store.apply([dear], NOW)) == [would]
    assert run(store.dry_run(dear, NOW)) == would._replace(entry=None)


def test_a_session_is_read_again_for_each_command(store: Store, run: Run) -> None:
    """Expiry, revocation and blocking apply to new bets immediately. Open bets can still be settled."""
    (ann,) = run(create_players(store, make_new_account("ann", 100, token="live")))
    run(store.sessions.add_session(1, build_new_session("brief", NOW + 10), NOW))

    def bet(number: int, session_id: int, at: int = NOW) -> object:
        outcome = run(store.apply([make_command(Bet(str(number), 1, str(number)), 1, session_id=session_id)], at))[0]
        return outcome.refusal if isinstance(outcome, Refused) else type(outcome)

    assert (bet(1, 1), bet(2, 2)) == (Applied, Applied)
    assert bet(3, 2, NOW + 10) is Refusal.SESSION_EXPIRED
    assert run(store.sessions.revoke_session(hash_token("live"), NOW)) is True
    assert bet(4, 1) is Refusal.SESSION_REVOKED
    run(store.accounts.set_player_status(ann.player_key, PlayerStatus.BLOCKED))
    assert bet(5, 2) is Refusal.PLAYER_BLOCKED
    assert bet(2, 2, NOW + 99) is Replayed
    assert outcome_names(run(store.apply([make_command(Win("6", 5, "1"), 1, session_id=1)], NOW + 99))) == ["Applied"]
    run(store.accounts.set_player_status(ann.player_key, PlayerStatus.ACTIVE))
    assert bet(7, 2) is Applied


def test_the_newest_entries_come_first(store: Store, run: Run) -> None:
    """Entries of the given accounts only, up to the limit."""
    run(create_players(store, make_new_account("ann", 1), make_new_account("bob", 1), make_new_account("cat", 1)))
    for number in range(4):
        run(
            store.apply(
                [make_operator_command(Deposit(f"{number}-{account}", 1), account) for account in (1, 2, 3)],
                NOW + number,
            )
        )

    def read(accounts: list[int], limit: int) -> list[tuple[int, str]]:
        return [(entry.account_id, entry.id) for entry in run(store.ledger.read_entries(accounts, limit))]

    assert read([1, 3], 5) == [(3, "3-3"), (1, "3-1"), (3, "2-3"), (1, "2-1"), (3, "1-3")]
    assert read([2], 2) == [(2, "3-2"), (2, "2-2")]
    assert len(read([1, 2, 3], 100)) == 15
    assert read([], 5) == read([99], 5) == []
    seqs = [entry.seq for entry in run(store.ledger.read_entries([1, 2, 3], 100))]
    assert seqs == sorted(seqs, reverse=True)


def test_an_audit_reads_everything_in_pages(store: Store, run: Run) -> None:
    """For any page size, each row comes once and in order, with the owners; the last page has the accounts."""
    run(create_players(store, make_new_account("ann", 10), make_new_account("bob", 10), make_new_account("poor")))
    run(store.apply([make_command(Bet("1", 3, "1"), 1), make_command(Win("2", 4), 2)], NOW))
    for limit in (1, 2, 3, 4, 5, 100):
        audit, found, seq = Audit(), list[EntryRow](), 0
        while (page := run(store.ledger.read_audit_page(seq, limit))).accounts is None:
            assert len(page.rows) == limit
            audit.register(page.owners)
            audit.add(page.rows)
            found += page.rows
            seq = page.last_seq
        audit.register(page.owners)
        audit.add(page.rows)
        found += page.rows
        audit.finish(page.accounts)
        assert audit.problems == []
        assert [row[0] for row in found] == [1, 2, 3, 4]
        assert [(account.cash, account.last_seq) for account in page.accounts] == [(7, 3), (14, 4), (0, 0)]
        assert str(page.owners[3]) == "poor USD of agent default"
    assert run(store.ledger.count_entries()) == 4


def test_accounts_are_partitioned_for_the_audit(store: Store, run: Run) -> None:
    """Each account is in one partition, with its owner and all of its rows. Each owner is returned once."""
    run(create_players(store, *(make_new_account(name, 10) for name in ("ann", "bob", "cat"))))
    run(store.apply([make_command(Bet(str(number), 1, str(number)), number) for number in (1, 2, 3)], NOW))
    shares = [run(store.ledger.read_audit_page(0, 9, 0, Partition(number, 2))) for number in (0, 1)]
    assert [[row[0] for row in page.rows] for page in shares] == [[2, 5], [1, 3, 4, 6]]
    assert [[owner.player_id for owner in page.owners.values()] for page in shares] == [["bob"], ["ann", "cat"]]
    assert [[each.account_id for each in page.accounts or ()] for page in shares] == [[2], [1, 3]]
    assert [*run(store.ledger.read_audit_page(0, 9, 2)).owners] == [3]


def test_protocols_do_not_mix_in_the_entries(store: Store, run: Run) -> None:
    """Each entry has its protocol."""
    run(create_players(store, make_new_account("ann", 10)))
    run(store.apply([make_command(Bet("1", 1, "1"), 1)], NOW))
    run(store.apply([make_command(Bet("1", 1, "1"), 1, VELA)], NOW))
    assert [entry.protocol for entry in run(store.ledger.read_entries([1], 9))] == [VELA, WALLET_V2, "opening"]
