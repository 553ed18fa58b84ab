"""What an operator owes its players: limits of what they deposit and lose, and exclusion until a time.

What protects a player more holds at once: a first limit, a lower one, a longer exclusion. What protects less holds
24 hours after it was asked for. Limits are per account and counted in whole days of UTC, so a week is today and the
six days before.
"""

from enum import StrEnum
from typing import NamedTuple

DAY_MS = 24 * 3600 * 1000

DELAY_MS = DAY_MS
"""How long a change waits that protects less."""


class LimitKind(StrEnum):
    DEPOSIT = "deposit"
    """Cash that is deposited; bonus does not count."""
    LOSS = "loss"
    """Cash that is bet, less what is won and given back."""


class Per(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


DAYS = {Per.DAY: 1, Per.WEEK: 7, Per.MONTH: 30}

LONGEST_DAYS = max(DAYS.values())


class Bound(NamedTuple):
    """What holds, None for nothing; and what holds from `next_at_ms` on, if a change waits."""

    value: int | None = None
    next: int | None = None
    next_at_ms: int | None = None

    def at(self, now_ms: int) -> "Bound":
        """The same at this time, when what waited may hold."""
        return Bound(self.next) if self.next_at_ms is not None and self.next_at_ms <= now_ms else self

    def ask_limit(self, cents: int | None, now_ms: int) -> "Bound":
        """A limit once this is asked for, None for no limit."""
        held = self.at(now_ms)
        is_looser = held.value is not None and (cents is None or cents > held.value)
        return _loosen(held, cents, now_ms) if is_looser else Bound(cents)

    def exclusion_at(self, now_ms: int) -> "Bound":
        """The same for an exclusion, which ends by itself; what waits is always earlier, and then ends with it."""
        held = self.at(now_ms)
        return held if held.value is not None and held.value > now_ms else NOTHING

    def ask_exclusion(self, until_ms: int | None, now_ms: int) -> "Bound":
        """An exclusion once this is asked for, None for none."""
        held = self.exclusion_at(now_ms)
        if held.value is None or (until_ms is not None and until_ms >= held.value):
            return Bound(until_ms)
        ends_before = held.value <= now_ms + DELAY_MS
        return held if ends_before else _loosen(held, until_ms, now_ms)


def _loosen(held: Bound, value: int | None, now_ms: int) -> Bound:
    """With a change that waits; whoever asks for the same again does not wait anew."""
    waits = held.next_at_ms is not None and held.next == value
    return held if waits else Bound(held.value, value, now_ms + DELAY_MS)


NOTHING = Bound()


class Limit(NamedTuple):
    """A limit of an account, in cents."""

    kind: LimitKind
    per: Per
    bound: Bound


class Spent(NamedTuple):
    """What cash an account was given by deposits on a day, and what it lost by playing; `day` counts from 1970."""

    day: int
    deposited: int
    lost: int


class Use(NamedTuple):
    """A limit that holds, and how much of it is used; a loss is negative where more was won."""

    per: Per
    cents: int
    used: int

    @property
    def left(self) -> int:
        return max(self.cents - self.used, 0)


class Guard(NamedTuple):
    """All that protects an account. `spent` has the last 30 days, where there are limits."""

    exclusion: Bound = NOTHING
    limits: tuple[Limit, ...] = ()
    spent: tuple[Spent, ...] = ()

    def excludes(self, now_ms: int) -> bool:
        """Whether the player is excluded at this time."""
        return self.exclusion.exclusion_at(now_ms).value is not None

    def used(self, kind: LimitKind, per: Per, now_ms: int) -> int:
        """What counts against a limit of this kind."""
        before = now_ms // DAY_MS - DAYS[per]
        days = [each for each in self.spent if each.day > before]
        return sum(each.deposited if kind is LimitKind.DEPOSIT else each.lost for each in days)

    def uses(self, kind: LimitKind, now_ms: int) -> list[Use]:
        """The limits of this kind that hold."""
        held = [(each.per, each.bound.at(now_ms).value) for each in self.limits if each.kind is kind]
        return [Use(per, cents, self.used(kind, per, now_ms)) for per, cents in held if cents is not None]

    def allows(self, kind: LimitKind, cents: int, now_ms: int) -> bool:
        """Whether so much more passes no limit; nothing never does."""
        return cents == 0 or all(use.used + cents <= use.cents for use in self.uses(kind, now_ms))

    def first_day(self, kind: LimitKind, cents: int, now_ms: int) -> int | None:
        """The first day after today on which so much is allowed, if nothing happens until then; None for never."""
        today = now_ms // DAY_MS
        days = range(today + 1, today + LONGEST_DAYS + 1)
        return next((day for day in days if self.allows(kind, cents, day * DAY_MS)), None)


FREE = Guard()
"""Of whoever has neither limits nor an exclusion."""
