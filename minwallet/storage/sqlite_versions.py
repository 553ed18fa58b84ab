"""The supported SQLite versions, and the versions with the WAL-reset bug."""

MIN_VERSION = (3, 38)
"""The first version with the operators and functions that the engine uses, such as `->>`."""

RESET_BUG_SINCE, RESET_BUG_UNTIL = (3, 7, 0), (3, 51, 3)
"""The first version with the bug, and the first one without it."""

BACKPORTS = {(3, 44): 6, (3, 50): 7}
"""The first patch release with the fix, by older release series."""


def is_too_old(sqlite_version: str) -> bool:
    return _parse_version(sqlite_version) < MIN_VERSION


def has_wal_reset_bug(sqlite_version: str) -> bool:
    """Return True if this SQLite may lose commits when two connections write or checkpoint at the same time.

    The engine is not affected: it writes and checkpoints on one connection. Other programs that open the file may be.
    """
    version = _parse_version(sqlite_version)
    if not RESET_BUG_SINCE <= version < RESET_BUG_UNTIL:
        return False
    fixed_in_patch = BACKPORTS.get((version[0], version[1]))
    return fixed_in_patch is None or version[2] < fixed_in_patch


def _parse_version(sqlite_version: str) -> tuple[int, ...]:
    return tuple(map(int, sqlite_version.split(".")))
