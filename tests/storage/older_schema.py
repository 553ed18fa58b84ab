"""Files with older schemas and the rows of a current file."""

import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

from minwallet.storage.sqlite.connection import APPLICATION_ID, _split_statements

SCRIPTS = sorted((resources.files("minwallet.storage") / "schema").iterdir(), key=lambda file: file.name)

OLD_NAMES = {"id_scopes": "id_spaces", "role": "part", "scope_id": "space_id"}
"""The former names of the tables and columns that migration 5 renamed."""

NEW_NAMES = {old: new for new, old in OLD_NAMES.items()}


def copy_to_older_schema(source: Path, target: Path, version: int) -> None:
    """Make `target` a wallet of that schema version with the players and entries of `source`, which must be closed."""
    with closing(sqlite3.connect(target, isolation_level=None)) as db:
        for script in SCRIPTS[:version]:
            for statement in _split_statements(script.read_text("utf-8")):
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {version}")
        db.execute("ATTACH ? AS current", (str(source),))
        db.execute("DELETE FROM agents")
        db.execute("DROP TRIGGER transactions_move_their_account")
        for table in ("agents", "players", "accounts", "sessions", "id_scopes", "transactions"):
            old_table = OLD_NAMES.get(table, table) if version < 5 else table
            columns = [row[1] for row in db.execute(f"PRAGMA main.table_info({old_table})")]
            values = ", ".join(NEW_NAMES.get(column, column) for column in columns)
            db.execute(f"INSERT INTO main.{old_table} ({', '.join(columns)}) SELECT {values} FROM current.{table}")
        trigger = db.execute("SELECT sql FROM current.sqlite_schema WHERE name = 'transactions_move_their_account'")
        db.execute(trigger.fetchone()[0])
