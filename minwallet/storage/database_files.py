"""What belongs to a wallet file, and what makes a file's bytes and its name durable."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

WAL_SUFFIXES = ("-wal", "-shm")

LOCK_SUFFIX = ".owner"

COMPANION_SUFFIXES = (*WAL_SUFFIXES, "-journal", LOCK_SUFFIX)
"""What the names of a wallet file's companions end with: SQLite's, and the owner's side file."""

TEMP_SUFFIX = ".part"
"""What the name of a copy ends with that is not whole."""


def companion_path(database: Path, suffix: str) -> Path:
    """The companion with this ending."""
    return database.with_name(f"{database.name}{suffix}")


def temp_files(folder: Path, prefix: str) -> Iterator[Path]:
    """What is left of unfinished copies whose names begin so, with the companions they may have."""
    return folder.glob(f".{glob.escape(prefix)}*{TEMP_SUFFIX}*")


def fsync_path(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
