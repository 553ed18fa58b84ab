"""While it is served, the wallet file is copied from time to time, and the newest copies are kept."""

import asyncio
import logging
import re
import threading
import time
from calendar import timegm
from collections.abc import Callable
from pathlib import Path

from minwallet.storage.base import StoreFault

logger = logging.getLogger("minwallet")

Make = Callable[[Path, Callable[[int, int], None]], None]
"""Makes the copy with this name; told how far it is, a listener that raises ends it."""

AT = "%Y%m%dT%H%M%SZ"

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
            copies = await asyncio.to_thread(find_copies, folder, stem)
            age_s = clock_ms() // 1000 - made_at_s(copies[-1]) if copies else every_s
            if 0 <= age_s < every_s:
                await asyncio.sleep(every_s - age_s)
                continue
            await _make(make, folder / name_copy(stem, clock_ms()))
            await asyncio.to_thread(_remove_old, folder, stem, keep)
        except (StoreFault, OSError) as fault:
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


def find_copies(folder: Path, stem: str) -> list[Path]:
    """The copies that are there, the oldest first; what has another name is somebody else's."""
    return sorted(
        each for each in folder.iterdir() if re.fullmatch(rf"{re.escape(stem)}-\d{{8}}T\d{{6}}Z\.db", each.name)
    )


def made_at_s(copy: Path) -> int:
    """When the copy was made, in seconds since 1970, as its name has it."""
    return timegm(time.strptime(copy.stem[-16:], AT))


def _remove_old(folder: Path, stem: str, keep: int) -> None:
    for copy in find_copies(folder, stem)[:-keep]:
        copy.unlink(missing_ok=True)
