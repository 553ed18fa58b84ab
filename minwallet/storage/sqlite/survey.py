"""What a person wants to know of a wallet file before relying on it. The file and its companions stay as they are."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from minwallet.storage.base import Agent
from minwallet.storage.files import LOG_AND_INDEX, beside
from minwallet.storage.sqlite import records
from minwallet.storage.sqlite.check import check_at_once
from minwallet.storage.sqlite.connection import PRAGMAS, check_exists, check_place, connect, explained
from minwallet.storage.sqlite.log import check_log

NEWEST = "SELECT at_ms FROM transactions ORDER BY seq DESC LIMIT 1"


class Survey(NamedTuple):
    """`pragmas` are those in force that are not as they should be; `newest_at_ms` is when the newest entry was made,
    None where there is none. `is_whole` says whether there was time to look at everything.
    """

    schema: int
    agents: list[Agent]
    entries: int
    newest_at_ms: int | None
    pragmas: dict[str, object]
    is_whole: bool


async def survey(path: Path, within_s: float) -> Survey:
    """What is in the file, looked through for damage for so long at the most. OlderFile, DamagedFile, UnusableFile."""
    check_place(path)
    check_exists(path)
    connection = await connect(path, read_only=True)
    try:
        is_whole = await check_at_once(connection, path, within_s)
        return (await connection.run(explained(_read, path)))._replace(is_whole=is_whole)
    finally:
        await connection.close()


def _read(db: sqlite3.Connection) -> Survey:
    (schema,) = db.execute("PRAGMA user_version").fetchone()
    (newest,) = db.execute(NEWEST).fetchone() or (None,)
    found = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name, _ in PRAGMAS}
    wrong = {name: found[name] for name, wanted in PRAGMAS if found[name] != wanted}
    return Survey(schema, records.list_agents(db), records.count_entries(db), newest, wrong, is_whole=False)


@contextmanager
def undisturbed(path: Path) -> Iterator[None]:
    """Within the block the file may be read, by its owner alone. DamagedFile, where its log has lost commits.

    To read, SQLite makes a log and its index where there are none, or that index anew; which would hide from the next
    start what it tells of lost commits. So both are put back as they were.
    """
    log, index = (beside(path, companion) for companion in LOG_AND_INDEX)
    had_log, indexed = log.exists(), index.read_bytes() if index.exists() else None
    try:
        check_log(path)
        yield
    finally:
        if indexed is not None:
            index.write_bytes(indexed)
        else:
            index.unlink(missing_ok=True)
        if not had_log:
            log.unlink(missing_ok=True)
