"""The search for damage in a wallet file: damaged pages, indexes that disagree with their table, inconsistent entries.

Rules

1. A served file is checked in batches. Each batch is a read of its own, as a long read keeps SQLite from reusing the
   WAL, which then grows without limit.
2. A start waits for the check only as long as STARTUP_CHECK_TIMEOUT_S. A larger file is served meanwhile, and
   `SqliteStore.finish_check` does the whole check in a thread of low priority.
3. An interrupted check proves nothing, so its findings are ignored.

Theory of operation

- `_check_size` detects a truncated file. SQLite detects that itself, except if there is a WAL.
- `PRAGMA integrity_check` checks all pages and indexes, but of a whole table at once. `transactions` and `journal` grow
  with every bet, so only the other tables are checked with it in a served file.
- `_check_rows` replaces it for these two, by ranges of `seq`. Each entry must be found through the indexes that
  have it, and must continue the entry before it in its account. The account's last entry must agree with the account.

This does not recompute hashes. Entries that were changed consistently are found by the audit of the hash chain
(`ledger.audit`).
"""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

from minwallet.storage.database_files import companion_path
from minwallet.storage.errors import DatabaseCorrupt, StoreError
from minwallet.storage.sqlite import ledger
from minwallet.storage.sqlite.connection import Connection, current_schema, translate_errors
from minwallet.storage.sqlite.schema_check import check_unchanged

STARTUP_CHECK_TIMEOUT_S = 0.1
"""The longest check at a start. It is enough for about 10,000 bets."""

BATCH_SIZE = 10_000
"""The number of rows in a batch, about 50 ms."""

# At import, as `app` pins the process to one processor later.
INITIAL_CPUS = os.sched_getaffinity(0) if sys.platform == "linux" else {0}

APPEND_ONLY_TABLES = {"transactions", "journal"}
"""The tables that grow with every bet. They are checked by ranges of `seq`, all others as a whole."""

# INDEXED BY makes SQLite find each row through the indexes. Selecting the hash, the last column, reads the whole row.
# An entry without a reference is searched as well, or damage of an index that is still empty would not be noticed.
# An entry continues the entry before it, and the account is as its last entry left it, not as an earlier one did.
COUNT_CONSISTENT_ROWS = """
    SELECT count(t.hash) FROM transactions AS t
      CROSS JOIN transactions AS i INDEXED BY transactions_by_id
         ON i.scope_id = t.scope_id AND i.id = t.id AND i.role = t.role AND i.seq = t.seq
      CROSS JOIN accounts AS a ON a.account_id = t.account_id
      LEFT JOIN transactions AS b ON b.seq = t.previous_seq
     WHERE t.seq BETWEEN ? AND ?
       AND iif(t.previous_seq, b.account_id = t.account_id, t.previous_seq = 0)
       AND t.cash_after = coalesce(b.cash_after, 0) + t.amount
       AND t.bonus_after = coalesce(b.bonus_after, 0) + t.bonus_amount
       AND (t.seq < a.last_seq
            OR (t.seq = a.last_seq AND t.hash = a.head AND t.cash_after = a.cash AND t.bonus_after = a.bonus))
       AND (t.round IS NULL OR t.round = t.id OR EXISTS (
           SELECT 1 FROM transactions AS r INDEXED BY transactions_of_round
            WHERE r.scope_id = t.scope_id AND r.round = t.round AND r.round <> r.id AND r.seq = t.seq
       ))
       AND (t.reference IS NOT NULL) = EXISTS (
           SELECT 1 FROM transactions AS f INDEXED BY transactions_by_reference
            WHERE f.scope_id = t.scope_id AND f.reference = coalesce(t.reference, '') AND f.seq = t.seq
       )
"""

READ_JOURNAL_LENGTH = "SELECT sum(length(request) + length(reply)) FROM journal WHERE seq BETWEEN ? AND ?"


async def check_with_timeout(connection: Connection, path: Path, timeout_s: float | None = None) -> bool:
    """Check the whole file. Return False if `timeout_s` (default: STARTUP_CHECK_TIMEOUT_S) passed before the end.

    Raise DatabaseUnusable if damage was found.
    """
    await connection.run(translate_errors(partial(_check_size, path=path), path))
    is_timed_out = False

    async def interrupt_on_timeout() -> None:
        nonlocal is_timed_out
        await asyncio.sleep(STARTUP_CHECK_TIMEOUT_S if timeout_s is None else timeout_s)
        is_timed_out = True
        await connection.interrupt()

    timer = asyncio.create_task(interrupt_on_timeout())
    try:
        await connection.run(translate_errors(partial(_check_pages, path=path, pragma_argument="3"), path))
        async for check_batch in _prepare_row_checks(connection, path):
            if is_timed_out:
                break
            await check_batch()
    except StoreError:
        # An interrupted `integrity_check` reports pages that it has not reached as unused.
        if not is_timed_out:
            raise
    finally:
        timer.cancel()
    return not is_timed_out


async def check_in_batches(connection: Connection, path: Path) -> None:
    """Check everything that is in the file now, in batches. Raise DatabaseUnusable if something is damaged."""
    for table in await connection.run(translate_errors(_list_other_tables, path)):
        await connection.run(translate_errors(partial(_check_pages, path=path, pragma_argument=f"'{table}'"), path))
    async for check_batch in _prepare_row_checks(connection, path):
        await check_batch()


def check_backup(db: sqlite3.Connection, path: Path, report_progress: Callable[[int, int], None]) -> None:
    """Check everything in a file without a writer. Raise DatabaseUnusable if something is damaged or changed."""
    check_unchanged(db, path)  # First, as `current_schema` writes, which could run a trigger that was added.
    _check_pages(db, path, pragma_argument="1")
    newest = ledger.count_entries(db)
    with current_schema(db, path):
        for seq_range in _split_into_ranges(newest):
            report_progress(seq_range[0], newest)
            _check_rows(db, path, seq_range)


def _split_into_ranges(newest: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last `seq` of each batch."""
    return ((first, min(first + BATCH_SIZE - 1, newest)) for first in range(1, newest + 1, BATCH_SIZE))


async def _prepare_row_checks(connection: Connection, path: Path) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Yield a function for each batch of the current rows that checks it."""
    newest = await connection.run(translate_errors(ledger.count_entries, path))
    for seq_range in _split_into_ranges(newest):
        yield partial(connection.run, translate_errors(partial(_check_rows, path=path, seq_range=seq_range), path))


def _check_size(db: sqlite3.Connection, path: Path) -> None:
    # SQLite detects a truncated file itself, unless there is a WAL. With a WAL, the missing pages must be in it.
    ((pages, size),) = db.execute("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")
    wal = companion_path(path, "-wal")
    if pages * size > path.stat().st_size + (wal.stat().st_size if wal.exists() else 0):
        raise DatabaseCorrupt(path, "the end of the file is missing")


def _check_pages(db: sqlite3.Connection, path: Path, pragma_argument: str) -> None:
    """Check all pages, or one table. `pragma_argument` is the maximum number of reports, or a quoted table name."""
    ((found,), *_) = db.execute(f"PRAGMA integrity_check({pragma_argument})")
    if found != "ok":
        raise DatabaseCorrupt(path, found.splitlines()[-1])


def _check_rows(db: sqlite3.Connection, path: Path, seq_range: tuple[int, int]) -> None:
    """Check the entries of this range, and read their journal records to the end."""
    first, last = seq_range
    (consistent,) = db.execute(COUNT_CONSISTENT_ROWS, seq_range).fetchone()
    if consistent != last - first + 1:
        raise DatabaseCorrupt(
            path,
            f"only {consistent} of the entries {first} to {last} match their accounts, each other and the indexes",
        )
    db.execute(READ_JOURNAL_LENGTH, seq_range).fetchone()


def _list_other_tables(db: sqlite3.Connection) -> list[str]:
    names = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return [name for (name,) in names if name not in APPEND_ONLY_TABLES]


def lower_priority(db: sqlite3.Connection) -> None:
    """Give calls precedence over this thread."""
    del db
    if sys.platform == "linux":
        # On Linux both apply to the calling thread only. It may use all processors again, with the lowest priority.
        os.setpriority(os.PRIO_PROCESS, 0, 19)
        os.sched_setaffinity(0, INITIAL_CPUS)
