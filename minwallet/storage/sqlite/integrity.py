"""Look for damage in the file: in all of it at once where it is small, else in steps while calls are answered.

Each step is a read of its own, since a long one would keep the write-ahead log from being used anew. Whether the rows
say what they were written to say is another question, which the hash chain answers (`ledger.audit`).
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
from minwallet.storage.sqlite.connection import Connection, translate_errors

STARTUP_CHECK_TIMEOUT_S = 0.1
"""How long a start may look at a file: enough for some ten thousand bets."""

BATCH_SIZE = 10_000
"""How many rows are looked at in a step: some 50 ms."""

INITIAL_CPUS = os.sched_getaffinity(0) if sys.platform == "linux" else {0}

APPEND_ONLY_TABLES = {"transactions", "journal"}
"""The tables that every bet makes longer, and that are looked at by ranges of `seq`; the others are short enough."""

# A row that is there is also found by its id and by its round, each through its index; all are read to their ends. It
# follows the one before it, and its account is as the last of its rows left it: not as it was once.
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
"""

READ_JOURNAL_LENGTH = "SELECT sum(length(request) + length(reply)) FROM journal WHERE seq BETWEEN ? AND ?"


async def check_with_timeout(connection: Connection, path: Path, timeout_s: float | None = None) -> bool:
    """Whether there was time to look at everything, if not more than a start has; DatabaseUnusable where something is
    damaged.
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
        # What is interrupted finds pages that it has not come to.
        if not is_timed_out:
            raise
    finally:
        timer.cancel()
    return not is_timed_out


async def check_in_batches(connection: Connection, path: Path) -> None:
    """Look at everything that is in the file now; DatabaseUnusable where something is damaged."""
    for table in await connection.run(translate_errors(_list_other_tables, path)):
        await connection.run(translate_errors(partial(_check_pages, path=path, pragma_argument=f"'{table}'"), path))
    async for check_batch in _prepare_row_checks(connection, path):
        await check_batch()


def check_backup(db: sqlite3.Connection, path: Path, report_progress: Callable[[int, int], None]) -> None:
    """Look at everything in a file that nobody writes; DatabaseUnusable where something is damaged."""
    _check_pages(db, path, pragma_argument="1")
    newest = ledger.count_entries(db)
    for seq_range in _split_into_ranges(newest):
        report_progress(seq_range[0], newest)
        _check_rows(db, path, seq_range)


def _split_into_ranges(newest: int) -> Iterator[tuple[int, int]]:
    """First and last of so many rows at once, of all that there are."""
    return ((first, min(first + BATCH_SIZE - 1, newest)) for first in range(1, newest + 1, BATCH_SIZE))


async def _prepare_row_checks(connection: Connection, path: Path) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The rows that there are now, so many at once: how to check them."""
    newest = await connection.run(translate_errors(ledger.count_entries, path))
    for seq_range in _split_into_ranges(newest):
        yield partial(connection.run, translate_errors(partial(_check_rows, path=path, seq_range=seq_range), path))


def _check_size(db: sqlite3.Connection, path: Path) -> None:
    # Without a log SQLite sees by itself that a file was cut off; with one, what is missing must be in the log.
    ((pages, size),) = db.execute("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")
    wal = companion_path(path, "-wal")
    if pages * size > path.stat().st_size + (wal.stat().st_size if wal.exists() else 0):
        raise DatabaseCorrupt(path, "its end is missing")


def _check_pages(db: sqlite3.Connection, path: Path, pragma_argument: str) -> None:
    ((found,), *_) = db.execute(f"PRAGMA integrity_check({pragma_argument})")
    if found != "ok":
        raise DatabaseCorrupt(path, found.splitlines()[-1])


def _check_rows(db: sqlite3.Connection, path: Path, seq_range: tuple[int, int]) -> None:
    first, last = seq_range
    (consistent,) = db.execute(COUNT_CONSISTENT_ROWS, seq_range).fetchone()
    if consistent != last - first + 1:
        raise DatabaseCorrupt(
            path,
            f"only {consistent} of the entries {first} to {last} agree with accounts, each other and indexes",
        )
    db.execute(READ_JOURNAL_LENGTH, seq_range).fetchone()


def _list_other_tables(db: sqlite3.Connection) -> list[str]:
    names = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return [name for (name,) in names if name not in APPEND_ONLY_TABLES]


def lower_priority(db: sqlite3.Connection) -> None:
    """Let calls go first while this thread looks."""
    del db
    if sys.platform == "linux":
        # Both are this thread's alone there: after everybody else, and on whatever processor the process began with.
        os.setpriority(os.PRIO_PROCESS, 0, 19)
        os.sched_setaffinity(0, INITIAL_CPUS)
