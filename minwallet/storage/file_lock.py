"""The lock on a wallet file: one process writes and checkpoints it, all others send changes to that process.

Rules

1. A process that opens the file for writing holds the lock as long as the file is open.
2. The lock is an flock on a file beside the database (LOCK_SUFFIX), never on the database itself: opening and closing
   the database file would release SQLite's own locks on it.
3. The kernel releases the lock when the process ends, however it ends. So the content of a lock file means nothing if
   the lock is free.

Theory of operation

- The lock file is created with mode 0600, as a server writes a key into it. It is deleted on release, while the lock is
  held: deleting it later could delete the file of the next owner.
- Between opening and locking the file, its owner may delete it. Then the lock would be on a file without a name, and a
  second process could lock a new one. So the inode is compared after locking.
- A server publishes its control endpoint (loopback address and random key) in the lock file. A command that does not
  get the lock sends its change there. A command that holds the lock publishes nothing, and others wait up to
  LOCK_TIMEOUT_S for it.
- A lock file is truncated after locking, so the endpoint of a killed server disappears. Until then a command may find
  it, and its request fails.
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
"""How long to wait for a command that holds the lock."""


class ControlEndpoint(NamedTuple):
    """The address at which a running server accepts the changes of an operator."""

    pid: int
    url: str
    key: str
    serves: str
    """The configured address of the server, for messages."""
    calls: str
    """The URL that providers call, including the callback key."""


class DatabaseLock:
    """The lock on a wallet file, held until `release`."""

    def __init__(self, lock_file: Path, descriptor: int) -> None:
        self._lock_file = lock_file
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, database: Path) -> "Self | ControlEndpoint":
        """Return the lock, or the endpoint of the server that holds it.

        Raise DatabaseUnusable if a command still holds it after LOCK_TIMEOUT_S.
        """
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            if lock := cls._try_acquire(database):
                return lock
            if endpoint := read_control_endpoint(database):
                return endpoint
            if time.monotonic() > deadline:
                raise DatabaseUnusable(f"another minwallet command is still using {database}; wait for it or stop it")
            time.sleep(0.02)

    @classmethod
    def acquire_or_fail(cls, database: Path) -> Self:
        """Return the lock. Raise DatabaseUnusable if a server or another command holds it."""
        acquired = cls.acquire(database)
        if isinstance(acquired, ControlEndpoint):
            raise DatabaseUnusable(
                f"{database} is served by process {acquired.pid} at {acquired.serves}; stop that one first"
            )
        return acquired

    @classmethod
    def _try_acquire(cls, database: Path) -> Self | None:
        """Return the lock, or None if another process holds it."""
        lock_file = lock_file_path(database)
        try:
            descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseUnusable(
                f"cannot write beside {database}: {error.strerror}; choose another place with --db"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The last owner may have deleted the file after this process opened it.
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
        """Write the endpoint into the lock file. Raise DatabaseUnusable if that fails, as on a full disk."""
        text = json.dumps(endpoint._asdict()).encode()
        try:
            written = 0
            while written < len(text):
                written += os.pwrite(self._descriptor, text[written:], written)
        except OSError as error:
            raise _make_write_error(self._lock_file, error) from error

    def release(self) -> None:
        """Delete the lock file and release the lock, in this order."""
        self._lock_file.unlink(missing_ok=True)
        os.close(self._descriptor)


def lock_file_path(database: Path) -> Path:
    if not database.name:
        raise DatabaseUnusable(
            f"{database} is a folder; name a file in it with --db, such as {database / 'minwallet.db'}"
        )
    return companion_path(database, LOCK_SUFFIX)


def _make_write_error(lock_file: Path, error: OSError) -> DatabaseUnusable:
    return DatabaseUnusable(f"cannot write {lock_file}: {error.strerror}; check the disk and its free space")


def read_control_endpoint(database: Path) -> ControlEndpoint | None:
    """Return the endpoint in the lock file, or None. Its server may have ended: only the lock is reliable."""
    try:
        return ControlEndpoint(**json.loads(lock_file_path(database).read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
