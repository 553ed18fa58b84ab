"""The measurement of synced writes on this disk."""

import fcntl
import os
import statistics
import tempfile
import time
from pathlib import Path

COMMIT_BYTES = 4 * (4096 + 24)
"""The bytes that the commit of one bet adds to the write-ahead log: four pages, each with a frame header."""

MAX_WRITES, MIN_WRITES, MAX_DURATION_S = 300, 20, 2.0
"""The limits of the measurement. A slow disk gets fewer writes, but at least `MIN_WRITES`."""


def measure_sync_ms(folder: Path, size: int = COMMIT_BYTES, max_duration_s: float = MAX_DURATION_S) -> float:
    """Return the median duration of sequential synced writes in this folder, in ms.

    Raise OSError if the folder cannot be written.
    """
    content, seconds = os.urandom(size), list[float]()
    with tempfile.TemporaryFile(dir=folder) as file:
        descriptor = file.fileno()
        # SQLite overwrites its write-ahead log after a checkpoint. So the file gets its space first: a write that
        # extends a file also changes its metadata, which takes longer.
        for number in range(MAX_WRITES):
            os.pwrite(descriptor, content, number * size)
        os.fsync(descriptor)
        began = time.perf_counter()
        for number in range(MAX_WRITES):
            started = time.perf_counter()
            os.pwrite(descriptor, content, number * size)
            _sync_to_disk(descriptor)
            ended = time.perf_counter()
            seconds.append(ended - started)
            if ended - began > max_duration_s and number + 1 >= MIN_WRITES:
                break
    return statistics.median(seconds) * 1000


def _sync_to_disk(descriptor: int) -> None:
    """Sync the file as SQLite does for the wallet."""
    # On macOS, fsync only reaches the drive's cache. Elsewhere fdatasync suffices: it omits the file's timestamps.
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)
