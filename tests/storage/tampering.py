"""Changes of a wallet file that its triggers refuse. The schema stays, so that only the rows are wrong."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def open_without_triggers(file: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to the file whose triggers are absent within the block."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        yield db
        for _, sql in triggers:
            db.execute(sql)
