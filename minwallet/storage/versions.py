"""Which SQLite will do, and which needs care."""

OLDEST = (3, 38)
"""It knows what is asked of it."""

RESET_BUG_SINCE, RESET_BUG_UNTIL = (3, 7, 0), (3, 51, 3)

BACKPORTS = {(3, 44): 6, (3, 50): 7}
"""The releases of older series from which on the bug is gone, too."""


def is_too_old(sqlite_version: str) -> bool:
    return _numbers(sqlite_version) < OLDEST


def has_reset_bug(sqlite_version: str) -> bool:
    """Whether this SQLite may lose commits where two connections write or checkpoint at once."""
    number = _numbers(sqlite_version)
    if not RESET_BUG_SINCE <= number < RESET_BUG_UNTIL:
        return False
    mended = BACKPORTS.get((number[0], number[1]))
    return mended is None or number[2] < mended


def _numbers(sqlite_version: str) -> tuple[int, ...]:
    return tuple(map(int, sqlite_version.split(".")))
