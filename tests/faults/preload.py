"""Processes whose writes fail when they are told to: a small library goes before C's and obeys a file in memory.

`failing.c` is the library; a C compiler makes it. One order holds for all processes of this one, for one wallet file.
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
CALLS = {WRITE: "write", SYNC: "sync", TRUNCATE: "truncation"}

FILE, WAL, JOURNAL, SHM, OWNER = 1, 2, 4, 8, 16
PARTS = {FILE: "the file", WAL: "its log", JOURNAL: "its journal", SHM: "its index", OWNER: "its side file"}
DATABASE = FILE | WAL | JOURNAL | SHM


class Failure(NamedTuple):
    """What fails, and how. A short write does half of its work, and then its second half fails."""

    words: str
    calls: int
    error: int
    parts: int = DATABASE | OWNER
    is_short: bool = False
    is_for_ever: bool = False

    @property
    def for_ever(self) -> "Failure":
        return self._replace(words=f"{self.words} for ever", is_for_ever=True)


ONCE = (
    Failure("write EIO", WRITE, errno.EIO),
    Failure("write ENOSPC", WRITE, errno.ENOSPC),
    Failure("short write, ENOSPC", WRITE, errno.ENOSPC, is_short=True),
    Failure("short write, EIO", WRITE, errno.EIO, is_short=True),
    Failure("sync EIO", SYNC, errno.EIO),
    Failure("sync ENOSPC", SYNC, errno.ENOSPC),
    Failure("truncation EIO", TRUNCATE, errno.EIO),
    Failure("any call EIO", WRITE | SYNC | TRUNCATE, errno.EIO),
)
FAILURES = (*ONCE, *(each.for_ever for each in ONCE))


class Order(ctypes.Structure):
    """What is to fail, and what has: `struct order` of the library."""

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
    """`settings` are those of a process that obeys."""

    def __init__(self, folder: Path) -> None:
        library, order = folder / "failing.so", folder / "order"
        subprocess.run([_compiler(), "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
        order.write_bytes(bytes(ctypes.sizeof(Order)))
        self.settings = {"LD_PRELOAD": str(library), "FAILING": str(order)}
        with order.open("r+b") as opened:
            self._order = Order.from_buffer(mmap.mmap(opened.fileno(), ctypes.sizeof(Order)))

    def arm(self, file: Path, failure: Failure, nth: int) -> None:
        """From now on the nth such call on the wallet file, or beside it, fails."""
        self.disarm()
        order = self._order
        order.file = os.fsencode(file.resolve())
        order.calls, order.parts, order.error = failure.calls, failure.parts, failure.error
        order.is_short, order.is_for_ever = failure.is_short, failure.is_for_ever
        order.nth, order.seen, order.struck = nth, 0, 0
        order.is_armed = 1

    def disarm(self) -> None:
        self._order.is_armed = 0

    @property
    def struck(self) -> int:
        """How often a call has failed since the last order."""
        return int(self._order.struck)

    @property
    def what(self) -> str:
        """The first call that failed."""
        return f"{CALLS[self._order.struck_call]} of {PARTS[self._order.struck_part]}"


def why_not() -> str:
    """Why writes cannot be made to fail here, or "" if they can."""
    if sys.platform != "linux":
        return "only on Linux a library is put before C's like this"
    return "" if _compiler() else "no C compiler (cc) to make the failing library with"


@cache
def preload() -> Preload:
    """The one of this process."""
    folder = tempfile.TemporaryDirectory(prefix="minwallet-failing-")
    made = Preload(Path(folder.name))
    made.__dict__["_folder"] = folder
    return made


def _compiler() -> str:
    return shutil.which("cc") or ""
