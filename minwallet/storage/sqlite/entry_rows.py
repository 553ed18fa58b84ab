"""The rows of entries and of their journal: which columns are read, and how rows are inserted."""

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from minwallet.ledger.entries import Entry, Kind, Refusal, State
from minwallet.storage.models import JournalRow

ENTRY_SELECT_LIST = """
    t.seq, t.at_ms, t.account_id, t.previous_seq, p.protocol, t.kind, t.id, t.round, t.game, t.detail,
    t.stake, t.payout, t.amount, t.bonus_amount, t.cash_after, t.bonus_after, t.state, t.refusal, t.reference,
    hex(t.hash)
"""

EntryColumns = Sequence[Any]
"""The columns of ENTRY_SELECT_LIST."""

# All rows are one statement. Rows of zeros fill it up to a power of two, so that there are few different statements and
# each of them stays prepared. A trigger updates the accounts.
ADD_ENTRIES = """
    INSERT INTO transactions (scope_id, role, seq, at_ms, account_id, previous_seq, kind, id, round, game, detail,
                              stake, payout, amount, bonus_amount, cash_after, bonus_after, state, refusal, reference,
                              hash)
    SELECT * FROM (VALUES {rows}) WHERE column1 > 0
"""
ENTRY_COLUMN_COUNT = 21

# A retry after an unknown outcome may write a record again. The first one stays.
ADD_JOURNAL_RECORDS = """
    INSERT INTO journal (seq, request, reply) SELECT * FROM (VALUES {rows}) WHERE column1 > 0
    ON CONFLICT (seq) DO NOTHING
"""
JOURNAL_COLUMN_COUNT = 3

ROWS_PER_STATEMENT = 1024
"""The maximum of rows in a statement. SQLite's limit of 32,766 variables does not allow the next power of two."""

# Lookups by text. Calling `Kind(text)` takes several times as long.
_KINDS = {str(kind): kind for kind in Kind}
_STATES = {str(state): state for state in State}
_REFUSALS: dict[str | None, Refusal | None] = {None: None, **{str(refusal): refusal for refusal in Refusal}}


def make_entry(columns: EntryColumns) -> Entry:
    # `_make` of one tuple is faster than a call with 20 arguments.
    seq, at_ms, account_id, previous_seq, protocol, kind, *texts_and_amounts, state, refusal, reference, hash_ = columns
    values = _KINDS[kind], *texts_and_amounts, _STATES[state], _REFUSALS[refusal], reference, bytes.fromhex(hash_)
    return Entry._make((seq, at_ms, account_id, previous_seq, protocol, *values))


def make_entry_values(entry: Entry, scope_id: int, role: int) -> tuple[Any, ...]:
    """Return the values of ADD_ENTRIES' columns. The enums become plain `str`, which sqlite3 binds much faster."""
    # The protocol (entry[4]) is not a column, as the scope has it.
    return (scope_id, role, *entry[:4], str(entry.kind), *entry[6:16], str(entry.state), *entry[17:])


def add_entries(db: sqlite3.Connection, values: list[Any]) -> None:
    """Insert entries, whose values follow each other in one list."""
    _insert_rows(db, ADD_ENTRIES, ENTRY_COLUMN_COUNT, values)


def add_journal_rows(db: sqlite3.Connection, rows: Sequence[JournalRow]) -> None:
    """Insert journal rows. Ignore a row whose entry has one already."""
    try:
        _insert_rows(db, ADD_JOURNAL_RECORDS, JOURNAL_COLUMN_COUNT, list(chain.from_iterable(rows)))
    except UnicodeEncodeError:
        # A protocol's text with a lone surrogate, which is not UTF-8. It must not fail the commands of other players.
        escaped = [(seq, *map(_escape_surrogates, texts)) for seq, *texts in rows]
        _insert_rows(db, ADD_JOURNAL_RECORDS, JOURNAL_COLUMN_COUNT, list(chain.from_iterable(escaped)))


def _escape_surrogates(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _insert_rows(db: sqlite3.Connection, statement: str, columns: int, values: list[Any]) -> None:
    """Insert rows of `columns` columns, whose values follow each other, in their order."""
    for start in range(0, len(values), columns * ROWS_PER_STATEMENT):
        chunk = values[start : start + columns * ROWS_PER_STATEMENT]
        rows = len(chunk) // columns
        size = 1 << (rows - 1).bit_length()
        db.execute(_expand_values(statement, columns, size), chunk + [0] * (columns * (size - rows)))


@cache
def _expand_values(statement: str, columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return statement.format(rows=", ".join([row] * rows))
