"""Who may read and change the files."""

import os
import pwd
import shlex
from collections.abc import Iterator
from pathlib import Path
from stat import S_IRWXG, S_IRWXO, S_IWGRP, S_IWOTH

from minwallet.config import ENV_FILE, SECRET_SETTINGS, TOML_FILE
from minwallet.doctor.finding import Finding, fail, ok, warn
from minwallet.storage.database_files import COMPANION_SUFFIXES, companion_path
from minwallet.storage.sqlite.connection import find_unfinished_restore
from minwallet.wallet.disk_space import BYTES_PER_MB

LARGE_WAL_MB = 500


def check_files(db: Path) -> Iterator[Finding]:
    """The wallet file and its companions. Nothing is opened, as that would break SQLite's locks."""
    found = [*_find_permission_problems(db)]
    yield from found or [ok("file", f"{db} is for its owner only")]
    yield check_wal_size(_size_mb(companion_path(db, "-wal")))


def _find_permission_problems(db: Path) -> Iterator[Finding]:
    for file in (companion_path(db, companion) for companion in ("", *COMPANION_SUFFIXES)):
        if not file.exists():
            continue
        status = file.stat()
        if status.st_mode & (S_IRWXG | S_IRWXO):
            yield fail("file", f"{file} is open to other users; run: chmod 600 {_quote_path(file)}")
        if status.st_uid != os.geteuid():
            yield warn(
                "file", f"{file} belongs to {_user_name(status.st_uid)}, not to this user; run minwallet as its owner"
            )
        if file == db and (kept := find_unfinished_restore(db)):
            yield fail("file", f"a restore of {db} was not finished; do it again, with the same copy, and keep {kept}")
        elif status.st_nlink > 1 and file.is_file():
            yield fail(
                "file",
                f"{file} has a second name (a hard link), and changes made under one would be lost under the other;"
                " remove the other name",
            )
    folder = db.absolute().parent
    if folder.stat().st_mode & (S_IWGRP | S_IWOTH):
        yield warn("file", f"others may put files into {folder}; run: chmod go-w {_quote_path(folder)}")


def check_wal_size(size_mb: int) -> Finding:
    """The write-ahead log gives its space back, unless somebody has kept reading all the time."""
    if size_mb > LARGE_WAL_MB:
        return warn(
            "log",
            f"the write-ahead log has grown to {size_mb} MB; end what reads the file for long, restart the server",
        )
    return ok("log", f"{size_mb} MB of write-ahead log")


def check_settings_files() -> Iterator[Finding]:
    """Those of the folder where the command runs."""
    for file in (Path(ENV_FILE), Path(TOML_FILE)):
        if file.is_file() and file.stat().st_mode & (S_IRWXG | S_IRWXO) and _has_secret(file):
            yield warn(
                "settings", f"{file} has a secret and is open to other users; run: chmod 600 {_quote_path(file)}"
            )


def _has_secret(file: Path) -> bool:
    text = file.read_text("utf-8").lower()
    return any(name in text for name in SECRET_SETTINGS)


def _quote_path(file: Path) -> str:
    return shlex.quote(str(file))


def _size_mb(file: Path) -> int:
    return file.stat().st_size // BYTES_PER_MB if file.exists() else 0


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
