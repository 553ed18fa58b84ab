"""The names of the files that belong to a wallet file, their owner, and the sync that makes bytes and names durable."""

import glob
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

WAL_SUFFIXES = ("-wal", "-shm")

LOCK_SUFFIX = ".owner"

SQLITE_SUFFIXES = (*WAL_SUFFIXES, "-journal")

COMPANION_SUFFIXES = (*SQLITE_SUFFIXES, LOCK_SUFFIX)
"""The suffixes of a wallet file's companions: SQLite's files, and the lock file."""

TEMP_SUFFIX = ".part"
"""The suffix of an unfinished backup."""


def companion_path(database: Path, suffix: str) -> Path:
    """Return the path of the companion with this suffix."""
    return database.with_name(f"{database.name}{suffix}")


def temp_files(folder: Path, prefix: str) -> Iterator[Path]:
    """Yield the unfinished backups whose names begin with `prefix`, and their companions."""
    return folder.glob(f".{glob.escape(prefix)}*{TEMP_SUFFIX}*")


def copy_owner(model: Path, file: Path | int) -> None:
    """Give a file or descriptor the owner and group of `model`, if this process is root.

    A service that runs as another user could not open what root made. The file stays root's on a file system without
    that owner.
    """
    if os.geteuid() == 0:
        with suppress(OSError):
            status = model.stat()
            os.chown(file, status.st_uid, status.st_gid)


def fsync_path(path: Path) -> None:
    """Sync the bytes of a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
