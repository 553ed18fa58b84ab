"""Open the file safely, bring its schema up to date, and run work on the one thread that may touch a connection.

Requests never touch a connection themselves: aiosqlite queues their work for the connection's own thread, where a
cancelled request cannot stop it half-way. The work is a plain function over `sqlite3.Connection`, one hop for a whole
transaction.
"""

import glob
import os
import re
import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from minwallet.storage.errors import (
    ConstraintViolation,
    DatabaseCorrupt,
    DatabaseUnusable,
    DiskFull,
    OutcomeUnknown,
    SchemaTooOld,
    StoreError,
)
from minwallet.storage.sqlite_versions import is_too_old

T = TypeVar("T")

APPLICATION_ID = int.from_bytes(b"minw", "big")

PRAGMAS = (
    # Readers never wait for the writer, and a commit is one sequential write.
    ("journal_mode", "wal"),
    # FULL: a reply is sent after its commit has been synced. NORMAL loses acknowledged bets with the power.
    ("synchronous", 2),
    # On macOS fsync alone does not reach the disk; elsewhere these two change nothing.
    ("fullfsync", 1),
    ("checkpoint_fullfsync", 1),
    # A row that names no account must not get in, whatever the bug.
    ("foreign_keys", 1),
    # REPLACE removes rows silently unless its removals fire triggers too.
    ("recursive_triggers", 1),
    # A doctored schema shall not run functions, and a damaged page is found when it is read.
    ("trusted_schema", 0),
    ("cell_size_check", 1),
    # Pages that many bets change, such as the balances, are copied into the file once for all of them.
    ("wal_autocheckpoint", 8000),
    # After a burst the write-ahead log gives its space back.
    ("journal_size_limit", 64 * 1024 * 1024),
    # Sorting never leaves temporary files beside the money.
    ("temp_store", 2),
    # A reader may meet the moment in which the log is reset; it waits instead of failing.
    ("busy_timeout", 5000),
)

INVALID_UTF8 = "where text should be, there is none"
"""What Python makes of text in a schema that is not UTF-8: it cannot even read SQLite's own complaint."""

SQLITE_MAGIC = b"SQLite format 3\0"

MIN_FILE_BYTES = 512
"""SQLite takes a shorter file for a new one; but a new one is empty, and what is shorter is what is left of another."""

NETWORK_FILE_SYSTEMS = {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "nfs", "nfs4", "smb3", "smbfs"}


class Connection(aiosqlite.Connection):
    """An aiosqlite connection that runs a whole function on its thread, and speaks the store's own faults."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns; StoreError where the database or the disk fails."""
        try:
            # The library runs any function on its thread, but says so only to subclasses.
            result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]  # it has no types
        except sqlite3.IntegrityError as error:
            raise ConstraintViolation(f"the file refused the change: {error}") from error
        except sqlite3.Error as error:
            if _is_disk_full(error):
                raise DiskFull("the disk of the wallet file is full") from error
            if _is_corruption(error):
                raise DatabaseCorrupt("the wallet file", str(error)) from error
            raise StoreError(f"the database failed: {error}") from error
        except UnicodeDecodeError as error:
            raise DatabaseCorrupt("the wallet file", INVALID_UTF8) from error
        return result

    async def prepare(self, path: Path, work: Callable[[sqlite3.Connection], object]) -> None:
        """Run `work`, and close again where it fails: DatabaseUnusable says why this file at `path` cannot be used."""
        try:
            await self.run(translate_errors(work, path))
        except BaseException:
            await self.close()
            raise

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        """Connect; where that fails, wait for the thread to end, as it speaks to an event loop that may end too."""
        try:
            return (yield from super().__await__())
        except BaseException:
            self._thread.join()
            raise

    async def close(self) -> None:
        """Close, and wait for the thread's last breath."""
        await super().close()
        self._thread.join()


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit the block, or nothing of it. OutcomeUnknown where nobody knows which it was.

    An exception leaves the block, so no statement follows one that failed: SQLite may have rolled back by itself, and
    the next statement would then be committed alone.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        _roll_back(db)
        raise
    try:
        db.execute("COMMIT")
    except sqlite3.Error as error:
        if _is_disk_full(error):
            # Some page did not fit into the log, and the one that says "committed" is the last to be written.
            _roll_back(db)
            raise
        raise OutcomeUnknown(
            f"a commit failed ({error}); only a restart finds out whether it happened: see to the disk, start again"
        ) from error


def _roll_back(db: sqlite3.Connection) -> None:
    """A full disk, for one, makes SQLite roll back by itself, and a second ROLLBACK would be an error."""
    if db.in_transaction:
        try:
            db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise OutcomeUnknown(
                f"a change could not be taken back ({error}); a restart does so: see to the disk, start again"
            ) from error


def _is_disk_full(error: sqlite3.Error) -> bool:
    # The library's own errors, such as for a connection that is closed, have no code.
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def translate_errors(work: Callable[[sqlite3.Connection], T], path: Path) -> Callable[[sqlite3.Connection], T]:
    """The same work; where SQLite fails in it, DatabaseUnusable says why the file at `path` cannot be used."""

    def translating(db: sqlite3.Connection) -> T:
        try:
            return work(db)
        except sqlite3.Error as error:
            raise _translate_error(path, error) from error
        except UnicodeDecodeError as error:
            raise DatabaseCorrupt(path, INVALID_UTF8) from error

    return translating


async def connect(path: Path, *, read_only: bool = False, cache_kib: int = 2048) -> Connection:
    """A connection to an existing wallet file, which keeps so many pages of it in memory.

    A read-only one neither writes nor checkpoints.
    """

    def open_file() -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
        # Transactions are begun and ended by name, and only this connection's own thread ever uses it.
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)

    connection = Connection(open_file, iter_chunk_size=64)
    try:
        await connection
        await connection.prepare(path, partial(_initialize, path=path, read_only=read_only, cache_kib=cache_kib))
    except sqlite3.Error as error:
        raise _translate_error(path, error) from error
    return connection


def _initialize(db: sqlite3.Connection, path: Path, *, read_only: bool, cache_kib: int) -> None:
    version = check_schema(db, path)  # before anything is set, as another program's file shall stay as it is
    if read_only and version < (known := len(_read_migrations())):
        raise SchemaTooOld(
            f"{path} is served by an older minwallet (schema {version}, this one knows {known}); restart that server"
        )
    _set_pragmas(db, read_only=read_only)
    db.execute(f"PRAGMA cache_size = {-cache_kib}")


def create_file(path: Path) -> None:
    """An empty file, for its owner's eyes only, before SQLite makes companions with the same mode."""
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        elif path.stat().st_size == 0:
            path.chmod(0o600)
    except OSError as error:
        raise DatabaseUnusable(f"cannot create {path}: {error.strerror}; choose another place with --db") from error


def check_exists(path: Path) -> None:
    if not path.exists():
        raise DatabaseUnusable(f"there is no wallet file at {path}; make one with: minwallet --db {path} serve")


def check_path(path: Path) -> None:
    """Refuse what could never be a safe wallet file, in words."""
    if is_too_old(sqlite3.sqlite_version):
        raise DatabaseUnusable(
            f"this Python has SQLite {sqlite3.sqlite_version}; minwallet needs 3.38 or newer, so use a newer Python"
        )
    if path.is_dir():
        raise DatabaseUnusable(f"{path} is a folder; name a file in it with --db, such as {path / 'minwallet.db'}")
    if path.exists() and not path.is_file():
        raise DatabaseUnusable(f"{path} is not a file but a device or the like; choose a file with --db")
    if path.exists() and 0 < path.stat().st_size < MIN_FILE_BYTES:
        if path.read_bytes()[: len(SQLITE_MAGIC)] != SQLITE_MAGIC[: path.stat().st_size]:
            raise DatabaseUnusable(f"{path} is not a wallet file; choose another with --db")
        raise DatabaseCorrupt(path, f"only {path.stat().st_size} bytes of it are left")
    if path.exists() and (replaced := find_unfinished_restore(path)):
        raise DatabaseUnusable(
            f"{path} is half replaced: a restore was not finished; do it again, with the same copy, and keep {replaced}"
        )
    if path.exists() and path.stat().st_nlink > 1:
        raise DatabaseUnusable(
            f"{path} has a second name (a hard link), and changes made under one would be lost under the other;"
            " remove the other name, or work on a copy"
        )
    if not path.parent.is_dir():
        raise DatabaseUnusable(f"the folder {path.parent} does not exist; create it first, or choose another with --db")
    if detect_file_system(path.parent) in NETWORK_FILE_SYSTEMS:
        raise DatabaseUnusable(f"{path} is on a network file system, where SQLite can lose money; use a local disk")


def find_unfinished_restore(path: Path) -> Path | None:
    """The second name that a restore gave the file, and that the file loses when the restore is done."""
    names = path.absolute().parent.glob(f"{glob.escape(path.stem)}-before-*.db") if path.stat().st_nlink > 1 else []
    return next((name for name in names if name.samefile(path)), None)


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date, each numbered step with its number in a transaction of its own."""
    version, steps = check_schema(db, path), _read_migrations()
    for number, script in enumerate(steps[version:], version + 1):
        with transaction(db):
            for statement in _split_statements(script):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {number}")


def check_schema(db: sqlite3.Connection, path: Path) -> int:
    """The version of the file's schema, 0 for a new one; refuses what is not ours, and what is newer than we are."""
    application_id, version, tables = db.execute(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),"
        " (SELECT count(*) FROM sqlite_schema)"
    ).fetchone()
    is_new = (application_id, version, tables) == (0, 0, 0)
    if not is_new and application_id != APPLICATION_ID:
        raise DatabaseUnusable(f"{path} is another program's database; choose another file with --db")
    if version > (known := len(_read_migrations())):
        raise DatabaseUnusable(
            f"{path} was written by a newer minwallet (schema {version}, this one knows {known}); upgrade minwallet"
        )
    return int(version)


def _set_pragmas(db: sqlite3.Connection, *, read_only: bool) -> None:
    for name, value in PRAGMAS:
        if read_only and name == "journal_mode":
            continue
        db.execute(f"PRAGMA {name} = {value}")
        (found,) = db.execute(f"PRAGMA {name}").fetchone()
        if found != value:
            raise sqlite3.OperationalError(f"PRAGMA {name} is {found!r} where {value!r} was set")
    if read_only:
        db.execute("PRAGMA query_only = 1")


def _read_migrations() -> list[str]:
    folder = resources.files("minwallet.storage") / "schema"
    names = sorted(file.name for file in folder.iterdir() if re.fullmatch(r"\d{4}_\w+\.sql", file.name))
    return [(folder / name).read_text("utf-8") for name in names]


def _split_statements(script: str) -> Iterator[str]:
    """The script's statements, one by one; a trigger's inner semicolons do not end it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _is_corruption(error: sqlite3.Error) -> bool:
    """Whether SQLite has found in the file what nobody wrote: our own statements are in order, so where it cannot make
    sense of one, the schema is not ours any more.
    """
    code = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_ERROR or (code or 0) & 0xFF == sqlite3.SQLITE_CORRUPT or "decode" in str(error)


def _translate_error(path: Path, error: sqlite3.Error) -> DatabaseUnusable:
    if "not a database" in str(error):
        return DatabaseUnusable(f"{path} is not a wallet file; choose another with --db")
    if _is_corruption(error):
        return DatabaseCorrupt(path, str(error))
    return DatabaseUnusable(
        f"cannot use {path}: {error}; check the permissions of the file and its folder, and the free space"
    )


def detect_file_system(directory: Path) -> str:
    """The kind of file system that holds the folder, or "" where the system does not tell."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return ""
    device = directory.stat().st_dev
    kind = ""
    for line in mounts.read_text("utf-8").splitlines():
        _, mount_point, mounted_kind, *_ = line.split(" ")
        mount_path = Path(mount_point.encode().decode("unicode_escape"))
        if mount_path in (directory.resolve(), *directory.resolve().parents) and _read_device(mount_path) == device:
            kind = mounted_kind
    return kind


def _read_device(path: Path) -> int | None:
    try:
        return path.stat().st_dev
    except OSError:
        return None
