"""The inspection of a wallet file for `doctor`. The file and its companions stay unchanged."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from minwallet.storage.database_files import WAL_SUFFIXES, companion_path
from minwallet.storage.errors import SchemaTooOld
from minwallet.storage.models import Agent
from minwallet.storage.sqlite import accounts, admin, ledger
from minwallet.storage.sqlite.connection import PRAGMAS, connect, translate_errors
from minwallet.storage.sqlite.integrity import check_with_timeout
from minwallet.storage.sqlite.path_checks import check_exists, check_path
from minwallet.storage.sqlite.schema_check import check_unchanged
from minwallet.storage.sqlite.wal import check_wal

READ_NEWEST_TIME = "SELECT at_ms FROM transactions ORDER BY seq DESC LIMIT 1"


class FileInspection(NamedTuple):
    """The findings. `pragmas` are the ones with wrong values. `newest_at_ms` is the time of the newest entry, or None.

    `api_keys` and `callback_keys` are the keys that are not revoked.
    `is_complete` is false if the time was too short to check everything.
    """

    schema_version: int
    agents: list[Agent]
    entries: int
    newest_at_ms: int | None
    pragmas: dict[str, object]
    is_complete: bool
    api_keys: list[str]
    callback_keys: list[str]
    admins: list[str]


async def inspect_file(path: Path, timeout_s: float) -> FileInspection:
    """Inspect the file, within a limited time. Raise SchemaTooOld, SchemaChanged or DatabaseUnusable."""
    check_path(path)
    check_exists(path)
    try:
        connection = await connect(path, read_only=True)
    except SchemaTooOld:
        _check_older(path)
        raise
    try:
        await connection.run(translate_errors(partial(check_unchanged, path=path), path))
        is_complete = await check_with_timeout(connection, path, timeout_s)
        return (await connection.run(translate_errors(_inspect, path)))._replace(is_complete=is_complete)
    finally:
        await connection.close()


def _check_older(path: Path) -> None:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        translate_errors(partial(check_unchanged, path=path), path)(db)


def _inspect(db: sqlite3.Connection) -> FileInspection:
    (schema,) = db.execute("PRAGMA user_version").fetchone()
    (newest,) = db.execute(READ_NEWEST_TIME).fetchone() or (None,)
    found = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name, _ in PRAGMAS}
    wrong = {name: found[name] for name, wanted in PRAGMAS if found[name] != wanted}
    return FileInspection(
        schema_version=schema,
        agents=accounts.list_agents(db),
        entries=ledger.count_entries(db),
        newest_at_ms=newest,
        pragmas=wrong,
        is_complete=False,
        api_keys=[key.name for key in admin.list_keys(db) if key.revoked_at_ms is None],
        callback_keys=[key.describe(agent) for agent, key in accounts.list_live_callback_keys(db)],
        admins=[each.name for each in admin.list_admins(db)],
    )


@contextmanager
def preserve_wal(path: Path) -> Iterator[None]:
    """Allow the owner to read the file within the block. Raise DatabaseCorrupt if the WAL has lost commits.

    Reading creates the WAL and its index, or rebuilds the index. The next start needs the old index to detect lost
    commits. So both are restored at the end of the block.
    """
    wal, index = (companion_path(path, companion) for companion in WAL_SUFFIXES)
    had_wal, index_content = wal.exists(), index.read_bytes() if index.exists() else None
    try:
        check_wal(path)
        yield
    finally:
        if index_content is not None:
            index.write_bytes(index_content)
        else:
            index.unlink(missing_ok=True)
        if not had_wal:
            wal.unlink(missing_ok=True)
