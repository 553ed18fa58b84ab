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

Make = Callable[[Path, Callable[[int, int], None]], None]
"""Makes the copy with this name; told how far it is, a listener that raises ends it."""

AT = "%Y%m%dT%H%M%SZ"

MOMENT = r"\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3])[0-5]\d[0-5]\dZ"
"""What AT makes of a moment."""

AUTO = "auto-"
"""What tells a server's own copies from those that people make, which are left alone."""

AGAIN_S = 60
"""When a copy that failed is tried again, if not earlier."""


class _Stopped(Exception):
    """Nobody wants the copy any more."""


def name_copy(stem: str, now_ms: int, word: str = "") -> str:
    """What a copy is called: names in order of time, in UTC."""
    return f"{stem}-{word}{time.strftime(AT, time.gmtime(now_ms // 1000))}.db"


async def keep_backing_up(
    make: Make, folder: Path, stem: str, *, every_s: int, keep: int, clock_ms: Callable[[], int]
) -> None:
    """For ever: when the newest copy is so old, make another, and remove those beyond the newest `keep`."""
    while True:
        try:
            copies = await asyncio.to_thread(find_copies, folder, stem, clock_ms())
            age_s = clock_ms() // 1000 - made_at_s(copies[-1]) if copies else every_s
            if 0 <= age_s < every_s:
                await asyncio.sleep(every_s - age_s)
                continue
            await asyncio.to_thread(_remove_parts, folder, stem)
            await _make(make, folder / name_copy(stem, clock_ms(), AUTO))
            await asyncio.to_thread(_remove_old, folder, stem, keep, clock_ms())
        except (StoreError, OSError) as fault:
            logger.error("the backup failed: %s", fault)
            await asyncio.sleep(min(every_s, AGAIN_S))


async def _make(make: Make, copy: Path) -> None:
    stopped = threading.Event()

    def tell(done: int, total: int) -> None:
        del done, total
        if stopped.is_set():
            raise _Stopped

    try:
        await asyncio.to_thread(make, copy, tell)
    finally:
        stopped.set()


def find_copies(folder: Path, stem: str, now_ms: int) -> list[Path]:
    """The copies that a server made, the oldest first. What has another name, or one of the future, is no such copy."""
    newest = folder / name_copy(stem, now_ms, AUTO)
    named = re.compile(rf"{re.escape(stem)}-{AUTO}{MOMENT}\.db")
    return sorted(each for each in folder.iterdir() if named.fullmatch(each.name) and each <= newest and each.is_file())


def made_at_s(copy: Path) -> int:
    """When the copy was made, in seconds since 1970, as its name has it."""
    at = copy.stem[-16:]
    return timegm((int(at[:4]), int(at[4:6]), int(at[6:8]), int(at[9:11]), int(at[11:13]), int(at[13:15])))


def _remove_parts(folder: Path, stem: str) -> None:
    """What a server that was killed has left of a copy, and nobody else makes."""
    for part in temp_files(folder, f"{stem}-{AUTO}"):
        part.unlink(missing_ok=True)


def _remove_old(folder: Path, stem: str, keep: int, now_ms: int) -> None:
    for copy in find_copies(folder, stem, now_ms)[:-keep]:
        copy.unlink(missing_ok=True)
