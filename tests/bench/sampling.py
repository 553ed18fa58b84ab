"""Rows of a table, each a number that two machines can be compared by, and the turns in which they are measured."""

import sys
from collections.abc import Callable, Sequence
from statistics import median
from typing import Generic, NamedTuple, TypeVar


def format_number(value: float) -> str:
    """Three digits, and no more than two behind the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


class DependencyMissing(Exception):
    """What should be measured is not there; the message says why."""


class Sample(NamedTuple):
    """What was measured; the rest is 0. `mb` is the most memory that a process had."""

    per_second: float = 0
    p50_ms: float = 0
    p99_ms: float = 0
    mb: float = 0

    def __str__(self) -> str:
        parts = [(self.per_second, "/s"), (self.p50_ms, " ms"), (self.mb, " MB")]
        return ", ".join(f"{format_number(value)}{unit}" for value, unit in parts if value)


class SamplingRun:
    """One turn of everything; what several rows are about is measured once, when the first of them asks."""

    def __init__(self) -> None:
        self.samples: dict[str, Sample] = {}

    def measure_once(self, name: str, measure: Callable[[], Sample]) -> Sample:
        if name not in self.samples:
            print(f"  {name} ...", end=" ", file=sys.stderr, flush=True)
            self.samples[name] = measure()
            print(self.samples[name], file=sys.stderr)
        return self.samples[name]


class Goal(NamedTuple):
    """What a row should come to: at least so much, or at the most."""

    bound: float
    is_maximum: bool = False

    def share(self, value: float) -> float:
        """How much of it is reached, 1 being all; what is less than nothing has cost nothing."""
        return self.bound / max(value, 1e-9) if self.is_maximum else value / self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.is_maximum else '≥'} {self.bound:,g}"


T = TypeVar("T", bound=SamplingRun)


class Metric(NamedTuple, Generic[T]):
    """`name` is for who asks for this row alone, `compute` what a turn says about it."""

    name: str
    description: str
    goal: Goal | None
    compute: Callable[[T], float]


class MetricResult(NamedTuple):
    """What the turns said about a row."""

    name: str
    description: str
    goal: Goal | None
    values: Sequence[float]

    @property
    def value(self) -> float:
        return median(self.values)


def measure_metrics(rows: Sequence[Metric[T]], turns: Sequence[T]) -> tuple[list[MetricResult], dict[str, str]]:
    """What was found, and the rows that cannot be measured here, with the reasons.

    Every other turn goes backwards, so that nothing is always measured after the same other thing.
    """
    values, skipped = {row: list[float]() for row in rows}, dict[str, str]()
    for number, turn in enumerate(turns, 1):
        print(f"turn {number} of {len(turns)}", file=sys.stderr)
        for row in rows if number % 2 else rows[::-1]:
            if row.name not in skipped:
                try:
                    values[row].append(row.compute(turn))
                except DependencyMissing as error:
                    print(error, file=sys.stderr)
                    skipped[row.name] = str(error)
    return [
        MetricResult(row.name, row.description, row.goal, samples) for row, samples in values.items() if samples
    ], skipped
