"""Checks of the wallet file's place: folder, file system, free space and sync time."""

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR

from minwallet.bench.disk import measure_sync_ms
from minwallet.config import Settings
from minwallet.doctor.diagnosis import Diagnosis, fail, ok, warn
from minwallet.storage.database_files import advise_on_owner, has_access, is_visible
from minwallet.storage.mounts import detect_file_system
from minwallet.storage.sqlite.path_checks import NETWORK_FILE_SYSTEMS
from minwallet.wallet.disk_space import BYTES_PER_MB

VOLATILE_FILE_SYSTEMS = {
    "tmpfs": "is in memory, so a power failure deletes all data",
    "ramfs": "is in memory, so a power failure deletes all data",
    "overlay": "belongs to a container, and is deleted with it",
}
"""The file systems that are not durable, and the reason of each."""

SYNC_PROBE_S = 0.3

SLOW_SYNC_MS, IMPLAUSIBLE_SYNC_MS = 10, 0.05


def check_disk(settings: Settings) -> Iterator[Diagnosis]:
    folder = settings.db.parent
    yield check_file_system(detect_file_system(folder))
    yield check_free_space(shutil.disk_usage(folder).free // BYTES_PER_MB, settings.min_free_mb)
    yield check_sync(folder) if has_access(folder, os.W_OK) else _warn_unwritable(folder)


def find_unusable_path(db: Path) -> Diagnosis | None:
    """Return a failure if nothing at the path can be checked, otherwise None."""
    folder = db.parent
    if not has_access(folder, os.F_OK):
        return fail("folder", f"{folder} does not exist or is not accessible; create it, or choose another with --db")
    if not folder.is_dir() or not has_access(folder, os.R_OK | os.X_OK):
        return fail("folder", f"you cannot read {folder}; {advise_on_owner(folder)}, or choose another with --db")
    if not has_access(folder, os.W_OK) and not is_visible(db):
        return fail(
            "folder", f"you cannot write in {folder}; {_advise_on_writing(folder)}, or choose another with --db"
        )
    try:
        is_folder = S_ISDIR(db.stat().st_mode)
    except FileNotFoundError:
        return None
    except OSError as error:
        return fail("wallet", f"cannot read {db}: {error.strerror}; choose another with --db")
    if is_folder:
        return fail("wallet", f"{db} is a folder; name a file in it with --db, such as {db / 'minwallet.db'}")
    return None


def _advise_on_writing(folder: Path) -> str:
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return "mount its file system writable"
    if folder.stat().st_uid == os.geteuid():
        return f"run: chmod u+w {shlex.quote(str(folder))}"
    return advise_on_owner(folder)


def _warn_unwritable(folder: Path) -> Diagnosis:
    return warn(
        "folder",
        f"you cannot write in {folder}, so this user can only read the wallet; to change it,"
        f" {_advise_on_writing(folder)}",
    )


def check_file_system(kind: str) -> Diagnosis:
    """Check the kind of the file system, by the system's name for it, or "" if unknown."""
    if kind in NETWORK_FILE_SYSTEMS:
        return fail("file system", f"{kind} is a network file system, on which SQLite can lose data; use a local disk")
    if kind in VOLATILE_FILE_SYSTEMS:
        return warn("file system", f"{kind} {VOLATILE_FILE_SYSTEMS[kind]}; use a durable disk")
    return ok("file system", kind or "unknown; the system does not report its kind")


def check_free_space(free_mb: int, min_free_mb: int) -> Diagnosis:
    if free_mb < min_free_mb:
        return fail(
            "free space",
            f"{free_mb} MB, below MINWALLET_MIN_FREE_MB={min_free_mb}, so the server refuses new bets; free some space",
        )
    if free_mb < 3 * min_free_mb:
        return warn("free space", f"{free_mb} MB; below {min_free_mb} MB the server refuses new bets; free some space")
    return ok("free space", f"{free_mb} MB")


def check_sync(folder: Path) -> Diagnosis:
    """Check the time of a synced write, which every bet waits for. Measure it with a file without a name."""
    try:
        ms = measure_sync_ms(folder, max_duration_s=SYNC_PROBE_S)
    except OSError as error:
        return fail("sync", f"cannot write in {folder}: {error.strerror}; check the disk and its free space")
    if ms > SLOW_SYNC_MS:
        return warn("sync", f"a synced write takes {ms:.1f} ms, and each bet waits for one; use a faster disk")
    if ms < IMPLAUSIBLE_SYNC_MS:
        return ok("sync", f"a synced write takes {ms:.3f} ms, as fast as memory; check that the disk really syncs")
    return ok("sync", f"a synced write takes {ms:.2f} ms")
