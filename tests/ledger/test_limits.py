"""Limits and exclusions of players: when they take effect, and which usage counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.limits import (
    COOLING_OFF_MS,
    MAX_PERIOD_DAYS,
    UNRESTRICTED,
    UNSET,
    DailyUsage,
    EffectiveValue,
    Limit,
    LimitKind,
    LimitPeriod,
    LimitUsage,
    PlayerRestrictions,
)
from minwallet.ledger.time_units import DAY_MS
from tests.ledger.builders import NOW_MS, TODAY

LATER = NOW_MS + COOLING_OFF_MS

SCHEDULED = EffectiveValue(100, 200, LATER)

LIMIT_REQUESTS = {
    "a first limit takes effect immediately": (UNSET, 100, EffectiveValue(100)),
    "removing a limit that does not exist changes nothing": (UNSET, None, UNSET),
    "a lower limit takes effect immediately": (EffectiveValue(100), 99, EffectiveValue(99)),
    "zero is a limit": (EffectiveValue(100), 0, EffectiveValue(0)),
    "the same limit changes nothing": (EffectiveValue(100), 100, EffectiveValue(100)),
    "a higher limit waits": (EffectiveValue(100), 101, EffectiveValue(100, 101, LATER)),
    "the removal of a limit waits": (EffectiveValue(100), None, EffectiveValue(100, None, LATER)),
    "the removal of a limit of zero waits": (EffectiveValue(0), None, EffectiveValue(0, None, LATER)),
    "the same waiting limit does not wait longer": (
        EffectiveValue(100, 200, NOW_MS + 1),
        200,
        EffectiveValue(100, 200, NOW_MS + 1),
    ),
    "the same waiting removal does not wait longer": (
        EffectiveValue(100, None, NOW_MS + 1),
        None,
        EffectiveValue(100, None, NOW_MS + 1),
    ),
    "another higher limit replaces the waiting one": (
        EffectiveValue(100, 200, NOW_MS + 1),
        150,
        EffectiveValue(100, 150, LATER),
    ),
    "a removal replaces the waiting limit": (
        EffectiveValue(100, 200, NOW_MS + 1),
        None,
        EffectiveValue(100, None, LATER),
    ),
    "a lower limit drops the waiting one": (SCHEDULED, 50, EffectiveValue(50)),
    "the current limit drops the waiting one": (SCHEDULED, 100, EffectiveValue(100)),
    "a limit that has waited takes effect": (EffectiveValue(100, 200, NOW_MS), 150, EffectiveValue(150)),
    "a higher limit is compared with the one that has waited": (
        EffectiveValue(100, 200, NOW_MS),
        201,
        EffectiveValue(200, 201, LATER),
    ),
}


@pytest.mark.parametrize(("held", "cents", "expected"), LIMIT_REQUESTS.values(), ids=LIMIT_REQUESTS)
def test_a_limit_is_requested(held: EffectiveValue, cents: int | None, expected: EffectiveValue) -> None:
    """A stricter limit takes effect immediately, a looser one after a day; None is no limit."""
    assert held.request_limit(cents, NOW_MS) == expected


SOON, LONG = NOW_MS + 1, NOW_MS + 90 * DAY_MS

EXCLUSION_REQUESTS = {
    "a first exclusion takes effect immediately": (UNSET, SOON, EffectiveValue(SOON)),
    "ending an exclusion that does not exist changes nothing": (UNSET, None, UNSET),
    "a longer one takes effect immediately": (EffectiveValue(SOON), LONG, EffectiveValue(LONG)),
    "a longer one drops the waiting change": (EffectiveValue(SOON + 1, SOON, LATER), LONG, EffectiveValue(LONG)),
    "the current one drops the waiting change": (EffectiveValue(LONG, None, LATER), LONG, EffectiveValue(LONG)),
    "a shorter one waits": (EffectiveValue(LONG), SOON, EffectiveValue(LONG, SOON, LATER)),
    "an end waits": (EffectiveValue(LONG), None, EffectiveValue(LONG, None, LATER)),
    "an end changes nothing if the exclusion ends within a day": (
        EffectiveValue(NOW_MS + 1),
        None,
        EffectiveValue(NOW_MS + 1),
    ),
    "an end changes nothing if the exclusion ends after exactly a day": (
        EffectiveValue(LATER),
        None,
        EffectiveValue(LATER),
    ),
    "the same waiting end does not wait longer": (
        EffectiveValue(LONG, None, SOON),
        None,
        EffectiveValue(LONG, None, SOON),
    ),
    "an exclusion that is over does not count": (EffectiveValue(NOW_MS), SOON, EffectiveValue(SOON)),
    "a waiting end is dropped when the exclusion is over": (EffectiveValue(NOW_MS, None, SOON), None, UNSET),
    "an end that has waited takes effect": (EffectiveValue(LONG, None, NOW_MS), SOON, EffectiveValue(SOON)),
}


@pytest.mark.parametrize(("held", "until_ms", "expected"), EXCLUSION_REQUESTS.values(), ids=EXCLUSION_REQUESTS)
def test_an_exclusion_is_requested(held: EffectiveValue, until_ms: int | None, expected: EffectiveValue) -> None:
    """A longer exclusion takes effect immediately. A shorter one or an end waits a day, unless the exclusion ends
    before."""
    assert held.request_exclusion(until_ms, NOW_MS) == expected


@pytest.mark.parametrize(
    ("exclusion", "is_excluded"),
    [
        (UNSET, False),
        (EffectiveValue(NOW_MS + 1), True),
        (EffectiveValue(NOW_MS), False),
        (EffectiveValue(LONG, None, NOW_MS + 1), True),
        (EffectiveValue(LONG, None, NOW_MS), False),
        (EffectiveValue(LONG, SOON, NOW_MS), True),
        (EffectiveValue(LONG, NOW_MS, NOW_MS), False),
    ],
)
def test_an_exclusion_ends(exclusion: EffectiveValue, is_excluded: bool) -> None:
    """It ends at its time, or when an earlier end has waited for a day."""
    assert PlayerRestrictions(exclusion).is_excluded(NOW_MS) is is_excluded


USAGE = (
    DailyUsage(TODAY - 30, 1_000_000, 1_000_000),
    DailyUsage(TODAY - 29, 100_000, 50_000),
    DailyUsage(TODAY - 7, 10_000, 5_000),
    DailyUsage(TODAY - 6, 1_000, 500),
    DailyUsage(TODAY - 1, 100, 50),
    DailyUsage(TODAY, 10, -5),
)


@pytest.mark.parametrize(
    ("kind", "per", "used"),
    [
        (LimitKind.DEPOSIT, LimitPeriod.DAY, 10),
        (LimitKind.DEPOSIT, LimitPeriod.WEEK, 1_110),
        (LimitKind.DEPOSIT, LimitPeriod.MONTH, 111_110),
        (LimitKind.LOSS, LimitPeriod.DAY, -5),
        (LimitKind.LOSS, LimitPeriod.WEEK, 545),
        (LimitKind.LOSS, LimitPeriod.MONTH, 55_545),
    ],
)
def test_whole_days_count(kind: LimitKind, per: LimitPeriod, used: int) -> None:
    """A day is today, a week is today and the 6 days before, a month is today and the 29 days before."""
    guard = PlayerRestrictions(limits=(Limit(kind, per, EffectiveValue(1_000_000)),), daily_usage=USAGE)
    assert guard.usages(kind, NOW_MS) == [LimitUsage(per, 1_000_000, used)]
    assert guard.sum_usage(kind, per, (TODAY + 1) * DAY_MS - 1) == used
    assert guard.sum_usage(kind, per, (TODAY + MAX_PERIOD_DAYS) * DAY_MS) == 0


def test_every_limit_must_allow_an_amount() -> None:
    """Each limit applies by itself; a waiting limit and one of the other kind do not apply."""
    limits = (
        Limit(LimitKind.DEPOSIT, LimitPeriod.DAY, EffectiveValue(500)),
        Limit(LimitKind.DEPOSIT, LimitPeriod.WEEK, EffectiveValue(1_210, 9_999, LATER)),
        Limit(LimitKind.DEPOSIT, LimitPeriod.MONTH, EffectiveValue(None)),
        Limit(LimitKind.LOSS, LimitPeriod.DAY, EffectiveValue(0)),
    )
    guard = PlayerRestrictions(limits=limits, daily_usage=USAGE)
    assert guard.allows(LimitKind.DEPOSIT, 100, NOW_MS)
    assert not guard.allows(LimitKind.DEPOSIT, 101, NOW_MS)
    assert guard.allows(LimitKind.DEPOSIT, 500, LATER)
    assert not guard.allows(LimitKind.DEPOSIT, 501, LATER)
    assert guard.allows(LimitKind.LOSS, 5, NOW_MS)
    assert not guard.allows(LimitKind.LOSS, 6, NOW_MS)
    assert [use.remaining for use in guard.usages(LimitKind.DEPOSIT, NOW_MS)] == [490, 100]


def test_zero_is_always_allowed() -> None:
    """This holds even if a lowered limit is already exceeded; its remainder is then 0."""
    guard = PlayerRestrictions(
        limits=(Limit(LimitKind.DEPOSIT, LimitPeriod.DAY, EffectiveValue(9)),), daily_usage=USAGE
    )
    assert guard.allows(LimitKind.DEPOSIT, 0, NOW_MS)
    assert not guard.allows(LimitKind.DEPOSIT, 1, NOW_MS)
    assert [use.remaining for use in guard.usages(LimitKind.DEPOSIT, NOW_MS)] == [0]


@pytest.mark.parametrize(
    ("limits", "cents", "days"),
    [
        ({LimitPeriod.DAY: EffectiveValue(100)}, 100, 1),
        ({LimitPeriod.DAY: EffectiveValue(100)}, 101, None),
        ({LimitPeriod.DAY: EffectiveValue(100, 101, LATER)}, 101, 2),
        ({LimitPeriod.WEEK: EffectiveValue(1_000)}, 890, 1),
        ({LimitPeriod.WEEK: EffectiveValue(1_000)}, 891, 6),
        ({LimitPeriod.WEEK: EffectiveValue(1_000)}, 990, 6),
        ({LimitPeriod.WEEK: EffectiveValue(1_000)}, 1_000, 7),
        ({LimitPeriod.WEEK: EffectiveValue(1_200)}, 190, 1),
        ({LimitPeriod.MONTH: EffectiveValue(20_000)}, 20_000, 30),
        ({LimitPeriod.MONTH: EffectiveValue(20_000), LimitPeriod.DAY: EffectiveValue(19_999)}, 20_000, None),
    ],
)
def test_find_first_allowed_day(limits: dict[LimitPeriod, EffectiveValue], cents: int, days: int | None) -> None:
    """Return the number of days from today, or None if the amount is never allowed."""
    held = tuple(Limit(LimitKind.DEPOSIT, per, bound) for per, bound in limits.items())
    found = PlayerRestrictions(limits=held, daily_usage=USAGE).find_first_allowed_day(LimitKind.DEPOSIT, cents, NOW_MS)
    assert found == (None if days is None else TODAY + days)


def test_a_player_without_limits_is_unrestricted() -> None:
    """Such a player may deposit, lose and play."""
    assert UNRESTRICTED.allows(LimitKind.DEPOSIT, 2**63 - 1, NOW_MS)
    assert not UNRESTRICTED.is_excluded(NOW_MS)


amounts = st.none() | st.integers(0, 9)


@given(st.lists(st.tuples(amounts, st.integers(0, COOLING_OFF_MS)), max_size=12))
def test_no_limit_is_loosened_within_a_day(asked: list[tuple[int | None, int]]) -> None:
    """After any sequence of requests, a limit allows no more than it did, or than was requested a day before."""
    held, now_ms = EffectiveValue(5), NOW_MS
    said: list[tuple[int, int | None]] = []
    for cents, pause_ms in asked:
        now_ms += pause_ms
        before = held.resolve(now_ms).value
        held = held.request_limit(cents, now_ms)
        said.append((now_ms, cents))
        value = held.resolve(now_ms).value
        assert value == before or (value is not None and (before is None or value < before))
    final = held.resolve(now_ms + COOLING_OFF_MS).value
    assert final == (said[-1][1] if said else 5)
