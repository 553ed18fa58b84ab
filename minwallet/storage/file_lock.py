"""The lock on a wallet file: one process writes and checkpoints it, all others send changes to that process.

Rules

1. A process that opens the file for writing holds the lock as long as the file is open.
2. The lock is an flock on a file beside the database (LOCK_SUFFIX), never on the database itself: opening and closing
   the database file would release SQLite's own locks on it.
3. The kernel releases the lock when the process ends, however it ends. So the content of a lock file means nothing if
   the lock is free.

Theory of operation

- The lock file is deleted on release, while the lock is held: deleting it later could delete the file of the next
  owner.
- A server writes a key into the lock file. So it must be a regular file of mode 0600 with one name, and belong to this
  user or to the wallet file's owner. A left-over with other permissions is deleted, not corrected: another user may
  have it open. Anything else at its path is refused.
- What root creates is given to the wallet file's owner, whose service could not use the lock file otherwise.
- Between opening and locking the file, its owner may delete it. Then the lock would be on a file without a name, and a
  second process could lock a new one. So the inode is compared after locking.
- A server publishes its control endpoint (loopback address and random key) in the lock file. A command that does not
  get the lock sends its change there. A command that holds the lock publishes nothing, and others wait up to
  LOCK_TIMEOUT_S for it.
- A command that only reads takes the lock too, if it can. In a folder that it cannot write, it only looks for an owner.
- A lock file is truncated after locking, so the endpoint of a killed server disappears. Until then a command may find
  it, and its request fails.
"""

import errno
import fcntl
import json
import os
import time
from pathlib import Path
from stat import S_IRWXG, S_IRWXO, S_ISREG, S_IWGRP, S_IWOTH
from typing import Any, NamedTuple, Self

from minwallet.storage.database_files import (
    LOCK_SUFFIX,
    advise_on_owner,
    companion_path,
    copy_owner,
    describe_denial,
    is_visible,
)
from minwallet.storage.errors import DatabaseUnusable, LockUnavailable, StoreError
from minwallet.storage.mounts import find_mount_point

LOCK_TIMEOUT_S = 5.0
"""How long to wait for a command that holds the lock."""

UNLOCKABLE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""The errors of a file system without locks."""


class ControlEndpoint(NamedTuple):
    """The address at which a running server accepts the changes of an operator."""

    pid: int
    url: str
    key: str
    serves: str
    """The configured address of the server, for messages."""
    calls: str
    """The URL that providers call, including the callback key."""

    @property
    def request_options(self) -> dict[str, Any]:
        """Return the options of httpx2 for a request with the key: no proxy, and no TLS.

        The endpoint is plain HTTP on this machine. Preparing TLS would take longer than the request.
        """
        return {"headers": {"authorization": f"Bearer {self.key}"}, "trust_env": False, "verify": False}


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
            _wait_until(deadline, database)

    @classmethod
    def acquire_for_reading(cls, database: Path) -> "Self | ControlEndpoint | None":
        """Return the lock, or the endpoint of the server that holds it, as `acquire` does.

        Return None if this user can create no lock file, and no process holds one.
        """
        try:
            return cls.acquire(database)
        except LockUnavailable:
            deadline = time.monotonic() + LOCK_TIMEOUT_S
            while _is_held(database):
                if endpoint := read_control_endpoint(database):
                    return endpoint
                _wait_until(deadline, database)
            return None

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
        descriptor = _open_lock_file(database, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(descriptor)
            # The last owner may have deleted the file after this process opened it.
            if status.st_ino != lock_file.stat().st_ino:
                raise BlockingIOError
            if status.st_mode & (S_IRWXG | S_IRWXO):
                lock_file.unlink()
                raise BlockingIOError
            os.ftruncate(descriptor, 0)
            copy_owner(_owner_model(database), descriptor)
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            if error.errno in UNLOCKABLE:
                lock_file.unlink(missing_ok=True)
                raise LockUnavailable(f"cannot lock {lock_file}: {error.strerror}; use a local disk") from error
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
    if database == Path():
        raise DatabaseUnusable(
            "the name of the wallet file is empty or '.'; name a file with --db, such as minwallet.db"
        )
    if not database.name:
        raise DatabaseUnusable(
            f"{database} is a folder; name a file in it with --db, such as {database / 'minwallet.db'}"
        )
    return companion_path(database, LOCK_SUFFIX)


def _wait_until(deadline: float, database: Path) -> None:
    """Wait a moment for the command that holds the lock. Raise DatabaseUnusable after the deadline."""
    if time.monotonic() > deadline:
        raise DatabaseUnusable(f"another minwallet command is still using {database}; wait for it or stop it")
    time.sleep(0.02)


def _is_held(database: Path) -> bool:
    """Return True if a process holds the lock. This works without the right to write."""
    if not os.path.lexists(lock_file_path(database)):
        return False
    descriptor = _open_lock_file(database, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # A file system without locks.
    finally:
        os.close(descriptor)
    return False


def _make_write_error(lock_file: Path, error: OSError) -> DatabaseUnusable:
    return DatabaseUnusable(f"cannot write {lock_file}: {error.strerror}; check the disk and its free space")


def _open_lock_file(database: Path, flags: int) -> int:
    """Return a descriptor of the lock file. Raise DatabaseUnusable if it cannot be opened, or cannot be trusted."""
    lock_file = lock_file_path(database)
    try:
        # O_NONBLOCK: opening a FIFO must not wait for its other end.
        descriptor = os.open(lock_file, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _describe_open_error(database, lock_file, error) from error
    if problem := _find_lock_file_problem(database, lock_file, descriptor):
        os.close(descriptor)
        raise DatabaseUnusable(f"{lock_file} {problem}")
    return descriptor


def _describe_open_error(database: Path, lock_file: Path, error: OSError) -> DatabaseUnusable:
    """Return the error for a lock file that cannot be opened. It is LockUnavailable if this user cannot create one."""
    is_missing, is_denied = not os.path.lexists(lock_file), error.errno in (errno.EACCES, errno.EPERM)
    if is_missing or error.errno == errno.EROFS:
        reason = f"cannot write beside '{database.absolute()}': {error.strerror}; choose another place with --db"
        if is_denied:
            is_roots_folder = not is_visible(database) and _owner_model(database).stat().st_uid == 0
            return LockUnavailable(reason if is_roots_folder else f"{reason}, or {advise_on_owner(database)}")
        return LockUnavailable(reason) if error.errno == errno.EROFS else DatabaseUnusable(reason)
    if is_denied:
        return DatabaseUnusable(describe_denial(lock_file))
    if lock_file.is_symlink():
        return DatabaseUnusable(f"{lock_file} is a symbolic link, so it cannot be a lock file; remove it")
    return DatabaseUnusable(
        f"cannot open the lock file {lock_file}: {error.strerror}; remove it if no minwallet command is running"
    )


def _find_lock_file_problem(database: Path, lock_file: Path, descriptor: int) -> str | None:
    """Return the reason why no key may be written into this file, or read from it. Return None if there is none."""
    status = os.fstat(descriptor)
    if not S_ISREG(status.st_mode):
        return "is not a regular file, so it cannot be a lock file; remove it"
    if status.st_uid not in (os.geteuid(), _owner_model(database).stat().st_uid):
        return f"belongs to another user (uid {status.st_uid}), so it cannot be a lock file; remove it"
    if status.st_nlink > 1:
        return "has a second name (a hard link), so it cannot be a lock file; remove it"
    if find_mount_point([lock_file]):
        return "is mounted as a single file, so it cannot be a lock file; mount its folder instead"
    return None


def _owner_model(database: Path) -> Path:
    """Return the path whose owner also owns the lock file: the wallet file, or its folder before there is one."""
    return database if is_visible(database) else database.absolute().parent


def read_control_endpoint(database: Path) -> ControlEndpoint | None:
    """Return the endpoint in the lock file, or None. Its server may have ended: only the lock is reliable."""
    try:
        with open(_open_lock_file(database, os.O_RDONLY), "rb") as lock_stream:
            if os.fstat(lock_stream.fileno()).st_mode & (S_IWGRP | S_IWOTH):
                return None  # Another user may have written it.
            return ControlEndpoint(**json.loads(lock_stream.read()))
    except (StoreError, OSError, ValueError, TypeError, RecursionError):
        return None
