"""The comparison of a wallet file's schema with that of a new wallet of the same version.

Rules

1. A file with another schema is not used: without its triggers the ledger is not append-only, and a trigger that
   another program added could change money at any time.
2. The check runs before anything is written, as writing would run the triggers that were added.

Theory of operation

The migrations up to the file's version run in a new database in memory. Then `sqlite_schema` has the same texts in
both, also if the file was migrated step by step: SQLite 3.40, 3.46 and 3.51 rewrite a renamed table in the same way. So
the texts are compared as they are.

Running the migrations takes 50 ms, in every command that opens the file. So a schema with the digest of the newest one
is accepted without them. Another digest decides nothing, as another SQLite may rewrite a renamed table differently.
"""

import hashlib
import json
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from minwallet.storage.errors import SchemaChanged
from minwallet.storage.sqlite.connection import check_schema, read_migrations, run_script

# ANALYZE of any program adds these tables. They are harmless: SQLite allows no trigger on them.
READ_SCHEMA = """
    SELECT type, name, tbl_name, sql FROM sqlite_schema
     WHERE NOT (type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4'))
"""

NEWEST_DIGEST = "8d62cbf6a78902690ec291d8e21cf274e5e64e6ded083ca20dc95472c31beceb"
"""The digest of the schema that all migrations make. A new migration needs a new one, which its test shows."""

Schema = dict[tuple[str, str], tuple[str, str | None]]
"""Maps type and name to the table and the SQL text. Indexes that SQLite creates for a constraint have no text."""


def check_unchanged(db: sqlite3.Connection, path: Path) -> None:
    """Raise SchemaChanged if the schema is not that of a new wallet of the file's version."""
    if changes := find_changes(db, path):
        raise SchemaChanged(path, changes)


def find_changes(db: sqlite3.Connection, path: Path) -> list[str]:
    """Return one text for each table, index, trigger or view that is missing, changed or added."""
    version, found = check_schema(db, path), _read_schema(db)
    if version == len(read_migrations()) and compute_digest(found) == NEWEST_DIGEST:
        return []
    expected = build_schema(version)
    changes = []
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            type_, name = key
            state = "missing" if key not in found else "added" if key not in expected else "changed"
            changes.append(f"{type_} '{name}' is {state}")
    return changes


def compute_digest(schema: Schema) -> str:
    """Return the SHA-256 of all names and texts, in hexadecimal."""
    return hashlib.sha256(json.dumps(sorted(schema.items())).encode()).hexdigest()


@cache
def build_schema(version: int) -> Schema:
    """Return the schema of a new wallet of this version."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        for script in read_migrations()[:version]:
            run_script(db, script)
        return _read_schema(db)


def _read_schema(db: sqlite3.Connection) -> Schema:
    return {(type_, name): (table, sql) for type_, name, table, sql in db.execute(READ_SCHEMA)}
