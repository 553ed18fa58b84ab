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

from minwallet.storage.base import DamagedFile, StoreFault
from minwallet.storage.files import beside
from minwallet.storage.sqlite import records
from minwallet.storage.sqlite.connection import Connection, explained

CHECKED_WITHIN_S = 0.1
"""How long a start may look at a file: enough for some ten thousand bets."""

AT_ONCE = 10_000
"""How many rows are looked at in a step: some 50 ms."""

PROCESSORS = os.sched_getaffinity(0) if sys.platform == "linux" else {0}

GROWING = {"transactions", "journal"}
"""The tables that every bet makes longer, and that are looked at by ranges of `seq`; the others are short enough."""

# A row that is there is also found by its id and by its round, each through its index; all are read to their ends. It
# follows the one before it, and its account is as the last of its rows left it: not as it was once.
COUNT_WHOLE = """
    SELECT count(t.hash) FROM transactions AS t
      CROSS JOIN transactions AS i INDEXED BY transactions_by_id
         ON i.space_id = t.space_id AND i.id = t.id AND i.part = t.part AND i.seq = t.seq
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
            WHERE r.space_id = t.space_id AND r.round = t.round AND r.round <> r.id AND r.seq = t.seq
       ))
"""

READ_LETTERS = "SELECT sum(length(request) + length(reply)) FROM journal WHERE seq BETWEEN ? AND ?"


async def check_at_once(connection: Connection, path: Path, within_s: float | None = None) -> bool:
    """Whether there was time to look at everything, if not more than a start has; UnusableFile where something is
    damaged.
    """
    await connection.run(explained(partial(_check_size, path=path), path))
    is_late = False

    async def give_up() -> None:
        nonlocal is_late
        await asyncio.sleep(CHECKED_WITHIN_S if within_s is None else within_s)
        is_late = True
        await connection.interrupt()

    late = asyncio.create_task(give_up())
    try:
        await connection.run(explained(partial(_check_pages, path=path, what="3"), path))
        async for check_span in _row_checks(connection, path):
            if is_late:
                break
            await check_span()
    except StoreFault:
        # What is interrupted finds pages that it has not come to.
        if not is_late:
            raise
    finally:
        late.cancel()
    return not is_late


async def check_in_steps(connection: Connection, path: Path) -> None:
    """Look at everything that is in the file now; UnusableFile where something is damaged."""
    for table in await connection.run(explained(_other_tables, path)):
        await connection.run(explained(partial(_check_pages, path=path, what=f"'{table}'"), path))
    async for check_span in _row_checks(connection, path):
        await check_span()


def check_copy(db: sqlite3.Connection, path: Path, tell: Callable[[int, int], None]) -> None:
    """Look at everything in a file that nobody writes; UnusableFile where something is damaged."""
    _check_pages(db, path, what="1")
    newest = records.count_entries(db)
    for span in _spans(newest):
        tell(span[0], newest)
        _check_rows(db, path, span)


def _spans(newest: int) -> Iterator[tuple[int, int]]:
    """First and last of so many rows at once, of all that there are."""
    return ((first, min(first + AT_ONCE - 1, newest)) for first in range(1, newest + 1, AT_ONCE))


async def _row_checks(connection: Connection, path: Path) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The rows that there are now, so many at once: how to check them."""
    newest = await connection.run(explained(records.count_entries, path))
    for span in _spans(newest):
        yield partial(connection.run, explained(partial(_check_rows, path=path, span=span), path))


def _check_size(db: sqlite3.Connection, path: Path) -> None:
    # Without a log SQLite sees by itself that a file was cut off; with one, what is missing must be in the log.
    ((pages, size),) = db.execute("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")
    log = beside(path, "-wal")
    if pages * size > path.stat().st_size + (log.stat().st_size if log.exists() else 0):
        raise DamagedFile(path, "its end is missing")


def _check_pages(db: sqlite3.Connection, path: Path, what: str) -> None:
    ((found,), *_) = db.execute(f"PRAGMA integrity_check({what})")
    if found != "ok":
        raise DamagedFile(path, found.splitlines()[-1])


def _check_rows(db: sqlite3.Connection, path: Path, span: tuple[int, int]) -> None:
    first, last = span
    (whole,) = db.execute(COUNT_WHOLE, span).fetchone()
    if whole != last - first + 1:
        raise DamagedFile(
            path,
            f"only {whole} of the entries {first} to {last} agree with their accounts, each other and their indexes",
        )
    db.execute(READ_LETTERS, span).fetchone()


def _other_tables(db: sqlite3.Connection) -> list[str]:
    names = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return [name for (name,) in names if name not in GROWING]


def step_back(db: sqlite3.Connection) -> None:
    """Let calls go first while this thread looks."""
    del db
    if sys.platform == "linux":
        # Both are this thread's alone there: after everybody else, and on whatever processor the process began with.
        os.setpriority(os.PRIO_PROCESS, 0, 19)
        os.sched_setaffinity(0, PROCESSORS)
