"""Rows of a table, each a number that two machines can be compared by, and the turns in which they are measured."""

import sys
from collections.abc import Callable, Sequence
from statistics import median
from typing import Generic, NamedTuple, TypeVar


def short(value: float) -> str:
    """Three digits, and no more than two behind the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


class Missing(Exception):
    """What should be measured is not there; the message says why."""


class Sample(NamedTuple):
    """What was measured; the rest is 0. `mb` is the most memory that a process had."""

    per_second: float = 0
    p50_ms: float = 0
    p99_ms: float = 0
    mb: float = 0

    def __str__(self) -> str:
        parts = [(self.per_second, "/s"), (self.p50_ms, " ms"), (self.mb, " MB")]
        return ", ".join(f"{short(value)}{unit}" for value, unit in parts if value)


class Turn:
    """One turn of everything; what several rows are about is measured once, when the first of them asks."""

    def __init__(self) -> None:
        self.samples: dict[str, Sample] = {}

    def once(self, name: str, measure: Callable[[], Sample]) -> Sample:
        if name not in self.samples:
            print(f"  {name} ...", end=" ", file=sys.stderr, flush=True)
            self.samples[name] = measure()
            print(self.samples[name], file=sys.stderr)
        return self.samples[name]


class Reach(NamedTuple):
    """What a row should come to: at least so much, or at the most."""

    bound: float
    at_most: bool = False

    def share(self, value: float) -> float:
        """How much of it is reached, 1 being all; what is less than nothing has cost nothing."""
        return self.bound / max(value, 1e-9) if self.at_most else value / self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.bound:,g}"


T = TypeVar("T", bound=Turn)


class Row(NamedTuple, Generic[T]):
    """`name` is for who asks for this row alone, `value` what a turn says about it."""

    name: str
    what: str
    reach: Reach | None
    value: Callable[[T], float]


class Found(NamedTuple):
    """What the turns said about a row."""

    name: str
    what: str
    reach: Reach | None
    values: Sequence[float]

    @property
    def value(self) -> float:
        return median(self.values)


def measure(rows: Sequence[Row[T]], turns: Sequence[T]) -> tuple[list[Found], dict[str, str]]:
    """What was found, and the rows that cannot be measured here, with the reasons.

    Every other turn goes backwards, so that nothing is always measured after the same other thing.
    """
    values, skipped = {row: list[float]() for row in rows}, dict[str, str]()
    for number, turn in enumerate(turns, 1):
        print(f"turn {number} of {len(turns)}", file=sys.stderr)
        for row in rows if number % 2 else rows[::-1]:
            if row.name not in skipped:
                try:
                    values[row].append(row.value(turn))
                except Missing as error:
                    print(error, file=sys.stderr)
                    skipped[row.name] = str(error)
    return [Found(row.name, row.what, row.reach, said) for row, said in values.items() if said], skipped
