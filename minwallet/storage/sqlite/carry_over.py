"""The carrying over of security decisions into a restored backup.

A backup lacks the decisions that were made after it: a key was revoked, a player excluded or blocked, a limit set, a
leaked wallet token replaced. Without these decisions a restore would give access back that was taken away.

Rules

1. Only decisions are carried over. Keys, admins, agents and restricted players that the backup does not have are not
   added. They are listed, so that a person can decide.
2. A row is carried over only to the same thing: keys and sessions are found by their hash, agents and admins by name
   and time of creation, players by agent, id and time of creation, protocol secrets by agent and fingerprint. So a file
   of another wallet changes nothing.
3. A limit or an exclusion of the replaced file replaces the backup's. A block, a revocation or an exclusion that only
   the backup has stays.
4. All changes are made in the restored copy, before it replaces the wallet file. The replaced file is not changed.

The replaced file may have an older schema. The tables and columns below have had their names since they were added, and
a subject without its table is skipped. So the file needs no migration.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from minwallet.storage.database_files import companion_path
from minwallet.storage.errors import StoreError
from minwallet.storage.sqlite import accounts, admin, limits, protocol_secrets
from minwallet.storage.sqlite.connection import transaction, translate_errors
from minwallet.storage.sqlite.path_checks import find_unfinished_restore
from minwallet.storage.sqlite.read_access import preserve_wal
from minwallet.storage.sqlite.schema_check import check_unchanged


class Restored(NamedTuple):
    """The result of a restore. The texts are for people, by subject, such as `revoked API keys`.

    - `carried_over` came from the replaced file.
    - `dropped` exists in the replaced file only.
    - `problem` is the reason why nothing was carried over from the replaced file, or None.
    - `api_keys`, `callback_keys`, `protocol_secrets` and `admins` have access now.
    """

    carried_over: Mapping[str, list[str]]
    dropped: Mapping[str, list[str]]
    problem: str | None
    api_keys: list[str]
    callback_keys: list[str]
    protocol_secrets: list[str]
    admins: list[str]


class _Subject(NamedTuple):
    """Decisions of one kind: their table, a query of the differences, and the change that carries them over."""

    name: str
    table: str
    find: str
    change: str


# The same agents and players in both files. `was` are the numbers in the replaced file.
MATCH_ROWS = (
    """
    CREATE TEMP TABLE same_agents AS
    SELECT new.agent_id, old.agent_id AS was FROM main.agents AS new
      JOIN replaced.agents AS old USING (name, created_at_ms)
    """,
    """
    CREATE TEMP TABLE same_players AS
    SELECT p.player_key, old.player_key AS was, p.player_id || ' of agent ' || g.name AS label
      FROM main.agents AS g JOIN replaced.agents AS w USING (name)
      JOIN replaced.players AS old ON old.agent_id = w.agent_id
      JOIN main.players AS p
        ON p.agent_id = g.agent_id AND p.player_id = old.player_id AND p.created_at_ms = old.created_at_ms
    """,
    """
    CREATE TEMP TABLE same_accounts AS
    SELECT a.account_id, old.account_id AS was, s.label || ' in ' || a.currency AS label
      FROM same_players AS s JOIN replaced.accounts AS old ON old.player_key = s.was
      JOIN main.accounts AS a ON a.player_key = s.player_key AND a.currency = old.currency
    """,
)


def _revocations(name: str, table: str, key: str, label: str) -> _Subject:
    """Return the subject of a table whose rows have a unique `key` and can be revoked."""
    condition = (
        f"FROM replaced.{table} AS old WHERE old.{key} = new.{key}"
        " AND old.revoked_at_ms IS NOT NULL AND new.revoked_at_ms IS NULL"
    )
    return _Subject(
        name,
        table,
        f"SELECT {label} FROM main.{table} AS new, replaced.{table} AS old {condition.partition('AS old')[2]}",  # noqa: S608 made of constants
        f"UPDATE main.{table} AS new SET revoked_at_ms = old.revoked_at_ms {condition}",  # noqa: S608 made of constants
    )


SAME_SECRET = "new.agent_id = s.agent_id AND new.protocol = old.protocol AND new.fingerprint = old.fingerprint"  # noqa: S105 a condition, no secret

# A secret of the backup that was added after the revocation stays.
IS_REVOKED_SECRET = f"{SAME_SECRET} AND new.revoked_at_ms IS NULL AND old.revoked_at_ms >= new.created_at_ms"

SUBJECTS = (
    _revocations("revoked API keys", "api_keys", "key_hash", "new.name"),
    _revocations(
        "revoked callback keys",
        "callback_keys",
        "key_hash",
        "new.hint || ' of agent ' || (SELECT name FROM main.agents AS g WHERE g.agent_id = new.agent_id)",
    ),
    _Subject(
        "revoked protocol secrets",
        "protocol_secrets",
        "SELECT new.protocol || ' ' || new.fingerprint || ' of agent ' || (SELECT name FROM main.agents AS g"  # noqa: S608 made of constants
        " WHERE g.agent_id = new.agent_id) FROM main.protocol_secrets AS new, replaced.protocol_secrets AS old"
        f" JOIN same_agents AS s ON s.was = old.agent_id WHERE {IS_REVOKED_SECRET}",
        "UPDATE main.protocol_secrets AS new SET revoked_at_ms = old.revoked_at_ms, secret = NULL"  # noqa: S608 made of constants
        " FROM replaced.protocol_secrets AS old JOIN same_agents AS s ON s.was = old.agent_id"
        f" WHERE {IS_REVOKED_SECRET}",
    ),
    _revocations("revoked sessions", "sessions", "token_hash", "new.hint"),
    _Subject(
        "blocked players",
        "players",
        "SELECT label FROM same_players AS s JOIN main.players AS new USING (player_key)"
        " JOIN replaced.players AS old ON old.player_key = s.was"
        " WHERE old.status = 'blocked' AND new.status = 'active'",
        "UPDATE main.players SET status = 'blocked' WHERE player_key IN (SELECT s.player_key FROM same_players AS s"
        " JOIN replaced.players AS old ON old.player_key = s.was WHERE old.status = 'blocked')",
    ),
    _Subject(
        "exclusions",
        "exclusions",
        "SELECT label FROM same_players AS s JOIN replaced.exclusions AS old ON old.player_key = s.was"
        " LEFT JOIN main.exclusions AS new ON new.player_key = s.player_key"
        " WHERE (old.until_ms, old.next_until_ms, old.next_at_ms)"
        " IS NOT (new.until_ms, new.next_until_ms, new.next_at_ms)",
        "INSERT OR REPLACE INTO main.exclusions SELECT s.player_key, old.until_ms, old.next_until_ms, old.next_at_ms"
        " FROM same_players AS s JOIN replaced.exclusions AS old ON old.player_key = s.was",
    ),
    _Subject(
        "limits",
        "limits",
        "SELECT old.kind || ' per ' || old.per || ' of ' || label"
        " FROM same_accounts AS s JOIN replaced.limits AS old ON old.account_id = s.was"
        " LEFT JOIN main.limits AS new ON new.account_id = s.account_id AND new.kind = old.kind AND new.per = old.per"
        " WHERE (old.cents, old.next_cents, old.next_at_ms) IS NOT (new.cents, new.next_cents, new.next_at_ms)",
        "INSERT OR REPLACE INTO main.limits SELECT s.account_id, old.kind, old.per, old.cents, old.next_cents,"
        " old.next_at_ms FROM same_accounts AS s JOIN replaced.limits AS old ON old.account_id = s.was",
    ),
    _Subject(
        "wallet tokens of agents",
        "agents",
        "SELECT new.name FROM same_agents AS s JOIN main.agents AS new USING (agent_id)"
        " JOIN replaced.agents AS old ON old.agent_id = s.was WHERE old.wallet_token <> new.wallet_token",
        # OR IGNORE: the backup may have given this token to another agent. `find` then reports it as not carried over.
        "UPDATE OR IGNORE main.agents SET wallet_token = (SELECT old.wallet_token FROM same_agents AS s"
        " JOIN replaced.agents AS old ON old.agent_id = s.was WHERE s.agent_id = main.agents.agent_id)"
        " WHERE agent_id IN (SELECT agent_id FROM same_agents)",
    ),
    _Subject(
        "passwords of admins",
        "admins",
        "SELECT new.name FROM main.admins AS new JOIN replaced.admins AS old USING (name, created_at_ms)"
        " WHERE old.password IS NOT new.password",
        "UPDATE main.admins AS new SET password = old.password FROM replaced.admins AS old"
        " WHERE old.name = new.name AND old.created_at_ms = new.created_at_ms",
    ),
)

# What the backup does not have: the name, the table, and a query of the texts.
DROPPED = (
    (
        "API keys",
        "api_keys",
        "SELECT name FROM replaced.api_keys WHERE revoked_at_ms IS NULL"
        " AND key_hash NOT IN (SELECT key_hash FROM main.api_keys)",
    ),
    (
        "callback keys",
        "callback_keys",
        "SELECT k.hint || ' of agent ' || g.name FROM replaced.callback_keys AS k"
        " JOIN replaced.agents AS g USING (agent_id) WHERE k.revoked_at_ms IS NULL"
        " AND k.key_hash NOT IN (SELECT key_hash FROM main.callback_keys)",
    ),
    (
        "protocol secrets",
        "protocol_secrets",
        "SELECT old.protocol || ' ' || old.fingerprint || ' of agent ' || g.name FROM replaced.protocol_secrets AS old"  # noqa: S608 made of constants
        " JOIN replaced.agents AS g USING (agent_id) LEFT JOIN same_agents AS s ON s.was = old.agent_id"
        f" LEFT JOIN main.protocol_secrets AS new ON {SAME_SECRET} AND new.revoked_at_ms IS NULL"
        " WHERE old.revoked_at_ms IS NULL AND new.fingerprint IS NULL",
    ),
    ("admins", "admins", "SELECT name FROM replaced.admins WHERE name NOT IN (SELECT name FROM main.admins)"),
    ("agents", "agents", "SELECT name FROM replaced.agents WHERE agent_id NOT IN (SELECT was FROM same_agents)"),
    *(
        (
            name,
            table,
            "SELECT p.player_id || ' of agent ' || g.name FROM replaced.players AS p"  # noqa: S608 made of constants
            f" JOIN replaced.agents AS g USING (agent_id) WHERE p.player_key IN ({player_keys})",
        )
        for name, table, player_keys in (
            (
                "blocked players",
                "players",
                "SELECT player_key FROM replaced.players WHERE status = 'blocked' EXCEPT SELECT was FROM same_players",
            ),
            (
                "excluded players",
                "exclusions",
                "SELECT player_key FROM replaced.exclusions EXCEPT SELECT was FROM same_players",
            ),
            (
                "players with limits",
                "limits",
                "SELECT player_key FROM replaced.accounts WHERE account_id IN"
                " (SELECT account_id FROM replaced.limits EXCEPT SELECT was FROM same_accounts)",
            ),
        )
    ),
)

READ_NEWLY_LIMITED = """
    SELECT DISTINCT s.account_id FROM same_accounts AS s JOIN replaced.limits AS old ON old.account_id = s.was
"""


def finish_restore(copy: Path, path: Path, now_ms: int, *, as_it_was: bool) -> Restored:
    """Carry the decisions over from the wallet file at `path` into the restored copy, and end all admin sessions.

    With `as_it_was`, change nothing. The caller owns the wallet file. Raise StoreError if the copy cannot be changed.
    """
    carried_over: dict[str, list[str]] = {}
    dropped: dict[str, list[str]] = {}
    problem = None
    with closing(sqlite3.connect(copy.absolute().as_uri(), uri=True, isolation_level=None)) as db:
        # Without a WAL, a commit is in the file itself, which alone is renamed afterwards.
        db.execute("PRAGMA journal_mode = DELETE")
        # The text of a revoked protocol secret is overwritten.
        for pragma in ("foreign_keys = 1", "trusted_schema = 0", "temp_store = 2", "secure_delete = 1"):
            db.execute(f"PRAGMA {pragma}")
        if not as_it_was:
            translate_errors(_end_admin_sessions, copy)(db)
            if path.exists():
                try:
                    carried_over, dropped = _carry_over_from(db, path, now_ms)
                except (StoreError, OSError) as error:
                    problem = str(error)
        api_keys = [key.name for key in admin.list_keys(db) if key.revoked_at_ms is None]
        callback_keys = [key.describe(agent) for agent, key in accounts.list_live_callback_keys(db)]
        secrets = [each.describe(agent) for _, agent, each in protocol_secrets.list_live_protocol_secrets(db)]
        admins = [each.name for each in admin.list_admins(db)]
        return Restored(carried_over, dropped, problem, api_keys, callback_keys, secrets, admins)


def find_foreign_wallet(copy: Path, path: Path) -> tuple[int, int] | None:
    """Return the numbers of accounts in the file at `path` and in the copy, if these are two different wallets.

    They are if the file has ledger entries, and none of them is in the copy. Return None if not, or if the file cannot
    be read. The caller owns the wallet file.
    """
    if not path.exists():
        return None
    replaced = _find_replaced_file(path)
    try:
        with preserve_wal(replaced), closing(sqlite3.connect(copy.absolute().as_uri(), uri=True)) as db:
            db.execute("ATTACH ? AS replaced", (f"{replaced.absolute().as_uri()}?mode=ro",))
            has_entries, has_same = db.execute(
                "SELECT EXISTS (SELECT 1 FROM replaced.transactions),"
                " EXISTS (SELECT 1 FROM replaced.transactions AS old JOIN main.transactions AS new"
                " ON new.seq = old.seq AND new.hash = old.hash)"
            ).fetchone()
            if not has_entries or has_same:
                return None
            before, after = db.execute(
                "SELECT (SELECT count(*) FROM replaced.accounts), (SELECT count(*) FROM main.accounts)"
            ).fetchone()
            return before, after
    except (StoreError, sqlite3.Error, OSError):
        return None  # A damaged file is a reason for a restore.


def _find_replaced_file(path: Path) -> Path:
    """Return the file that has the replaced wallet's log: another name after an interrupted restore."""
    kept = find_unfinished_restore(path)
    return kept if kept and not companion_path(path, "-wal").exists() else path


def _end_admin_sessions(db: sqlite3.Connection) -> None:
    """Delete the cookies and the unused login links: the backup does not know which of them were ended or used."""
    with transaction(db):
        db.execute("DELETE FROM admin_sessions")


def _carry_over_from(
    db: sqlite3.Connection, path: Path, now_ms: int
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return what was carried over and what was dropped. Raise DatabaseUnusable if the replaced file is unusable."""
    replaced = _find_replaced_file(path)
    uri = f"{replaced.absolute().as_uri()}?mode=ro"
    with preserve_wal(replaced):
        with closing(sqlite3.connect(uri, uri=True)) as replaced_db:
            # A file that another program changed could contain decisions that no admin made.
            translate_errors(partial(check_unchanged, path=replaced), replaced)(replaced_db)
        try:
            return translate_errors(lambda db: _attach_and_carry_over(db, uri, now_ms), replaced)(db)
        finally:
            if len(db.execute("PRAGMA database_list").fetchall()) > 1:
                db.execute("DETACH replaced")


def _attach_and_carry_over(
    db: sqlite3.Connection, uri: str, now_ms: int
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    db.execute("ATTACH ? AS replaced", (uri,))
    with transaction(db):
        for statement in MATCH_ROWS:
            db.execute(statement)
        tables = {name for (name,) in db.execute("SELECT name FROM replaced.sqlite_schema WHERE type = 'table'")}
        carried_over, dropped = {}, {}
        if "limits" in tables:
            # The restored ledger shows what these accounts have used of their limits. As for any first limit.
            for (account_id,) in db.execute(READ_NEWLY_LIMITED).fetchall():
                limits.backfill_usage(db, account_id, now_ms)
        for subject in SUBJECTS:
            if subject.table in tables:
                found = _list_texts(db, subject.find)
                db.execute(subject.change)
                remaining = _list_texts(db, subject.find)
                carried_over[subject.name] = [text for text in found if text not in remaining]
                dropped[subject.name] = remaining
        for name, table, query in DROPPED:
            if table in tables:
                dropped[name] = dropped.get(name, []) + _list_texts(db, query)
        for name in ("same_agents", "same_players", "same_accounts"):
            db.execute(f"DROP TABLE {name}")
    return {name: texts for name, texts in carried_over.items() if texts}, {
        name: texts for name, texts in dropped.items() if texts
    }


def _list_texts(db: sqlite3.Connection, query: str) -> list[str]:
    return sorted(text for (text,) in db.execute(query))
