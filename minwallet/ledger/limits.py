"""Responsible gaming: limits on deposits and losses, and exclusion until a time.

Rules

1. A limit belongs to one account, so to one player in one currency. An exclusion belongs to the player.
2. A deposit limit counts the cash that the operator deposits. Bonus does not count, and neither does an adjustment.
3. A loss limit counts the cash part of bets, minus wins and returned stakes. It is negative if the player won more.
   Bonus does not count, so a bet paid entirely from bonus never exceeds a limit. Withdrawals and adjustments do not
   count either.
4. Limits count whole days in UTC. A day is today, a week is today and the 6 days before, a month is today and the 29
   days before.
5. More protection applies immediately: a first limit, a lower limit, a longer exclusion.
6. Less protection applies after the cooling-off period of 24 hours: a higher limit, no limit, a shorter exclusion, the
   end of an exclusion. So a player cannot undo the decision on impulse.
7. A repeated request does not restart the cooling-off period. A request for the current value, or for more protection,
   cancels the pending change.

Theory of operation

An `EffectiveValue` stores the current value and at most one pending change with its time. No job applies a pending
change: `resolve` computes the value for the time of each decision. The value is cents for a limit, and for an exclusion
its end in ms since 1970 UTC.

The store sums the account's entries per UTC day (`DailyUsage`), for the last MAX_PERIOD_DAYS days. A day's number is
the time in ms divided by DAY_MS, so no calendar and no time zone is involved.
"""

from enum import StrEnum
from typing import NamedTuple

from minwallet.ledger.time_units import DAY_MS

COOLING_OFF_MS = DAY_MS
"""The time until a change applies that protects less."""


class LimitKind(StrEnum):
    DEPOSIT = "deposit"
    """Deposited cash, without bonus."""
    LOSS = "loss"
    """The cash part of bets, minus wins and returned stakes."""


class LimitPeriod(StrEnum):
    """The period of a limit, in whole UTC days that end with today."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


PERIOD_DAYS = {LimitPeriod.DAY: 1, LimitPeriod.WEEK: 7, LimitPeriod.MONTH: 30}

MAX_PERIOD_DAYS = max(PERIOD_DAYS.values())


class EffectiveValue(NamedTuple):
    """The current value (None: no limit, no exclusion) and the pending change.

    `next` is the value from `next_at_ms` on. None in `next_at_ms` means that no change is pending.
    """

    value: int | None = None
    next: int | None = None
    next_at_ms: int | None = None

    def resolve(self, now_ms: int) -> "EffectiveValue":
        """Return the value at `now_ms`: the pending change becomes the current value once its time has come."""
        return EffectiveValue(self.next) if self.next_at_ms is not None and self.next_at_ms <= now_ms else self

    def request_limit(self, cents: int | None, now_ms: int) -> "EffectiveValue":
        """Return the limit after a request for `cents`, None to remove it: apply or schedule it."""
        current = self.resolve(now_ms)
        is_looser = current.value is not None and (cents is None or cents > current.value)
        return _schedule(current, cents, now_ms) if is_looser else EffectiveValue(cents)

    def resolve_exclusion(self, now_ms: int) -> "EffectiveValue":
        """Return the exclusion at `now_ms`, UNSET if it has ended.

        A pending change is always an earlier end, so it is dropped with the exclusion.
        """
        current = self.resolve(now_ms)
        return current if current.value is not None and current.value > now_ms else UNSET

    def request_exclusion(self, until_ms: int | None, now_ms: int) -> "EffectiveValue":
        """Return the exclusion after a request for the end `until_ms`, None to end it: apply or schedule it."""
        current = self.resolve_exclusion(now_ms)
        if current.value is None or (until_ms is not None and until_ms >= current.value):
            return EffectiveValue(until_ms)
        # An exclusion that ends within the cooling-off period needs no schedule: it ends before the change would apply.
        ends_before = current.value <= now_ms + COOLING_OFF_MS
        return current if ends_before else _schedule(current, until_ms, now_ms)


def _schedule(current: EffectiveValue, value: int | None, now_ms: int) -> EffectiveValue:
    """Return `current` with a pending change to `value`; a change that is already pending keeps its time (rule 7)."""
    is_scheduled = current.next_at_ms is not None and current.next == value
    return current if is_scheduled else EffectiveValue(current.value, value, now_ms + COOLING_OFF_MS)


UNSET = EffectiveValue()
"""No limit or no exclusion, and no pending change."""


class Limit(NamedTuple):
    """A limit of an account; `amount` holds cents."""

    kind: LimitKind
    per: LimitPeriod
    amount: EffectiveValue


class DailyUsage(NamedTuple):
    """The cash that an account deposited and lost on one UTC day, in cents; `day` is the number of days since 1970."""

    day: int
    deposited: int
    lost: int


class LimitUsage(NamedTuple):
    """A current limit and the used part of it, in cents; `used` is negative if the player won more than was bet."""

    per: LimitPeriod
    cents: int
    used: int

    @property
    def remaining(self) -> int:
        """Return the unused cents; 0 if the limit was lowered below the used amount."""
        return max(self.cents - self.used, 0)


class PlayerRestrictions(NamedTuple):
    """The exclusion and the limits of an account.

    `daily_usage` has the last MAX_PERIOD_DAYS days, and is empty if the account has no limits.
    """

    exclusion: EffectiveValue = UNSET
    limits: tuple[Limit, ...] = ()
    daily_usage: tuple[DailyUsage, ...] = ()

    def is_excluded(self, now_ms: int) -> bool:
        """Check if the player is excluded at `now_ms`."""
        return self.exclusion.resolve_exclusion(now_ms).value is not None

    def sum_usage(self, kind: LimitKind, per: LimitPeriod, now_ms: int) -> int:
        """Return the cents that count against a limit of this kind and period."""
        last_excluded_day = now_ms // DAY_MS - PERIOD_DAYS[per]
        days = [each for each in self.daily_usage if each.day > last_excluded_day]
        return sum(each.deposited if kind is LimitKind.DEPOSIT else each.lost for each in days)

    def usages(self, kind: LimitKind, now_ms: int) -> list[LimitUsage]:
        """Return the current limits of this kind and their use."""
        current = [(each.per, each.amount.resolve(now_ms).value) for each in self.limits if each.kind is kind]
        return [
            LimitUsage(per, cents, self.sum_usage(kind, per, now_ms)) for per, cents in current if cents is not None
        ]

    def allows(self, kind: LimitKind, cents: int, now_ms: int) -> bool:
        """Check if `cents` more stay within every limit of this kind; 0 cents always do.

        A limit may be exceeded already, if it was lowered. A bet paid from bonus must still be possible then.
        """
        return cents == 0 or all(use.used + cents <= use.cents for use in self.usages(kind, now_ms))

    def find_first_allowed_day(self, kind: LimitKind, cents: int, now_ms: int) -> int | None:
        """Return the first UTC day after today, as days since 1970, on which `cents` more are allowed.

        Return None if there is none. Assume no deposits or losses until then.
        """
        today = now_ms // DAY_MS
        days = range(today + 1, today + MAX_PERIOD_DAYS + 1)
        return next((day for day in days if self.allows(kind, cents, day * DAY_MS)), None)


UNRESTRICTED = PlayerRestrictions()
"""The restrictions of a player with no limit and no exclusion. The store returns this same object for all of them, so
that `decide` can test for it by identity."""
