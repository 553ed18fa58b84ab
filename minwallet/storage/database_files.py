"""The files that belong to a wallet file: their names, their owner, and the sync that makes bytes and names durable."""

import glob
import os
import pwd
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


def is_visible(path: Path) -> bool:
    """Return True if the path exists and this user may know it. `Path.exists` raises PermissionError if not."""
    try:
        return path.exists()
    except OSError:
        return False


def has_access(path: Path, mode: int) -> bool:
    """Return True if this process may use the path in this mode, such as `os.R_OK`. Root may not write everywhere."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def user_name(uid: int) -> str:
    """Return the name of the user, or the number if the system has no name for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def describe_denial(file: Path, verb: str = "open") -> str:
    """Return the message for a file that this user may not open or write. It names the user to run minwallet as."""
    return f"cannot {verb} '{file.absolute()}': permission denied; {advise_on_owner(file)}"


def advise_on_owner(file: Path) -> str:
    """Return the advice to run minwallet as the file's owner. Its permissions are wrong if this user is the owner."""
    if (uid := _find_owner(file)) == os.geteuid():
        return "check the permissions of the file and its folders"
    if uid == 0 and not is_visible(file):
        return "the folder belongs to root, so name a wallet file of your own with --db"
    owner = user_name(uid)
    return f"run as its owner: sudo -u {'#' * owner.isdigit()}{owner} minwallet …"


def _find_owner(file: Path) -> int:
    """Return the owner of the file. If it cannot be seen, return the owner of the nearest folder that can be seen."""
    for each in (file, *file.absolute().parents):
        with suppress(OSError):
            return each.stat().st_uid
    return 0


def fsync_path(path: Path) -> None:
    """Sync the bytes of a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
