"""The SQLite engine: the only room that knows SQL, sqlite3 and aiosqlite."""

from minwallet.storage.sqlite.engine import SqliteStore

__all__ = ["SqliteStore"]
