"""Connections to a wallet file: pragmas, schema, migrations, transactions, and errors.

Rules

1. A connection is used by one thread only, its own. Requests pass it functions over `sqlite3.Connection`
   (`Connection.run`), and aiosqlite queues them. A whole transaction is one function, so it is one hop between threads,
   and a cancelled request cannot leave it half done.
2. Every transaction that writes is one of `transaction`, and begins with BEGIN IMMEDIATE. `isolation_level=None` keeps
   sqlite3 from beginning one implicitly. A deferred transaction that reads and then writes could fail with
   SQLITE_BUSY_SNAPSHOT, and no timeout helps against that. A plain BEGIN is for several reads of one moment only.
3. No statement follows a failed one inside a transaction. If the disk is full, SQLite may have rolled back by itself. A
   further statement would then run outside of any transaction, and would be committed alone.
4. For the same reason, ROLLBACK is sent only if `in_transaction` is true: after SQLite's own rollback it is an error.
5. If COMMIT fails, the outcome is unknown: the transaction is rolled back for open connections, but a recovery after a
   restart may bring it back. The exception is a full disk: the frame that ends the commit is the last one written, so
   it is not in the WAL.
6. A file is checked before anything is set in it: another program's database stays unchanged. `path_checks` checks its
   path before.

Errors of sqlite3 become errors of the store here, and nowhere else. `Connection.run` translates errors of a running
store (StoreError). `translate_errors` does so where a file is opened or checked: there every error is a reason why the
file cannot be used (DatabaseUnusable).
"""

import re
import sqlite3
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from minwallet.storage.errors import (
    ConstraintViolation,
    DatabaseCorrupt,
    DatabaseUnusable,
    DiskFull,
    NotAWallet,
    OutcomeUnknown,
    SchemaChanged,
    SchemaTooOld,
    StoreError,
)

T = TypeVar("T")

APPLICATION_ID = int.from_bytes(b"minw", "big")

PRAGMAS = (
    # Readers do not wait for the writer, and a commit is one sequential write and one sync.
    ("journal_mode", "wal"),
    # FULL: each commit is synced before its replies are sent. NORMAL loses acknowledged bets at a power loss.
    ("synchronous", 2),
    # On macOS fsync does not reach the disk, F_FULLFSYNC does. Elsewhere these two change nothing.
    ("fullfsync", 1),
    ("checkpoint_fullfsync", 1),
    # No bug can add a row without its account.
    ("foreign_keys", 1),
    # With it, the deletions of REPLACE fire triggers. So REPLACE cannot remove an entry of the ledger.
    ("recursive_triggers", 1),
    # A manipulated schema cannot run functions with side effects. Damaged pages are detected when they are read.
    ("trusted_schema", 0),
    ("cell_size_check", 1),
    # Checkpoint after 8,000 pages instead of 1,000. Pages that many bets change are then copied into the file once.
    ("wal_autocheckpoint", 8000),
    # The WAL is truncated to this size after a burst.
    ("journal_size_limit", 64 * 1024 * 1024),
    # Sort in memory. No copies of rows in temporary files.
    ("temp_store", 2),
    # In ms: a reader that meets a reset of the WAL waits up to this long instead of failing.
    ("busy_timeout", 5000),
)

INVALID_UTF8 = "text is not valid UTF-8"
"""The reason of a UnicodeDecodeError. sqlite3 raises it for damaged text, even in SQLite's own error messages."""


class Connection(aiosqlite.Connection):
    """An aiosqlite connection that runs a whole function on its thread and raises the store's errors."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns. Raise StoreError if the database or the disk fails."""
        try:
            # aiosqlite can run any function on its thread, but only as a protected method.
            result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]  # it has no types
        except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError) as error:
            # The first is about a constraint. The others are about values: too long, or of a type unknown to SQLite.
            raise ConstraintViolation(f"the file refused the change: {error}") from error
        except sqlite3.Error as error:
            if is_disk_full(error):
                raise DiskFull("the disk of the wallet file is full") from error
            if _is_corruption(error):
                raise DatabaseCorrupt("the wallet file", str(error)) from error
            raise StoreError(f"the database failed: {error}") from error
        except UnicodeDecodeError as error:
            raise DatabaseCorrupt("the wallet file", INVALID_UTF8) from error
        return result

    async def prepare(self, path: Path, work: Callable[[sqlite3.Connection], object]) -> None:
        """Run `work`. If it fails, close the connection and raise DatabaseUnusable for the file at `path`."""
        try:
            await self.run(translate_errors(work, path))
        except BaseException:
            await self.close()
            raise

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        """Connect. If that fails, wait for the thread to end, as it still calls back into the event loop."""
        try:
            return (yield from super().__await__())
        except BaseException:
            self._thread.join()
            raise

    async def close(self) -> None:
        """Close the connection and wait for its thread to end."""
        await super().close()
        self._thread.join()


class ReadAccess(Enum):
    """The way to read a file without changing it. It depends on who may write the file meanwhile."""

    SERVED = auto()
    """Another process writes and checkpoints it."""
    WITH_WAL = auto()
    """No process writes it, and commits are in its WAL."""
    IMMUTABLE = auto()
    """No process writes it, and all commits are in the file itself. SQLite uses neither locks nor companions."""


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit the block, or roll it back if it raises. Raise OutcomeUnknown if a commit or a rollback fails."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        _roll_back(db)
        raise
    try:
        db.execute("COMMIT")
    except Exception as error:  # sqlite3 reports a lack of memory as MemoryError
        if is_disk_full(error):
            # A frame did not fit into the WAL. The one that ends the commit is written last, so nothing is committed.
            _roll_back(db)
            raise
        raise OutcomeUnknown(
            f"a commit failed ({error}); only a restart finds out whether it happened: check the disk, then restart"
        ) from error


def _roll_back(db: sqlite3.Connection) -> None:
    """Roll back, unless SQLite has already done so, as it does if the disk is full."""
    if db.in_transaction:
        try:
            db.execute("ROLLBACK")
        except Exception as error:
            raise OutcomeUnknown(
                f"a change could not be rolled back ({error}); a restart does so: check the disk, then restart"
            ) from error


def is_disk_full(error: Exception) -> bool:
    # Errors of sqlite3 itself, such as the use of a closed connection, have no code.
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def translate_errors(work: Callable[[sqlite3.Connection], T], path: Path) -> Callable[[sqlite3.Connection], T]:
    """Return `work` with its errors translated: it raises DatabaseUnusable if the file at `path` cannot be used."""

    def translating(db: sqlite3.Connection) -> T:
        try:
            return work(db)
        except sqlite3.Error as error:
            raise _translate_error(path, error) from error
        except UnicodeDecodeError as error:
            raise DatabaseCorrupt(path, INVALID_UTF8) from error

    return translating


async def connect(path: Path, *, access: ReadAccess | None = None, cache_kib: int = 2048) -> Connection:
    """Return a connection to an existing wallet file, with a page cache of `cache_kib`.

    With an access, the connection neither writes nor checkpoints. Raise SchemaTooOld if the file needs a migration.
    """
    open_file = partial(open_database, file_uri(path, access))
    return await connect_with(open_file, path, read_only=access is not None, cache_kib=cache_kib)


async def connect_with(
    open_file: Callable[[], sqlite3.Connection], path: Path, *, read_only: bool, cache_kib: int = 2048
) -> Connection:
    """Return a connection to what `open_file` opens on the connection's thread. Errors name the file at `path`."""
    connection = Connection(open_file, iter_chunk_size=64)
    try:
        await connection
        await connection.prepare(path, partial(_initialize, path=path, read_only=read_only, cache_kib=cache_kib))
    except sqlite3.Error as error:
        raise _translate_error(path, error) from error
    return connection


def open_database(uri: str) -> sqlite3.Connection:
    # `transaction` begins and ends transactions. Only the connection's thread uses it, except for `interrupt`.
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def file_uri(path: Path, access: ReadAccess | None) -> str:
    """Return the address with which SQLite opens the file for reading, or for writing if `access` is None."""
    options = "mode=ro&immutable=1" if access is ReadAccess.IMMUTABLE else "mode=ro" if access else "mode=rw"
    return f"{path.absolute().as_uri()}?{options}"


def _initialize(db: sqlite3.Connection, path: Path, *, read_only: bool, cache_kib: int) -> None:
    version = check_schema(db, path)  # Before the pragmas, as another program's file must stay unchanged.
    if read_only and version < (known := len(read_migrations())):
        raise SchemaTooOld(
            f"{path} is served by an older minwallet (schema {version}, this one knows {known}); restart that server"
        )
    _set_pragmas(db, read_only=read_only)
    db.execute(f"PRAGMA cache_size = {-cache_kib}")


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Migrate the schema. Each step is one transaction, which also stores the step's number."""
    version, steps = check_schema(db, path), read_migrations()
    for number, script in enumerate(steps[version:], version + 1):
        with transaction(db):
            run_script(db, script)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {number}")


@contextmanager
def current_schema(db: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Give the file the current schema for the block, in a transaction that is rolled back at the end.

    The queries of this package need the current names. A backup must keep its schema: the older version may need it.
    """
    version, steps = check_schema(db, path), read_migrations()
    db.execute("BEGIN")
    try:
        for script in steps[version:]:
            run_script(db, script)
        yield
    finally:
        # SQLite itself has already rolled back after some errors.
        if db.in_transaction:
            db.execute("ROLLBACK")


def check_schema(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of the file's schema, 0 for a new file.

    Raise DatabaseUnusable if the file is another program's or has a newer schema, or a version that cannot be its own.
    """
    application_id, version, tables = db.execute(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),"
        " (SELECT count(*) FROM sqlite_schema)"
    ).fetchone()
    is_new = (application_id, version, tables) == (0, 0, 0)
    if not is_new and application_id != APPLICATION_ID:
        raise NotAWallet(path, "another program's database")
    if tables and version == 0:
        # The first migration sets the version in the transaction that creates the tables.
        raise SchemaChanged(path, ["its version is 0"])
    if version > (known := len(read_migrations())):
        raise DatabaseUnusable(
            f"{path} was written by a newer minwallet (schema {version}, this one knows {known}); upgrade minwallet"
        )
    return int(version)


def _set_pragmas(db: sqlite3.Connection, *, read_only: bool) -> None:
    for name, value in PRAGMAS:
        if read_only and name == "journal_mode":
            continue
        db.execute(f"PRAGMA {name} = {value}")
        (found,) = db.execute(f"PRAGMA {name}").fetchone()  # SQLite ignores unknown pragmas silently.
        if found != value:
            raise sqlite3.OperationalError(f"PRAGMA {name} is {found!r} where {value!r} was set")
    if read_only:
        db.execute("PRAGMA query_only = 1")


@cache
def read_migrations() -> tuple[str, ...]:
    folder = resources.files("minwallet.storage") / "schema"
    names = sorted(file.name for file in folder.iterdir() if re.fullmatch(r"\d{4}_\w+\.sql", file.name))
    return tuple((folder / name).read_text("utf-8") for name in names)


def run_script(db: sqlite3.Connection, script: str) -> None:
    # Apple's SQLite begins in the defensive mode, which forbids the edit of the schema in migration 6.
    if sys.version_info >= (3, 12):
        db.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, False)
    for statement in _split_statements(script):
        db.execute(statement)


def _split_statements(script: str) -> Iterator[str]:
    """Yield the statements of the script. The semicolons inside a trigger do not end it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _is_corruption(error: sqlite3.Error) -> bool:
    """Return True if the error proves that the file is damaged.

    SQLITE_ERROR is such a proof, too: the statements of this package are valid, so the schema was changed.
    """
    code = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_ERROR or (code or 0) & 0xFF == sqlite3.SQLITE_CORRUPT or "decode" in str(error)


def _translate_error(path: Path, error: sqlite3.Error) -> DatabaseUnusable:
    if "not a database" in str(error):
        return NotAWallet(path, "not a wallet file")
    if "may not be modified" in str(error):
        return DatabaseUnusable(
            f"this Python's SQLite forbids the change of the schema that {path} needs; use Python 3.12 or newer"
        )
    if _is_corruption(error):
        return DatabaseCorrupt(path, str(error))
    return DatabaseUnusable(
        f"cannot use {path}: {error}; check the permissions of the file and its folder, and the free space"
    )
