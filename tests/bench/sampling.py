"""Metrics: numbers by which two machines can be compared, and the turns in which they are measured."""

import sys
from collections.abc import Callable, Sequence
from statistics import median
from typing import Generic, NamedTuple, TypeVar


def format_number(value: float) -> str:
    """Return the number with three digits, and at most two decimals."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


class DependencyMissing(Exception):
    """A program or library for a measurement is missing. The message says which."""


class Sample(NamedTuple):
    """A measurement; unmeasured fields are 0. `mb` is the maximum memory of a process."""

    per_second: float = 0
    p50_ms: float = 0
    p99_ms: float = 0
    mb: float = 0

    def __str__(self) -> str:
        parts = [(self.per_second, "/s"), (self.p50_ms, " ms"), (self.mb, " MB")]
        return ", ".join(f"{format_number(value)}{unit}" for value, unit in parts if value)


class SamplingRun:
    """One turn of all measurements. A measurement for several metrics is made once, at its first use."""

    def __init__(self) -> None:
        self.samples: dict[str, Sample] = {}

    def measure_once(self, name: str, measure: Callable[[], Sample]) -> Sample:
        if name not in self.samples:
            print(f"  {name} ...", end=" ", file=sys.stderr, flush=True)
            self.samples[name] = measure()
            print(self.samples[name], file=sys.stderr)
        return self.samples[name]


class Goal(NamedTuple):
    """The goal of a metric: a minimum or a maximum."""

    bound: float
    is_maximum: bool = False

    def share(self, value: float) -> float:
        """Return the reached share of the goal; 1 is all of it. A negative cost counts as no cost."""
        return self.bound / max(value, 1e-9) if self.is_maximum else value / self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.is_maximum else '≥'} {self.bound:,g}"


T = TypeVar("T", bound=SamplingRun)


class Metric(NamedTuple, Generic[T]):
    """A row of the table. `name` selects this metric alone, and `compute` returns its value in a turn."""

    name: str
    description: str
    goal: Goal | None
    compute: Callable[[T], float]


class MetricResult(NamedTuple):
    """The values of a metric in all turns."""

    name: str
    description: str
    goal: Goal | None
    values: Sequence[float]

    @property
    def value(self) -> float:
        return median(self.values)


def measure_metrics(rows: Sequence[Metric[T]], turns: Sequence[T]) -> tuple[list[MetricResult], dict[str, str]]:
    """Return the results, and the metrics that cannot be measured here with the reasons. Every second turn runs in
    reverse order, so that no measurement always follows the same other one."""
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
