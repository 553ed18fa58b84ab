"""While it is served, the wallet file is copied from time to time, and the newest copies are kept."""

import asyncio
import logging
import re
import threading
import time
from calendar import timegm
from collections.abc import Callable
from pathlib import Path

from minwallet.storage.database_files import temp_files
from minwallet.storage.errors import StoreError

logger = logging.getLogger("minwallet")

MakeBackup = Callable[[Path, Callable[[int, int], None]], None]
"""Makes the copy with this name; told how far it is, a listener that raises ends it."""

FILE_TIME_FORMAT = "%Y%m%dT%H%M%SZ"

FILE_TIME_PATTERN = r"\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3])[0-5]\d[0-5]\dZ"
"""What AT makes of a moment."""

AUTO_PREFIX = "auto-"
"""What tells a server's own copies from those that people make, which are left alone."""

RETRY_INTERVAL_S = 60
"""When a copy that failed is tried again, if not earlier."""


class _BackupCancelled(Exception):
    """Nobody wants the copy any more."""


def format_backup_name(stem: str, now_ms: int, label: str = "") -> str:
    """What a copy is called: names in order of time, in UTC."""
    return f"{stem}-{label}{time.strftime(FILE_TIME_FORMAT, time.gmtime(now_ms // 1000))}.db"


async def run_backups(
    make_backup: MakeBackup, folder: Path, stem: str, *, interval_s: int, keep: int, clock_ms: Callable[[], int]
) -> None:
    """For ever: when the newest copy is so old, make another, and remove those beyond the newest `keep`."""
    while True:
        try:
            backups = await asyncio.to_thread(find_backups, folder, stem, clock_ms())
            age_s = clock_ms() // 1000 - parse_backup_time_s(backups[-1]) if backups else interval_s
            if 0 <= age_s < interval_s:
                await asyncio.sleep(interval_s - age_s)
                continue
            await asyncio.to_thread(_remove_temp_files, folder, stem)
            await _make_backup(make_backup, folder / format_backup_name(stem, clock_ms(), AUTO_PREFIX))
            await asyncio.to_thread(_remove_old_backups, folder, stem, keep, clock_ms())
        except (StoreError, OSError) as fault:
            logger.error("the backup failed: %s", fault)
            await asyncio.sleep(min(interval_s, RETRY_INTERVAL_S))


async def _make_backup(make_backup: MakeBackup, path: Path) -> None:
    stopped = threading.Event()

    def report_progress(done: int, total: int) -> None:
        del done, total
        if stopped.is_set():
            raise _BackupCancelled

    try:
        await asyncio.to_thread(make_backup, path, report_progress)
    finally:
        stopped.set()


def find_backups(folder: Path, stem: str, now_ms: int) -> list[Path]:
    """The copies that a server made, the oldest first. What has another name, or one of the future, is no such copy."""
    newest = folder / format_backup_name(stem, now_ms, AUTO_PREFIX)
    pattern = re.compile(rf"{re.escape(stem)}-{AUTO_PREFIX}{FILE_TIME_PATTERN}\.db")
    return sorted(
        path for path in folder.iterdir() if pattern.fullmatch(path.name) and path <= newest and path.is_file()
    )


def parse_backup_time_s(path: Path) -> int:
    """When the copy was made, in seconds since 1970, as its name has it."""
    timestamp = path.stem[-16:]
    return timegm(
        (
            int(timestamp[:4]),
            int(timestamp[4:6]),
            int(timestamp[6:8]),
            int(timestamp[9:11]),
            int(timestamp[11:13]),
            int(timestamp[13:15]),
        )
    )


def _remove_temp_files(folder: Path, stem: str) -> None:
    """What a server that was killed has left of a copy, and nobody else makes."""
    for path in temp_files(folder, f"{stem}-{AUTO_PREFIX}"):
        path.unlink(missing_ok=True)


def _remove_old_backups(folder: Path, stem: str, keep: int, now_ms: int) -> None:
    for path in find_backups(folder, stem, now_ms)[:-keep]:
        path.unlink(missing_ok=True)
