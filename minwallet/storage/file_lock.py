"""Who owns the wallet file: one process writes and checkpoints it, whoever else wants a change asks that process.

The owner holds a lock on a side file next to the database, readable by its user only. A server also writes there where
it can be asked: a loopback address and a random key. The lock dies with the process, so a side file whose lock is free
means nothing, whatever it says.
"""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import NamedTuple, Self

from minwallet.storage.database_files import LOCK_SUFFIX, companion_path
from minwallet.storage.errors import DatabaseUnusable

LOCK_TIMEOUT_S = 5.0
"""How long to wait for another command that owns the file for a moment."""


class ControlEndpoint(NamedTuple):
    """Where a running server takes the operator's changes."""

    pid: int
    url: str
    key: str
    serves: str
    """The address that the server was given, for people."""
    calls: str
    """Where providers call, with the callback key in it."""


class DatabaseLock:
    """The lock, held until `release`. `owner.publish_endpoint` tells others how to ask this process for a change."""

    def __init__(self, lock_file: Path, descriptor: int) -> None:
        self._lock_file = lock_file
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, database: Path) -> "Self | ControlEndpoint":
        """The ownership of the database, or the server that has it. DatabaseUnusable where another command keeps it."""
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            if lock := cls._try_acquire(database):
                return lock
            if endpoint := read_control_endpoint(database):
                return endpoint
            if time.monotonic() > deadline:
                raise DatabaseUnusable(f"another minwallet command is still using {database}; wait for it, or end it")
            time.sleep(0.02)

    @classmethod
    def acquire_or_fail(cls, database: Path) -> Self:
        """The ownership; DatabaseUnusable where a server or another command has it."""
        acquired = cls.acquire(database)
        if isinstance(acquired, ControlEndpoint):
            raise DatabaseUnusable(
                f"{database} is served by process {acquired.pid} at {acquired.serves}; stop that one first"
            )
        return acquired

    @classmethod
    def _try_acquire(cls, database: Path) -> Self | None:
        lock_file = lock_file_path(database)
        try:
            descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseUnusable(
                f"cannot write beside {database}: {error.strerror}; choose another place with --db"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The last owner may have removed the file between our opening and our locking it.
            if os.fstat(descriptor).st_ino != lock_file.stat().st_ino:
                raise BlockingIOError
            os.ftruncate(descriptor, 0)
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise _make_write_error(lock_file, error) from error
        return cls(lock_file, descriptor)

    def publish_endpoint(self, endpoint: ControlEndpoint) -> None:
        """Tell others where to ask. DatabaseUnusable where there is no room to write it down."""
        text = json.dumps(endpoint._asdict()).encode()
        try:
            written = 0
            while written < len(text):
                written += os.pwrite(self._descriptor, text[written:], written)
        except OSError as error:
            raise _make_write_error(self._lock_file, error) from error

    def release(self) -> None:
        """Give the file up. The side file goes while the lock is still held, so nobody's newer one is removed."""
        self._lock_file.unlink(missing_ok=True)
        os.close(self._descriptor)


def lock_file_path(database: Path) -> Path:
    if not database.name:
        raise DatabaseUnusable(
            f"{database} is a folder; name a file in it with --db, such as {database / 'minwallet.db'}"
        )
    return companion_path(database, LOCK_SUFFIX)


def _make_write_error(lock_file: Path, error: OSError) -> DatabaseUnusable:
    return DatabaseUnusable(f"cannot write {lock_file}: {error.strerror}; see to the disk and its free space")


def read_control_endpoint(database: Path) -> ControlEndpoint | None:
    """The server that the side file names, if it names one. It may be gone: only the lock tells."""
    try:
        return ControlEndpoint(**json.loads(lock_file_path(database).read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
