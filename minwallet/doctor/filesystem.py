"""The place of the wallet file: its folder, the file system, how quickly it syncs, and how much room there is."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR

from minwallet.bench.disk import measure_sync_ms
from minwallet.config import Settings
from minwallet.doctor.finding import Finding, fail, ok, warn
from minwallet.storage.sqlite.connection import NETWORK_FILE_SYSTEMS, detect_file_system
from minwallet.wallet.disk_space import BYTES_PER_MB

VOLATILE_FILE_SYSTEMS = {
    "tmpfs": "is in memory: the money is gone with the power",
    "ramfs": "is in memory: the money is gone with the power",
    "overlay": "is a container's own: the money is gone with the container",
}
"""The kinds of file systems that do not last, and what that means."""

SYNC_PROBE_S = 0.3

SLOW_SYNC_MS, IMPLAUSIBLE_SYNC_MS = 10, 0.05


def check_disk(settings: Settings) -> Iterator[Finding]:
    folder = settings.db.parent
    yield check_file_system(detect_file_system(folder))
    yield check_free_space(shutil.disk_usage(folder).free // BYTES_PER_MB, settings.min_free_mb)
    yield check_sync(folder)


def find_unusable_path(db: Path) -> Finding | None:
    """What is wrong with the path, where nothing there can be looked at."""
    folder = db.parent
    if not os.access(folder, os.F_OK):
        return fail("folder", f"{folder} does not exist or may not be seen; create it, or choose another with --db")
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return fail("folder", f"this user cannot write in {folder}; choose another with --db, or let it be theirs")
    try:
        is_folder = S_ISDIR(db.stat().st_mode)
    except FileNotFoundError:
        return None
    except OSError as error:
        return fail("wallet", f"cannot look at {db}: {error.strerror}; choose another with --db")
    if is_folder:
        return fail("wallet", f"{db} is a folder; name a file in it with --db, such as {db / 'minwallet.db'}")
    return None


def check_file_system(kind: str) -> Finding:
    """`kind` as the system calls it, "" where it does not tell."""
    if kind in NETWORK_FILE_SYSTEMS:
        return fail("file system", f"{kind} is a network file system, where SQLite can lose money; use a local disk")
    if kind in VOLATILE_FILE_SYSTEMS:
        return warn("file system", f"{kind} {VOLATILE_FILE_SYSTEMS[kind]}; use a disk that lasts")
    return ok("file system", kind or "of a kind that this system does not tell")


def check_free_space(free_mb: int, min_free_mb: int) -> Finding:
    if free_mb < min_free_mb:
        return fail(
            "free space",
            f"{free_mb} MB, and MINWALLET_MIN_FREE_MB wants {min_free_mb}: bets are not taken until there is more room",
        )
    if free_mb < 3 * min_free_mb:
        return warn("free space", f"{free_mb} MB; from {min_free_mb} on new bets are not taken, so make room in time")
    return ok("free space", f"{free_mb} MB")


def check_sync(folder: Path) -> Finding:
    """How long a bet's write takes to be durable, measured on a file without a name."""
    try:
        ms = measure_sync_ms(folder, max_duration_s=SYNC_PROBE_S)
    except OSError as error:
        return fail("sync", f"cannot write in {folder}: {error.strerror}; see to the disk and its free space")
    if ms > SLOW_SYNC_MS:
        return warn("sync", f"a synced write takes {ms:.1f} ms, and each bet waits for one; use a quicker disk")
    if ms < IMPLAUSIBLE_SYNC_MS:
        return ok("sync", f"a synced write takes {ms:.3f} ms, as it does in memory; see that the disk does sync")
    return ok("sync", f"a synced write takes {ms:.2f} ms")
