"""How long this disk takes to make a write durable."""

import fcntl
import os
import statistics
import tempfile
import time
from pathlib import Path

COMMIT_BYTES = 4 * (4096 + 24)
"""What a bet alone adds to the write-ahead log: four pages, each with its head."""

MAX_WRITES, MIN_WRITES, MAX_DURATION_S = 300, 20, 2.0


def measure_sync_ms(folder: Path, size: int = COMMIT_BYTES, max_duration_s: float = MAX_DURATION_S) -> float:
    """The median of some hundred synced writes in this folder, one after the other and over space that the file has
    already, as in a write-ahead log that is used again. On a slow disk there are fewer. OSError."""
    content, seconds = os.urandom(size), list[float]()
    with tempfile.TemporaryFile(dir=folder) as file:
        descriptor = file.fileno()
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
    """As the wallet has SQLite do it: on macOS only this reaches the disk, elsewhere the times of the file can wait."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)
