"""What an operator owes its players: limits of what they deposit and lose, and exclusion until a time.

What protects a player more holds at once: a first limit, a lower one, a longer exclusion. What protects less holds
24 hours after it was asked for. Limits are per account and counted in whole days of UTC, so a week is today and the
six days before.
"""

from enum import StrEnum
from typing import NamedTuple

from minwallet.ledger.time_units import DAY_MS

COOLING_OFF_MS = DAY_MS
"""How long a change waits that protects less."""


class LimitKind(StrEnum):
    DEPOSIT = "deposit"
    """Cash that is deposited; bonus does not count."""
    LOSS = "loss"
    """Cash that is bet, less what is won and given back."""


class LimitPeriod(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


PERIOD_DAYS = {LimitPeriod.DAY: 1, LimitPeriod.WEEK: 7, LimitPeriod.MONTH: 30}

MAX_PERIOD_DAYS = max(PERIOD_DAYS.values())


class EffectiveValue(NamedTuple):
    """What holds, None for nothing; and what holds from `next_at_ms` on, if a change waits."""

    value: int | None = None
    next: int | None = None
    next_at_ms: int | None = None

    def resolve(self, now_ms: int) -> "EffectiveValue":
        """The same at this time, when what waited may hold."""
        return EffectiveValue(self.next) if self.next_at_ms is not None and self.next_at_ms <= now_ms else self

    def request_limit(self, cents: int | None, now_ms: int) -> "EffectiveValue":
        """A limit once this is asked for, None for no limit."""
        current = self.resolve(now_ms)
        is_looser = current.value is not None and (cents is None or cents > current.value)
        return _schedule(current, cents, now_ms) if is_looser else EffectiveValue(cents)

    def resolve_exclusion(self, now_ms: int) -> "EffectiveValue":
        """The same for an exclusion, which ends by itself; what waits is always earlier, and then ends with it."""
        current = self.resolve(now_ms)
        return current if current.value is not None and current.value > now_ms else UNSET

    def request_exclusion(self, until_ms: int | None, now_ms: int) -> "EffectiveValue":
        """An exclusion once this is asked for, None for none."""
        current = self.resolve_exclusion(now_ms)
        if current.value is None or (until_ms is not None and until_ms >= current.value):
            return EffectiveValue(until_ms)
        ends_before = current.value <= now_ms + COOLING_OFF_MS
        return current if ends_before else _schedule(current, until_ms, now_ms)


def _schedule(current: EffectiveValue, value: int | None, now_ms: int) -> EffectiveValue:
    """With a change that waits; whoever asks for the same again does not wait anew."""
    is_scheduled = current.next_at_ms is not None and current.next == value
    return current if is_scheduled else EffectiveValue(current.value, value, now_ms + COOLING_OFF_MS)


UNSET = EffectiveValue()


class Limit(NamedTuple):
    """A limit of an account, in cents."""

    kind: LimitKind
    per: LimitPeriod
    amount: EffectiveValue


class DailyUsage(NamedTuple):
    """What cash an account was given by deposits on a day, and what it lost by playing; `day` counts from 1970."""

    day: int
    deposited: int
    lost: int


class LimitUsage(NamedTuple):
    """A limit that holds, and how much of it is used; a loss is negative where more was won."""

    per: LimitPeriod
    cents: int
    used: int

    @property
    def remaining(self) -> int:
        return max(self.cents - self.used, 0)


class PlayerRestrictions(NamedTuple):
    """All that protects an account. `daily_usage` has the last 30 days, where there are limits."""

    exclusion: EffectiveValue = UNSET
    limits: tuple[Limit, ...] = ()
    daily_usage: tuple[DailyUsage, ...] = ()

    def is_excluded(self, now_ms: int) -> bool:
        """Whether the player is excluded at this time."""
        return self.exclusion.resolve_exclusion(now_ms).value is not None

    def sum_usage(self, kind: LimitKind, per: LimitPeriod, now_ms: int) -> int:
        """What counts against a limit of this kind."""
        last_excluded_day = now_ms // DAY_MS - PERIOD_DAYS[per]
        days = [each for each in self.daily_usage if each.day > last_excluded_day]
        return sum(each.deposited if kind is LimitKind.DEPOSIT else each.lost for each in days)

    def usages(self, kind: LimitKind, now_ms: int) -> list[LimitUsage]:
        """The limits of this kind that hold."""
        current = [(each.per, each.amount.resolve(now_ms).value) for each in self.limits if each.kind is kind]
        return [
            LimitUsage(per, cents, self.sum_usage(kind, per, now_ms)) for per, cents in current if cents is not None
        ]

    def allows(self, kind: LimitKind, cents: int, now_ms: int) -> bool:
        """Whether so much more passes no limit; nothing never does."""
        return cents == 0 or all(use.used + cents <= use.cents for use in self.usages(kind, now_ms))

    def find_first_allowed_day(self, kind: LimitKind, cents: int, now_ms: int) -> int | None:
        """The first day after today on which so much is allowed, if nothing happens until then; None for never."""
        today = now_ms // DAY_MS
        days = range(today + 1, today + MAX_PERIOD_DAYS + 1)
        return next((day for day in days if self.allows(kind, cents, day * DAY_MS)), None)


UNRESTRICTED = PlayerRestrictions()
"""Of whoever has neither limits nor an exclusion."""
