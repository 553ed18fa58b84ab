"""The state of the automatic backups, which the server reports as long as it runs."""

from collections.abc import Callable

OVERDUE_INTERVALS = 2
"""The age of the newest backup, in intervals, from which it is overdue. A restarted server needs time to catch up."""


class BackupStatus:
    """The age of the newest backup, and whether the last attempt to make one failed.

    - `interval_s` is the interval between backups in seconds, or 0 while there are no automatic backups.
    - `newest_s` is the time of the newest backup, in seconds since 1970 UTC, or None if there is none.
    - `has_failed` is True from a failed attempt to the next success.
    """

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self.interval_s = 0
        self.newest_s: int | None = None
        self.has_failed = False
        self._clock_ms = clock_ms
        self._started_s = clock_ms() // 1000

    @property
    def age_s(self) -> int | None:
        """Return the age of the newest backup in seconds, or None without automatic backups.

        Before the first backup, the age is the time since the start. So it grows until a backup succeeds.
        """
        if not self.interval_s:
            return None
        begin_s = self._started_s if self.newest_s is None else self.newest_s
        return max(self._clock_ms() // 1000 - begin_s, 0)

    @property
    def problem(self) -> str:
        """Return that backups fail or are overdue, or "". The log has the cause, which may name a private path."""
        age_s = self.age_s
        if age_s is None or not (self.has_failed or age_s > OVERDUE_INTERVALS * self.interval_s):
            return ""
        state = "fail" if self.has_failed else "are overdue"
        newest = "there is none yet" if self.newest_s is None else f"the newest is {age_s // 60} min old"
        return f"automatic backups {state}: {newest}; the server's log has the cause"
