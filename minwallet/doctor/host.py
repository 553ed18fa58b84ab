"""Checks of the machine: Python, SQLite, open files and clock."""

import platform
import resource
from collections.abc import Iterator
from pathlib import Path

from minwallet.doctor.diagnosis import Diagnosis, fail, ok, warn
from minwallet.operations.timestamps import format_past_minute
from minwallet.storage.sqlite_versions import MIN_VERSION, has_wal_reset_bug, is_too_old
from minwallet.web.gateway.connection_budget import DESIRED_OPEN_FILES, RESERVED_FILES

EARLIEST_VALID_MS = 1_767_225_600_000
"""The start of 2026, in ms since 1970 UTC. A clock before it is wrong: this program is younger."""

TIMESYNC_DIR = Path("/run/systemd/timesync")


def check_host(sqlite_version: str, now_ms: int) -> Iterator[Diagnosis]:
    yield ok("python", platform.python_version())
    yield check_sqlite(sqlite_version)
    yield check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    yield check_clock(now_ms, TIMESYNC_DIR)


def check_sqlite(version: str) -> Diagnosis:
    if is_too_old(version):
        oldest = ".".join(map(str, MIN_VERSION))
        return fail("sqlite", f"{version} is too old; minwallet needs {oldest} or newer, so use a newer Python")
    if has_wal_reset_bug(version):
        return warn(
            "sqlite",
            f"{version} can lose commits if two programs write to one file; do not write to the wallet file with other"
            " programs (sqlite3 shell, replication tools), or use SQLite 3.51.3, 3.50.7 or 3.44.6",
        )
    return ok("sqlite", version)


def check_open_files(hard_limit: int) -> Diagnosis:
    """Check the hard limit of open files, which limits the number of connections."""
    if hard_limit == resource.RLIM_INFINITY or hard_limit >= DESIRED_OPEN_FILES:
        return ok("open files", "the limit is high enough for all connections")
    return warn(
        "open files",
        f"the limit {hard_limit} allows only {max(hard_limit - RESERVED_FILES, 0)} connections; raise it to"
        f" {DESIRED_OPEN_FILES} (ulimit -Hn, LimitNOFILE=)",
    )


def check_clock(now_ms: int, timesync: Path) -> Diagnosis:
    """Check the clock. `timesync` is systemd's folder with the file `synchronized`, if a time server set the clock."""
    if now_ms < EARLIEST_VALID_MS:
        return fail("clock", f"{format_past_minute(now_ms)} is wrong; set the clock before you start the server")
    if timesync.is_dir() and not (timesync / "synchronized").exists():
        return warn("clock", "not synchronized with a time server since the machine started; check: timedatectl")
    return ok("clock", format_past_minute(now_ms))
