"""What protects players: what holds when, and what counts against it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.limits import (
    DAY_MS,
    DELAY_MS,
    FREE,
    LONGEST_DAYS,
    NOTHING,
    Bound,
    Guard,
    Limit,
    LimitKind,
    Per,
    Spent,
    Use,
)
from tests.ledger.builders import NOW_MS, TODAY

LATER = NOW_MS + DELAY_MS

WAITS = Bound(100, 200, LATER)

ASKED = {
    "a first limit holds at once": (NOTHING, 100, Bound(100)),
    "no limit where there is none changes nothing": (NOTHING, None, NOTHING),
    "a lower limit holds at once": (Bound(100), 99, Bound(99)),
    "nothing at all is a limit, too": (Bound(100), 0, Bound(0)),
    "the same limit changes nothing": (Bound(100), 100, Bound(100)),
    "a higher limit waits": (Bound(100), 101, Bound(100, 101, LATER)),
    "no limit waits": (Bound(100), None, Bound(100, None, LATER)),
    "no limit waits where nothing was allowed": (Bound(0), None, Bound(0, None, LATER)),
    "what waits does not wait anew": (Bound(100, 200, NOW_MS + 1), 200, Bound(100, 200, NOW_MS + 1)),
    "what waits to be no limit does not wait anew": (Bound(100, None, NOW_MS + 1), None, Bound(100, None, NOW_MS + 1)),
    "another higher limit waits in its place": (Bound(100, 200, NOW_MS + 1), 150, Bound(100, 150, LATER)),
    "no limit waits in its place": (Bound(100, 200, NOW_MS + 1), None, Bound(100, None, LATER)),
    "a lower limit drops what waits": (WAITS, 50, Bound(50)),
    "the limit that holds drops what waits": (WAITS, 100, Bound(100)),
    "what has waited holds": (Bound(100, 200, NOW_MS), 150, Bound(150)),
    "what has waited is what a higher one is held against": (Bound(100, 200, NOW_MS), 201, Bound(200, 201, LATER)),
}


@pytest.mark.parametrize(("held", "cents", "expected"), ASKED.values(), ids=ASKED)
def test_a_limit_is_asked_for(held: Bound, cents: int | None, expected: Bound) -> None:
    """What protects more holds at once, what protects less after a day; None is no limit."""
    assert held.ask_limit(cents, NOW_MS) == expected


SOON, LONG = NOW_MS + 1, NOW_MS + 90 * DAY_MS

EXCLUSIONS = {
    "a first exclusion holds at once": (NOTHING, SOON, Bound(SOON)),
    "none where there is none changes nothing": (NOTHING, None, NOTHING),
    "a longer one holds at once": (Bound(SOON), LONG, Bound(LONG)),
    "a longer one drops what waits": (Bound(SOON + 1, SOON, LATER), LONG, Bound(LONG)),
    "the same drops what waits": (Bound(LONG, None, LATER), LONG, Bound(LONG)),
    "a shorter one waits": (Bound(LONG), SOON, Bound(LONG, SOON, LATER)),
    "the end waits": (Bound(LONG), None, Bound(LONG, None, LATER)),
    "one that ends within a day is not waited for": (Bound(NOW_MS + 1), None, Bound(NOW_MS + 1)),
    "nor one that ends just then": (Bound(LATER), None, Bound(LATER)),
    "the end does not wait anew": (Bound(LONG, None, SOON), None, Bound(LONG, None, SOON)),
    "one that is over is none": (Bound(NOW_MS), SOON, Bound(SOON)),
    "what waited ends with it": (Bound(NOW_MS, None, SOON), None, NOTHING),
    "the end that has waited has come": (Bound(LONG, None, NOW_MS), SOON, Bound(SOON)),
}


@pytest.mark.parametrize(("held", "until_ms", "expected"), EXCLUSIONS.values(), ids=EXCLUSIONS)
def test_an_exclusion_is_asked_for(held: Bound, until_ms: int | None, expected: Bound) -> None:
    """A longer one holds at once, a shorter one or its end after a day, unless it has ended by itself then."""
    assert held.ask_exclusion(until_ms, NOW_MS) == expected


@pytest.mark.parametrize(
    ("exclusion", "is_excluded"),
    [
        (NOTHING, False),
        (Bound(NOW_MS + 1), True),
        (Bound(NOW_MS), False),
        (Bound(LONG, None, NOW_MS + 1), True),
        (Bound(LONG, None, NOW_MS), False),
        (Bound(LONG, SOON, NOW_MS), True),
        (Bound(LONG, NOW_MS, NOW_MS), False),
    ],
)
def test_an_exclusion_ends(exclusion: Bound, is_excluded: bool) -> None:
    """At its time, or when an earlier end has waited for a day."""
    assert Guard(exclusion).excludes(NOW_MS) is is_excluded


HISTORY = (
    Spent(TODAY - 30, 1_000_000, 1_000_000),
    Spent(TODAY - 29, 100_000, 50_000),
    Spent(TODAY - 7, 10_000, 5_000),
    Spent(TODAY - 6, 1_000, 500),
    Spent(TODAY - 1, 100, 50),
    Spent(TODAY, 10, -5),
)


@pytest.mark.parametrize(
    ("kind", "per", "used"),
    [
        (LimitKind.DEPOSIT, Per.DAY, 10),
        (LimitKind.DEPOSIT, Per.WEEK, 1_110),
        (LimitKind.DEPOSIT, Per.MONTH, 111_110),
        (LimitKind.LOSS, Per.DAY, -5),
        (LimitKind.LOSS, Per.WEEK, 545),
        (LimitKind.LOSS, Per.MONTH, 55_545),
    ],
)
def test_whole_days_count(kind: LimitKind, per: Per, used: int) -> None:
    """A day is today, a week today and the six days before, a month today and the 29 days before."""
    guard = Guard(limits=(Limit(kind, per, Bound(1_000_000)),), spent=HISTORY)
    assert guard.uses(kind, NOW_MS) == [Use(per, 1_000_000, used)]
    assert guard.used(kind, per, (TODAY + 1) * DAY_MS - 1) == used
    assert guard.used(kind, per, (TODAY + LONGEST_DAYS) * DAY_MS) == 0


def test_every_limit_has_to_allow_it() -> None:
    """Each for itself; one that waits, or that is of the other kind, has no say."""
    limits = (
        Limit(LimitKind.DEPOSIT, Per.DAY, Bound(500)),
        Limit(LimitKind.DEPOSIT, Per.WEEK, Bound(1_210, 9_999, LATER)),
        Limit(LimitKind.DEPOSIT, Per.MONTH, Bound(None)),
        Limit(LimitKind.LOSS, Per.DAY, Bound(0)),
    )
    guard = Guard(limits=limits, spent=HISTORY)
    assert guard.allows(LimitKind.DEPOSIT, 100, NOW_MS)
    assert not guard.allows(LimitKind.DEPOSIT, 101, NOW_MS)
    assert guard.allows(LimitKind.DEPOSIT, 500, LATER)
    assert not guard.allows(LimitKind.DEPOSIT, 501, LATER)
    assert guard.allows(LimitKind.LOSS, 5, NOW_MS)
    assert not guard.allows(LimitKind.LOSS, 6, NOW_MS)
    assert [use.left for use in guard.uses(LimitKind.DEPOSIT, NOW_MS)] == [490, 100]


def test_nothing_more_is_always_allowed() -> None:
    """However much a limit that was lowered has been passed; then nothing is left of it."""
    guard = Guard(limits=(Limit(LimitKind.DEPOSIT, Per.DAY, Bound(9)),), spent=HISTORY)
    assert guard.allows(LimitKind.DEPOSIT, 0, NOW_MS)
    assert not guard.allows(LimitKind.DEPOSIT, 1, NOW_MS)
    assert [use.left for use in guard.uses(LimitKind.DEPOSIT, NOW_MS)] == [0]


@pytest.mark.parametrize(
    ("limits", "cents", "days"),
    [
        ({Per.DAY: Bound(100)}, 100, 1),
        ({Per.DAY: Bound(100)}, 101, None),
        ({Per.DAY: Bound(100, 101, LATER)}, 101, 2),
        ({Per.WEEK: Bound(1_000)}, 890, 1),
        ({Per.WEEK: Bound(1_000)}, 891, 6),
        ({Per.WEEK: Bound(1_000)}, 990, 6),
        ({Per.WEEK: Bound(1_000)}, 1_000, 7),
        ({Per.WEEK: Bound(1_200)}, 190, 1),
        ({Per.MONTH: Bound(20_000)}, 20_000, 30),
        ({Per.MONTH: Bound(20_000), Per.DAY: Bound(19_999)}, 20_000, None),
    ],
)
def test_the_day_on_which_there_is_room(limits: dict[Per, Bound], cents: int, days: int | None) -> None:
    """So many days from today; None where more is asked for than there will ever be room for."""
    held = tuple(Limit(LimitKind.DEPOSIT, per, bound) for per, bound in limits.items())
    found = Guard(limits=held, spent=HISTORY).first_day(LimitKind.DEPOSIT, cents, NOW_MS)
    assert found == (None if days is None else TODAY + days)


def test_who_has_no_limits_is_free() -> None:
    """To deposit, to lose and to play."""
    assert FREE.allows(LimitKind.DEPOSIT, 2**63 - 1, NOW_MS)
    assert not FREE.excludes(NOW_MS)


amounts = st.none() | st.integers(0, 9)


@given(st.lists(st.tuples(amounts, st.integers(0, DELAY_MS)), max_size=12))
def test_no_limit_is_loosened_within_a_day(asked: list[tuple[int | None, int]]) -> None:
    """Whatever is asked for, and in whatever order: it never allows more than was asked for a day before, or held."""
    held, now_ms = Bound(5), NOW_MS
    said: list[tuple[int, int | None]] = []
    for cents, pause_ms in asked:
        now_ms += pause_ms
        before = held.at(now_ms).value
        held = held.ask_limit(cents, now_ms)
        said.append((now_ms, cents))
        value = held.at(now_ms).value
        assert value == before or (value is not None and (before is None or value < before))
    final = held.at(now_ms + DELAY_MS).value
    assert final == (said[-1][1] if said else 5)
