"""The SQLite engine: the only package that uses SQL, sqlite3 and aiosqlite."""

from minwallet.storage.sqlite.engine import SqliteStore

__all__ = ["SqliteStore"]
