"""Which SQLite will do, and which needs care."""

MIN_VERSION = (3, 38)
"""It knows what is asked of it."""

RESET_BUG_SINCE, RESET_BUG_UNTIL = (3, 7, 0), (3, 51, 3)

BACKPORTS = {(3, 44): 6, (3, 50): 7}
"""The releases of older series from which on the bug is gone, too."""


def is_too_old(sqlite_version: str) -> bool:
    return _parse_version(sqlite_version) < MIN_VERSION


def has_wal_reset_bug(sqlite_version: str) -> bool:
    """Whether this SQLite may lose commits where two connections write or checkpoint at once."""
    version = _parse_version(sqlite_version)
    if not RESET_BUG_SINCE <= version < RESET_BUG_UNTIL:
        return False
    fixed_in_patch = BACKPORTS.get((version[0], version[1]))
    return fixed_in_patch is None or version[2] < fixed_in_patch


def _parse_version(sqlite_version: str) -> tuple[int, ...]:
    return tuple(map(int, sqlite_version.split(".")))
