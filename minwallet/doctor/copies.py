"""The copies that a server makes of its file."""

from collections.abc import Iterator
from pathlib import Path

from minwallet.config import Settings, seconds
from minwallet.doctor.finding import Finding, fail, ok, warn
from minwallet.operations.maintenance import find_backups, parse_backup_time_s

LATE = 2
"""So many times the interval after the last copy something is wrong; a server that was down for a while catches up."""


def look_at_copies(settings: Settings, now_ms: int) -> Iterator[Finding]:
    """Whether there are any, and how old the newest is."""
    folder = settings.backup_to
    if not folder:
        yield warn(
            "copies", "none are made by the server: set MINWALLET_BACKUP_TO, or see that `minwallet backup` runs"
        )
        return
    try:
        copies = find_backups(Path(folder), settings.db.stem, now_ms)
    except OSError as error:
        yield fail("copies", f"cannot look at {folder}: {error.strerror}; see to MINWALLET_BACKUP_TO")
        return
    if not copies:
        yield warn("copies", f"there is none in {folder} yet; a server makes the first when it starts")
    elif (age_s := now_ms // 1000 - parse_backup_time_s(copies[-1])) > LATE * seconds(settings.backup_every):
        yield warn("copies", f"the newest, {copies[-1]}, is {age_s // 60} minutes old; see the server's log")
    else:
        yield ok("copies", f"{len(copies)}, the newest is {copies[-1]}")
