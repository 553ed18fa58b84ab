"""The checks of a wallet file's path, permissions and names, before SQLite opens the file.

Rules

1. A wallet file has one name. SQLite finds the write-ahead log by the name of the file. So under a second name (a hard
   link, or a bind mount of the file alone) another log and another lock file are used, and changes are lost.
2. The same holds for SQLite's companions of the file. They are regular files of the same folder.
3. Only the owner of the files can read or change them.
4. A check does not open the file: closing it would release the locks that SQLite holds on it in this process.
"""

import errno
import glob
import os
import sqlite3
from pathlib import Path
from stat import S_IMODE, S_IRWXG, S_IRWXO, S_ISREG

from minwallet.storage.database_files import SQLITE_SUFFIXES, companion_path, copy_owner, describe_denial, has_access
from minwallet.storage.errors import DatabaseCorrupt, DatabaseNotFound, DatabaseUnusable, NotAWallet
from minwallet.storage.mounts import detect_file_system, find_mount_point
from minwallet.storage.sqlite_versions import is_too_old

SQLITE_MAGIC = b"SQLite format 3\0"

MIN_FILE_BYTES = 512
"""The smallest SQLite file. SQLite treats a shorter file as new, but a new file has 0 bytes."""

NETWORK_FILE_SYSTEMS = {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "nfs", "nfs4", "smb3", "smbfs"}


def check_exists(path: Path) -> None:
    if not path.exists():
        raise DatabaseNotFound(path.absolute())


def check_permission(path: Path, *, writable: bool = False) -> None:
    """Raise DatabaseUnusable if this user may not read the existing file, or not write it. Name the user who may."""
    if not has_access(path, os.R_OK):
        raise DatabaseUnusable(describe_denial(path))
    if writable and not has_access(path, os.W_OK):
        raise DatabaseUnusable(describe_denial(path, "write"))


def check_path(path: Path) -> None:
    """Raise DatabaseUnusable if the file can never be a safe wallet file."""
    if is_too_old(sqlite3.sqlite_version):
        raise DatabaseUnusable(
            f"this Python has SQLite {sqlite3.sqlite_version}; minwallet needs 3.38 or newer, so use a newer Python"
        )
    try:
        path.lstat()
    except PermissionError as error:
        raise DatabaseUnusable(describe_denial(path)) from error
    except OSError:
        pass  # A missing file is a new wallet. The checks below find everything else.
    if _is_circular(path):
        raise DatabaseUnusable(f"{path} is a symbolic link that leads to itself; choose a file with --db")
    if path.is_dir():
        raise DatabaseUnusable(f"{path} is a folder; name a file in it with --db, such as {path / 'minwallet.db'}")
    if path.exists() and not path.is_file():
        raise DatabaseUnusable(f"{path} is not a regular file; choose a file with --db")
    if path.exists() and 0 < path.stat().st_size < MIN_FILE_BYTES:
        if path.read_bytes()[: len(SQLITE_MAGIC)] != SQLITE_MAGIC[: path.stat().st_size]:
            raise NotAWallet(path, "not a wallet file")
        raise DatabaseCorrupt(path, f"only {path.stat().st_size} bytes of it are left")
    if path.exists() and (replaced := find_unfinished_restore(path)):
        raise DatabaseUnusable(
            f"a restore of {path} was not finished; repeat it with the same backup, and keep {replaced}"
        )
    for file in _list_files(path):
        if file.exists() and file.stat().st_nlink > 1:
            raise DatabaseUnusable(
                f"{file} has a second name (a hard link), and changes made under one would be lost under the other;"
                " remove the other name, or work on a copy"
            )
    check_place(path)


def _is_circular(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def check_place(path: Path) -> None:
    """Raise DatabaseUnusable if no wallet file can be at this path, whatever is in the file."""
    if not path.parent.is_dir():
        raise DatabaseUnusable(f"the folder {path.parent} does not exist; create it first, or choose another with --db")
    if not path.parent.samefile(real_folder := os.path.realpath(path.parent)):
        # A path below /proc/PID/root, for example. SQLite opens the real path, and the lock file would be elsewhere.
        raise DatabaseUnusable(
            f"{path.parent} is a folder of another mount namespace, not {real_folder}; use its own path"
        )
    if (kind := detect_file_system(path.parent)) in NETWORK_FILE_SYSTEMS:
        raise DatabaseUnusable(
            f"{path} is on a network file system ({kind}), where SQLite can lose money; use a local disk"
        )
    if mounted := find_mount_point(_list_files(path)):
        raise DatabaseUnusable(
            f"{mounted} is mounted as a single file, and changes made under its other name would be lost;"
            " mount its folder instead"
        )
    for companion in _list_files(path)[1:]:
        if companion.is_symlink() or (companion.exists() and not companion.is_file()):
            raise DatabaseUnusable(f"{companion} is not a regular file; remove it, as SQLite did not create it")


def _list_files(path: Path) -> list[Path]:
    return [path, *(companion_path(path, suffix) for suffix in SQLITE_SUFFIXES)]


def find_unfinished_restore(path: Path) -> Path | None:
    """Return the second name that an unfinished restore has given the file, or None."""
    names = path.absolute().parent.glob(f"{glob.escape(path.stem)}-before-*.db") if path.stat().st_nlink > 1 else []
    return next((name for name in names if name.samefile(path)), None)


def create_file(path: Path) -> None:
    """Create an empty file with mode 0600, unless there is one. SQLite gives its companions the same mode and owner.

    A file that root creates belongs to the owner of the folder.
    """
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            copy_owner(path.absolute().parent, path)
    except OSError as error:
        raise DatabaseUnusable(f"cannot create {path}: {error.strerror}; choose another place with --db") from error


def restrict_permissions(path: Path) -> None:
    """Remove the permissions of other users from the wallet file and its companions.

    Raise DatabaseUnusable if this user may not. The caller owns the wallet file.
    """
    for file in _list_files(path):
        try:
            mode = file.stat().st_mode
            if S_ISREG(mode) and mode & (S_IRWXG | S_IRWXO):
                file.chmod(S_IMODE(mode) & ~(S_IRWXG | S_IRWXO))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DatabaseUnusable(
                f"other users can read or change {file}, and you cannot correct that ({error.strerror});"
                f" run as its owner: chmod 600 {file}"
            ) from error
