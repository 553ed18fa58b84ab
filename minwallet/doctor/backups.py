"""The copies that a server makes of its file."""

from collections.abc import Iterator
from pathlib import Path

from minwallet.config import Settings, parse_duration
from minwallet.doctor.finding import Finding, fail, ok, warn
from minwallet.operations.maintenance import find_backups, parse_backup_time_s

OVERDUE_INTERVALS = 2
"""So many times the interval after the last copy something is wrong; a server that was down for a while catches up."""


def check_backups(settings: Settings, now_ms: int) -> Iterator[Finding]:
    """Whether there are any, and how old the newest is."""
    folder = settings.backup_to
    if not folder:
        yield warn(
            "copies", "none are made by the server: set MINWALLET_BACKUP_TO, or see that `minwallet backup` runs"
        )
        return
    try:
        backups = find_backups(Path(folder), settings.db.stem, now_ms)
    except OSError as error:
        yield fail("copies", f"cannot look at {folder}: {error.strerror}; see to MINWALLET_BACKUP_TO")
        return
    if not backups:
        yield warn("copies", f"there is none in {folder} yet; a server makes the first when it starts")
    elif (age_s := now_ms // 1000 - parse_backup_time_s(backups[-1])) > OVERDUE_INTERVALS * parse_duration(
        settings.backup_every
    ):
        yield warn("copies", f"the newest, {backups[-1]}, is {age_s // 60} minutes old; see the server's log")
    else:
        yield ok("copies", f"{len(backups)}, the newest is {backups[-1]}")
