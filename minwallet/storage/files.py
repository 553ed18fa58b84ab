"""What belongs to a wallet file, and what makes a file's bytes and its name durable."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

LOG_AND_INDEX = ("-wal", "-shm")

OWNER = ".owner"

BELONGINGS = (*LOG_AND_INDEX, "-journal", OWNER)
"""What the names of a wallet file's companions end with: SQLite's, and the owner's side file."""

PART = ".part"
"""What the name of a copy ends with that is not whole."""


def beside(database: Path, ending: str) -> Path:
    """The companion with this ending."""
    return database.with_name(f"{database.name}{ending}")


def parts_of(folder: Path, beginning: str) -> Iterator[Path]:
    """What is left of unfinished copies whose names begin so, with the companions they may have."""
    return folder.glob(f".{glob.escape(beginning)}*{PART}*")


def sync(place: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
