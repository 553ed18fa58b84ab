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

from minwallet.storage.base import UnusableFile
from minwallet.storage.files import OWNER, beside

PATIENCE_S = 5.0
"""How long to wait for another command that owns the file for a moment."""


class Desk(NamedTuple):
    """Where a running server takes the operator's changes."""

    pid: int
    url: str
    key: str
    serves: str
    """The address that the server was given, for people."""
    calls: str
    """Where providers call, with the callback key in it."""


class FileOwner:
    """The lock, held until `release`. `owner.announce` tells others how to ask this process for a change."""

    def __init__(self, side_file: Path, descriptor: int) -> None:
        self._side_file = side_file
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, database: Path) -> "Self | Desk":
        """The ownership of the database, or the server that has it. UnusableFile where another command keeps it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            if owner := cls._try(database):
                return owner
            if desk := find_desk(database):
                return desk
            if time.monotonic() > deadline:
                raise UnusableFile(f"another minwallet command is still using {database}; wait for it, or end it")
            time.sleep(0.02)

    @classmethod
    def claim(cls, database: Path) -> Self:
        """The ownership; UnusableFile where a server or another command has it."""
        owner = cls.acquire(database)
        if isinstance(owner, Desk):
            raise UnusableFile(f"{database} is served by process {owner.pid} at {owner.serves}; stop that one first")
        return owner

    @classmethod
    def _try(cls, database: Path) -> Self | None:
        side_file = side_file_of(database)
        try:
            descriptor = os.open(side_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnusableFile(
                f"cannot write beside {database}: {error.strerror}; choose another place with --db"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The last owner may have removed the file between our opening and our locking it.
            if os.fstat(descriptor).st_ino != side_file.stat().st_ino:
                raise BlockingIOError
            os.ftruncate(descriptor, 0)
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise _cannot_write(side_file, error) from error
        return cls(side_file, descriptor)

    def announce(self, desk: Desk) -> None:
        """Tell others where to ask. UnusableFile where there is no room to write it down."""
        text = json.dumps(desk._asdict()).encode()
        try:
            written = 0
            while written < len(text):
                written += os.pwrite(self._descriptor, text[written:], written)
        except OSError as error:
            raise _cannot_write(self._side_file, error) from error

    def release(self) -> None:
        """Give the file up. The side file goes while the lock is still held, so nobody's newer one is removed."""
        self._side_file.unlink(missing_ok=True)
        os.close(self._descriptor)


def side_file_of(database: Path) -> Path:
    if not database.name:
        raise UnusableFile(f"{database} is a folder; name a file in it with --db, such as {database / 'minwallet.db'}")
    return beside(database, OWNER)


def _cannot_write(side_file: Path, error: OSError) -> UnusableFile:
    return UnusableFile(f"cannot write {side_file}: {error.strerror}; see to the disk and its free space")


def find_desk(database: Path) -> Desk | None:
    """The server that the side file names, if it names one. It may be gone: only the lock tells."""
    try:
        return Desk(**json.loads(side_file_of(database).read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
