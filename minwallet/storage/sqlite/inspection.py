"""The inspection of a wallet file for `doctor`. The file and its companions stay unchanged."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from minwallet.storage.errors import SchemaTooOld
from minwallet.storage.models import Agent, ProtocolSecret
from minwallet.storage.sqlite import accounts, admin, ledger, protocol_secrets
from minwallet.storage.sqlite.connection import PRAGMAS, ReadAccess, connect, file_uri, translate_errors
from minwallet.storage.sqlite.integrity import check_with_timeout
from minwallet.storage.sqlite.path_checks import check_exists, check_path, check_permission
from minwallet.storage.sqlite.read_access import read_journal_mode
from minwallet.storage.sqlite.schema_check import check_unchanged

READ_NEWEST_TIME = "SELECT at_ms FROM transactions ORDER BY seq DESC LIMIT 1"


class FileInspection(NamedTuple):
    """The findings. `pragmas` are the ones with wrong values. `newest_at_ms` is the time of the newest entry, or None.

    `api_keys`, `callback_keys` and `protocol_secrets` are those that are not revoked; the last with their agents.
    `sources` are the protocols of the entries. `is_complete` is false if the time was too short to check everything.
    """

    schema_version: int
    agents: list[Agent]
    entries: int
    newest_at_ms: int | None
    pragmas: dict[str, object]
    is_complete: bool
    api_keys: list[str]
    callback_keys: list[str]
    protocol_secrets: list[tuple[str, ProtocolSecret]]
    admins: list[str]
    sources: list[str]


async def inspect_file(path: Path, timeout_s: float, access: ReadAccess) -> FileInspection:
    """Inspect the file, within a limited time. Raise SchemaTooOld, SchemaChanged or DatabaseUnusable."""
    check_path(path)
    check_exists(path)
    check_permission(path)
    # SQLite reports no journal mode of an immutable file.
    known: dict[str, object] = {"journal_mode": read_journal_mode(path)} if access is ReadAccess.IMMUTABLE else {}
    try:
        connection = await connect(path, access=access)
    except SchemaTooOld:
        _check_older(path, access)
        raise
    try:
        await connection.run(translate_errors(partial(check_unchanged, path=path), path))
        is_complete = await check_with_timeout(connection, path, timeout_s)
        return await connection.run(translate_errors(partial(_inspect, known=known, is_complete=is_complete), path))
    finally:
        await connection.close()


def _check_older(path: Path, access: ReadAccess) -> None:
    with closing(sqlite3.connect(file_uri(path, access), uri=True)) as db:
        translate_errors(partial(check_unchanged, path=path), path)(db)


def _inspect(db: sqlite3.Connection, known: dict[str, object], *, is_complete: bool) -> FileInspection:
    (schema,) = db.execute("PRAGMA user_version").fetchone()
    (newest,) = db.execute(READ_NEWEST_TIME).fetchone() or (None,)
    found = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name, _ in PRAGMAS} | known
    wrong = {name: found[name] for name, wanted in PRAGMAS if found[name] != wanted}
    return FileInspection(
        schema_version=schema,
        agents=accounts.list_agents(db),
        entries=ledger.count_entries(db),
        newest_at_ms=newest,
        pragmas=wrong,
        is_complete=is_complete,
        api_keys=[key.name for key in admin.list_keys(db) if key.revoked_at_ms is None],
        callback_keys=[key.describe(agent) for agent, key in accounts.list_live_callback_keys(db)],
        protocol_secrets=[(agent, secret) for _, agent, secret in protocol_secrets.list_live_protocol_secrets(db)],
        admins=[each.name for each in admin.list_admins(db)],
        sources=ledger.list_sources(db),
    )
