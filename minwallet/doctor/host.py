"""The machine: Python, SQLite, open files, and the clock."""

import platform
import resource
from collections.abc import Iterator
from pathlib import Path

from minwallet.doctor.finding import Finding, fail, ok, warn
from minwallet.operations.timestamps import format_minute
from minwallet.storage.sqlite_versions import MIN_VERSION, has_wal_reset_bug, is_too_old
from minwallet.web.gateway.http_protocol import DESIRED_OPEN_FILES, RESERVED_FILES

EARLIEST_VALID_MS = 1_767_225_600_000
"""2026 began then, and this program was written after it."""

TIMESYNC_DIR = Path("/run/systemd/timesync")


def check_host(sqlite_version: str, now_ms: int) -> Iterator[Finding]:
    yield ok("python", platform.python_version())
    yield check_sqlite(sqlite_version)
    yield check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    yield check_clock(now_ms, TIMESYNC_DIR)


def check_sqlite(version: str) -> Finding:
    if is_too_old(version):
        oldest = ".".join(map(str, MIN_VERSION))
        return fail("sqlite", f"{version}; minwallet needs {oldest} or newer, so use a newer Python")
    if has_wal_reset_bug(version):
        return warn(
            "sqlite",
            f"{version} can lose commits where two programs write to one file, so let nothing but minwallet write to"
            " the wallet file (no sqlite3 shell, no replication tool); mended in 3.51.3, 3.50.7 and 3.44.6",
        )
    return ok("sqlite", version)


def check_open_files(hard_limit: int) -> Finding:
    """`hard_limit` is what the process may ask for at the most."""
    if hard_limit == resource.RLIM_INFINITY or hard_limit >= DESIRED_OPEN_FILES:
        return ok("open files", "as many as connections need")
    return warn(
        "open files",
        f"{hard_limit} at the most, so the server keeps {max(hard_limit - RESERVED_FILES, 0)} connections;"
        f" let it have {DESIRED_OPEN_FILES}"
        " (ulimit -Hn, LimitNOFILE=)",
    )


def check_clock(now_ms: int, timesync: Path) -> Finding:
    """`timesync` is the folder where systemd tells whether the clock has been set by others."""
    if now_ms < EARLIEST_VALID_MS:
        return fail("clock", f"it is {format_minute(now_ms)}, says the clock; set it right before the server starts")
    if timesync.is_dir() and not (timesync / "synchronized").exists():
        return warn("clock", "it has not been set by a time server since the start of the machine; see: timedatectl")
    return ok("clock", format_minute(now_ms))
