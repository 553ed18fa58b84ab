"""The figures as a page of Markdown."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from tests.bench.rows import CONNECTIONS, Round, Row
from tests.bench.wrk import PLAYERS


class Found(NamedTuple):
    """A row, and what each round said about it."""

    row: Row
    values: Sequence[float]

    @property
    def value(self) -> float:
        return median(self.values)


def write(
    found: Sequence[Found], skipped: Mapping[str, str], turns: Sequence[Round], machine: str, seconds: int
) -> str:
    """What was found, then what it was made of."""
    told = f"{CONNECTIONS} connections unless it says otherwise, {PLAYERS:,} players, one server process"
    lines = [
        "# What `make bench` found",
        "",
        machine,
        "",
        f"Medians of {len(turns)} rounds of {seconds} s each, all measured in turn; {told}.",
        "",
        "| measure | found | rounds | reach | | alone |",
        "|---|--:|--:|--:|---|---|",
        *map(_row, found),
        *(f"| {name} | | | | not measured: {why} | |" for name, why in skipped.items()),
        "",
        "The same runs in absolute figures, which say something about this machine only:",
        "",
        "| | per second | p50 ms | p99 ms |",
        "|---|--:|--:|--:|",
        *_absolute(turns),
    ]
    return "\n".join(lines) + "\n"


def _row(found: Found) -> str:
    row = found.row
    spread = f"{short(min(found.values))} to {short(max(found.values))}"
    cells = [row.what, f"**{short(found.value)}**", spread, str(row.reach or ""), judge(found)]
    return f"| {' | '.join(cells)} | `make bench BENCH='--only {row.name}'` |"


def judge(found: Found) -> str:
    """Whether the row comes to what it should."""
    if found.row.reach is None:
        return ""
    share = found.row.reach.share(found.value)
    return "reached" if share >= 1 else f"{share:.0%} of it"


def _absolute(turns: Sequence[Round]) -> list[str]:
    rows = []
    for name in turns[0].samples:
        samples = [turn.samples[name] for turn in turns if name in turn.samples]
        per_second, p50, p99 = (median(values) for values in zip(*samples, strict=True))
        times = [f"{ms:.3g}" if ms else "" for ms in (p50, p99)]
        rows.append(f"| {name} | {f'{per_second:,.0f}' if per_second else ''} | {' | '.join(times)} |")
    return rows


def short(value: float) -> str:
    """Three digits, and no more than two behind the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
