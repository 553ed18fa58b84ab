"""Reading a wallet file without changing it, also on a read-only disk.

Rules

1. A command that only reads changes no byte of the file, and leaves no file beside it.
2. A file is immutable only if no process writes it. So the caller holds the lock, or cannot create a lock file.
3. A file with an older schema is not migrated, but a temporary copy of it is.

Theory of operation

SQLite creates a WAL and its index beside a file in WAL mode, also for a connection that only reads, and it fails where
it cannot. With `immutable=1` it reads the file alone, without WAL and locks. That is correct if the WAL has no commits.
A WAL with commits is read in the usual way, and `preserve_wal` removes the traces.

In a folder that this user cannot write, a lock is impossible. The owner of the folder may start a server meanwhile. So
the size and the time of the file are compared at the end.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from minwallet.storage.database_files import WAL_SUFFIXES, companion_path
from minwallet.storage.errors import DatabaseUnusable
from minwallet.storage.sqlite.connection import (
    Connection,
    ReadAccess,
    connect_with,
    file_uri,
    is_disk_full,
    migrate,
    open_database,
)
from minwallet.storage.sqlite.schema_check import check_unchanged
from minwallet.storage.sqlite.wal import HEADER_BYTES, check_wal

WRITE_VERSION_BYTE, WAL_WRITE_VERSION = 18, 2
"""The place of the journal mode in the header of a SQLite file, and its value for WAL."""


@contextmanager
def choose_access(path: Path, *, is_served: bool, is_locked: bool) -> Iterator[ReadAccess]:
    """Yield the way to read the existing file within the block, which leaves the file and its folder as they were.

    `is_served` means that a server owns the file, and `is_locked` that the caller does. Neither is true if this user
    cannot create a lock file. Raise DatabaseUnusable if the file cannot be read in this way, or was changed meanwhile.
    """
    if is_served:
        yield ReadAccess.SERVED
        return
    wal, journal = companion_path(path, "-wal"), companion_path(path, "-journal")
    if _is_hot(journal):
        raise DatabaseUnusable(
            f"another program was stopped while it changed {path}, and {journal} has the rest; complete or undo this"
            f" change first: minwallet --db {path} serve"
        )
    if _size(wal) > HEADER_BYTES:
        if not is_locked:
            raise DatabaseUnusable(
                f"{path} has commits in {wal}, which SQLite reads only in a folder that it can write; copy both files"
                " to such a folder"
            )
        with preserve_wal(path):
            yield ReadAccess.WITH_WAL
        return
    check_wal(path)
    before = _fingerprint(path)
    yield ReadAccess.IMMUTABLE
    if not is_locked and (_fingerprint(path) != before or _size(wal) > HEADER_BYTES):
        raise DatabaseUnusable(f"{path} was changed while it was read, so the output may be wrong; repeat the command")


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _is_hot(journal: Path) -> bool:
    """Return True if a rollback journal has an unfinished change. SQLite may keep a finished one with a zero header."""
    if not journal.exists():
        return False
    with journal.open("rb") as stream:
        return stream.read(1) not in (b"", b"\0")


def _fingerprint(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


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


def remove_empty_wal(path: Path) -> None:
    """Let SQLite delete an empty WAL and its index, unless a process has the file open. The caller owns the file."""
    wal = companion_path(path, "-wal")
    if wal.exists() and _size(wal) == 0:
        # The last connection that may write deletes both. An empty WAL has nothing to write into the file.
        with closing(open_database(file_uri(path, None))) as db:
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def read_journal_mode(path: Path) -> str:
    """Return "wal" or "delete", from the header of a file that SQLite has not open in this process."""
    with path.open("rb") as stream:
        header = stream.read(WRITE_VERSION_BYTE + 1)
    return "wal" if header[WRITE_VERSION_BYTE:] == bytes([WAL_WRITE_VERSION]) else "delete"


async def connect_to_migrated_copy(path: Path, access: ReadAccess) -> Connection:
    """Return a connection that reads a copy of the file with the current schema.

    The copy has no name: SQLite deletes it with the connection. Raise SchemaChanged if another program changed the
    schema, and DatabaseUnusable without space for the copy.
    """

    def copy_file() -> sqlite3.Connection:
        with closing(open_database(file_uri(path, access))) as source:
            check_unchanged(source, path)
            copy = open_database("")
            try:
                source.backup(copy)
                migrate(copy, path)
            except sqlite3.Error as error:
                copy.close()
                if is_disk_full(error):
                    raise DatabaseUnusable(
                        f"{path} has an older schema, and the disk has no space for a temporary copy with the current"
                        " one; set SQLITE_TMPDIR to a folder with more space"
                    ) from error
                raise
            return copy

    return await connect_with(copy_file, path, read_only=True)
