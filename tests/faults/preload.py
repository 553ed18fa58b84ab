"""Processes whose writes fail on command: a small library is loaded before the C library, and reads its orders from
shared memory.

`failing.c` is the library, which requires a C compiler. One order applies to all child processes of this one, for
one wallet file.
"""

import ctypes
import errno
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_name("failing.c")

WRITE, SYNC, TRUNCATE = 1, 2, 4
CALL_NAMES = {WRITE: "write", SYNC: "sync", TRUNCATE: "truncation"}

FILE, WAL, JOURNAL, SHM, LOCK_FILE = 1, 2, 4, 8, 16
FILE_NAMES = {FILE: "the file", WAL: "its log", JOURNAL: "its journal", SHM: "its index", LOCK_FILE: "its lock file"}
DATABASE = FILE | WAL | JOURNAL | SHM


class IoFailure(NamedTuple):
    """The call that fails, and how. A short write writes its first half, and then its second half fails."""

    description: str
    calls: int
    error: int
    parts: int = DATABASE | LOCK_FILE
    is_short: bool = False
    is_permanent: bool = False

    @property
    def as_permanent(self) -> "IoFailure":
        return self._replace(description=f"{self.description} permanently", is_permanent=True)


SINGLE_FAILURES = (
    IoFailure("write EIO", WRITE, errno.EIO),
    IoFailure("write ENOSPC", WRITE, errno.ENOSPC),
    IoFailure("short write, ENOSPC", WRITE, errno.ENOSPC, is_short=True),
    IoFailure("short write, EIO", WRITE, errno.EIO, is_short=True),
    IoFailure("sync EIO", SYNC, errno.EIO),
    IoFailure("sync ENOSPC", SYNC, errno.ENOSPC),
    IoFailure("truncation EIO", TRUNCATE, errno.EIO),
    IoFailure("any call EIO", WRITE | SYNC | TRUNCATE, errno.EIO),
)
FAILURES = (*SINGLE_FAILURES, *(each.as_permanent for each in SINGLE_FAILURES))


class FailureOrder(ctypes.Structure):
    """The ordered failure, and the failures so far: `struct order` of the library."""

    _fields_ = (
        ("file", ctypes.c_char * 1024),
        *((name, ctypes.c_int) for name in ("is_armed", "calls", "parts", "error", "is_short", "is_for_ever")),
        ("struck_call", ctypes.c_int),
        ("struck_part", ctypes.c_int),
        ("nth", ctypes.c_long),
        ("seen", ctypes.c_long),
        ("struck", ctypes.c_long),
    )


class Preload:
    """The library and its order. `settings` is the environment of a process that obeys it."""

    def __init__(self, folder: Path) -> None:
        library, order = folder / "failing.so", folder / "order"
        subprocess.run([_find_compiler(), "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
        order.write_bytes(bytes(ctypes.sizeof(FailureOrder)))
        self.settings = {"LD_PRELOAD": str(library), "FAILING": str(order)}
        with order.open("r+b") as opened:
            self._order = FailureOrder.from_buffer(mmap.mmap(opened.fileno(), ctypes.sizeof(FailureOrder)))

    def arm(self, file: Path, failure: IoFailure, nth: int) -> None:
        """Let the nth such call from now on fail, on the wallet file or a companion file."""
        self.disarm()
        order = self._order
        order.file = os.fsencode(file.resolve())
        order.calls, order.parts, order.error = failure.calls, failure.parts, failure.error
        order.is_short, order.is_for_ever = failure.is_short, failure.is_permanent
        order.nth, order.seen, order.struck = nth, 0, 0
        order.is_armed = 1

    def disarm(self) -> None:
        self._order.is_armed = 0

    @property
    def failure_count(self) -> int:
        """Return the number of failed calls since the last order."""
        return int(self._order.struck)

    @property
    def first_failure(self) -> str:
        """Return the first call that failed."""
        return f"{CALL_NAMES[self._order.struck_call]} of {FILE_NAMES[self._order.struck_part]}"


def preload_unavailable_reason() -> str:
    """Return why writes cannot fail on command here, or "" if they can."""
    if sys.platform != "linux":
        return "only on Linux a library is put before C's like this"
    return "" if _find_compiler() else "no C compiler (cc) to make the failing library with"


@cache
def get_preload() -> Preload:
    """Return the library of this process."""
    folder = tempfile.TemporaryDirectory(prefix="minwallet-failing-")
    made = Preload(Path(folder.name))
    made.__dict__["_folder"] = folder
    return made


def _find_compiler() -> str:
    return shutil.which("cc") or ""
