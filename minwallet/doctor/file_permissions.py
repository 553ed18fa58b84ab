"""Checks of owner, permissions and size of the wallet's files."""

import os
import pwd
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from stat import S_IRWXG, S_IRWXO, S_IWGRP, S_IWOTH, S_IWUSR

from minwallet.config import SECRET_SETTINGS
from minwallet.doctor.diagnosis import Diagnosis, fail, ok, warn
from minwallet.doctor.service_units import find_units
from minwallet.storage.database_files import COMPANION_SUFFIXES, companion_path, user_name
from minwallet.storage.sqlite.path_checks import find_unfinished_restore
from minwallet.wallet.disk_space import BYTES_PER_MB

LARGE_WAL_MB = 500


def check_files(db: Path) -> Iterator[Diagnosis]:
    """Check the wallet file and its companions without opening them.

    Closing any descriptor of a file would release the POSIX locks that SQLite holds on it in this process.
    """
    found = [*_find_permission_problems(db)]
    yield from found or [ok("file", f"only its owner can read {db}")]
    yield check_wal_size(_size_mb(companion_path(db, "-wal")))


def _find_permission_problems(db: Path) -> Iterator[Diagnosis]:
    files = [companion_path(db, companion) for companion in ("", *COMPANION_SUFFIXES)]
    for file in files:
        if not file.exists():
            continue
        status = file.stat()
        if status.st_mode & (S_IRWXG | S_IRWXO):
            yield fail("file", f"other users can read or change {file}; run: chmod 600 {quote_path(file)}")
        if file == db and (kept := find_unfinished_restore(db)):
            yield fail(
                "file", f"a restore of {db} was interrupted; repeat it with the same backup, and do not remove {kept}"
            )
        elif status.st_nlink > 1 and file.is_file():
            yield fail(
                "file",
                f"{file} has a second name (a hard link), and changes under one name would be lost under the other;"
                " remove the other name",
            )
    yield from _find_owner_problems(db, [file for file in files[1:] if file.exists()])
    folder = db.absolute().parent
    if folder.stat().st_mode & (S_IWGRP | S_IWOTH):
        yield warn("file", f"other users can write in the folder {folder}; run: chmod go-w {quote_path(folder)}")


def _find_owner_problems(db: Path, companions: Sequence[Path]) -> Iterator[Diagnosis]:
    """Yield the owners that differ. A service that runs as the wallet file's owner must be able to write everything."""
    uid, folder = db.stat().st_uid, db.absolute().parent
    owner = user_name(uid)
    if uid != os.geteuid():
        yield warn("file", f"{db} belongs to user {owner}; run minwallet as this user: sudo -u {owner} minwallet …")
    for file in companions:
        if (other := file.stat().st_uid) != uid:
            yield fail(
                "file",
                f"{file} belongs to user {user_name(other)}, but the wallet file to {owner}, who cannot use it;"
                f" run: sudo chown --reference={quote_path(db)} {quote_path(file)}",
            )
    if folder.stat().st_uid == uid and not can_write(uid, folder.stat()):
        yield fail("file", f"the owner of {folder} cannot write in it; run: chmod u+w {quote_path(folder)}")
    elif not can_write(uid, folder.stat()):
        yield fail(
            "file",
            f"the folder {folder} belongs to user {user_name(folder.stat().st_uid)}, but the wallet file to {owner},"
            f" who cannot write in it; run: sudo chown {owner} {quote_path(folder)}",
        )
    for unit in find_units(db):
        if unit.user != owner:
            yield fail(
                "file",
                f"{unit.file} runs minwallet as user {unit.user}, but {db} belongs to {owner};"
                f" set User={owner} in the unit, or run: sudo chown -R {unit.user} {quote_path(folder)}",
            )


def can_write(uid: int, folder: os.stat_result) -> bool:
    """Return True if this user may create files in the folder."""
    if uid == 0 or folder.st_mode & S_IWOTH:
        return True
    if uid == folder.st_uid:
        return bool(folder.st_mode & S_IWUSR)
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return False
    return bool(folder.st_mode & S_IWGRP) and folder.st_gid in os.getgrouplist(account.pw_name, account.pw_gid)


def check_wal_size(size_mb: int) -> Diagnosis:
    """Check the size of the write-ahead log. It stays small, unless one reader keeps a transaction open."""
    if size_mb > LARGE_WAL_MB:
        return warn(
            "log",
            f"the write-ahead log has {size_mb} MB; stop programs that read the file for long, and restart the server",
        )
    return ok("log", f"the write-ahead log has {size_mb} MB")


def check_settings_files(files: Iterable[Path]) -> Iterator[Diagnosis]:
    """Yield a warning for each settings file with a secret that other users can read."""
    for file in files:
        if file.is_file() and file.stat().st_mode & (S_IRWXG | S_IRWXO) and _has_secret(file):
            yield warn(
                "settings", f"other users can read {file}, which has a secret; run: chmod 600 {quote_path(file)}"
            )


def _has_secret(file: Path) -> bool:
    text = file.read_text("utf-8").lower()
    return any(name in text for name in SECRET_SETTINGS)


def quote_path(file: Path) -> str:
    return shlex.quote(str(file))


def _size_mb(file: Path) -> int:
    return file.stat().st_size // BYTES_PER_MB if file.exists() else 0
