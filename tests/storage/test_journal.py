"""Tests of the journal: the requests and replies of entries, written after their commits."""

import pytest

from minwallet.ledger.commands import Bet, Group
from minwallet.storage.errors import CommandFault
from minwallet.storage.models import JournalRecord, JournalRow
from minwallet.storage.store import Store
from tests.storage.store_helpers import NOW, Run, create_players, make_command, make_new_account, outcome_names


def read_replies(store: Store, run: Run, last_seq: int) -> list[str | None]:
    """Return the reply of each entry up to this one, None for an entry without a record."""
    found = [run(store.ledger.find_journaled_entry(seq)) for seq in range(1, last_seq + 1)]
    return [each.journal_record.reply if each and each.journal_record else None for each in found]


def test_journal_rows_are_written_with_the_next_batch_or_alone(store: Store, run: Run) -> None:
    """Each row is the record of its entry. An entry without a row has no record."""
    run(create_players(store, make_new_account("ann", 100)))
    run(store.apply([make_command(Bet("1", 10, "1"), 1)], NOW))
    run(store.apply([make_command(Bet("2", 10, "2"), 1)], NOW, [JournalRow(2, "asked", "one")]))
    assert read_replies(store, run, 3) == [None, "one", None]
    run(store.write_journal([JournalRow(3, "asked", "two")]))
    assert read_replies(store, run, 4) == [None, "one", "two", None]
    found = run(store.ledger.find_journaled_entry(2))
    assert found
    assert found.journal_record == JournalRecord("asked", "one")
    assert (found.entry.id, *found.owner) == ("1", "default", "ann", "USD")


def test_a_journal_row_of_a_recorded_entry_is_ignored(store: Store, run: Run) -> None:
    """A caller that does not know if a commit succeeded writes its rows again. The first record stays."""
    run(create_players(store, make_new_account("ann", 100), make_new_account("bob", 100)))
    run(store.write_journal([JournalRow(1, "asked", "first")]))
    rows = [JournalRow(1, "asked", "again"), JournalRow(2, "asked", "new"), JournalRow(2, "asked", "twice")]
    assert outcome_names(run(store.apply([make_command(Bet("1", 1, "1"), 1)], NOW, rows))) == ["Applied"]
    assert read_replies(store, run, 2) == ["first", "new"]


def test_journal_rows_of_a_failed_batch_are_not_written(store: Store, run: Run) -> None:
    """The caller still has them, and writes them with another batch."""
    run(create_players(store, make_new_account("ann", 100)))
    rows = [JournalRow(1, "asked", "one")]
    with pytest.raises(CommandFault):
        run(store.apply([make_command(Group(()), 1)], NOW, rows))
    assert read_replies(store, run, 1) == [None]
    run(store.apply([make_command(Bet("1", 1, "1"), 1)], NOW, rows))
    assert read_replies(store, run, 1) == ["one"]


def test_a_text_that_is_not_utf_8_fails_no_batch(store: Store, run: Run) -> None:
    """A protocol's bug changes only its own record: the character is escaped."""
    run(create_players(store, make_new_account("ann", 100), make_new_account("bob", 100)))
    rows = [JournalRow(1, "asked", "\udfff"), JournalRow(2, "asked", "caf\u00e9")]
    assert outcome_names(run(store.apply([make_command(Bet("1", 1, "1"), 1)], NOW, rows))) == ["Applied"]
    assert read_replies(store, run, 2) == ["\\udfff", "caf\u00e9"]


def test_many_journal_rows_are_written_together(store: Store, run: Run) -> None:
    """Their number is not limited by the variables of a statement."""
    run(create_players(store, make_new_account("ann", 100)))
    run(store.write_journal([*(JournalRow(seq, "asked", str(seq)) for seq in range(10_000, 0, -1))]))
    assert read_replies(store, run, 1) == ["1"]


def test_old_journal_records_are_pruned_entries_never(store: Store, run: Run) -> None:
    """Records are deleted oldest first, in batches, and recent ones stay."""
    run(create_players(store, make_new_account("ann", 100)))
    for number in range(5):
        run(store.apply([make_command(Bet(str(number), 1, str(number)), 1)], NOW + number))
    run(store.write_journal([*(JournalRow(seq, "asked", "answered") for seq in range(2, 7))]))
    assert run(store.ledger.prune_journal(NOW + 3, 2)) == 2
    assert run(store.ledger.prune_journal(NOW + 3, 2)) == 1
    assert run(store.ledger.prune_journal(NOW + 3, 2)) == 0
    assert read_replies(store, run, 6) == [None, None, None, None, "answered", "answered"]
    assert run(store.ledger.count_entries()) == 6
