"""The figures as a page of Markdown."""

from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.turns import Found, Turn, short


def write(target: str, found: Sequence[Found], skipped: Mapping[str, str], turns: Sequence[Turn], *about: str) -> str:
    """What was found, then what it was made of; `target` is what make is told to repeat it, `about` are paragraphs."""
    lines = [
        f"# What `make {target}` found",
        *(line for paragraph in about for line in ("", paragraph)),
        "",
        "| measure | found | turns | reach | | repeat it alone |",
        "|---|--:|--:|--:|---|---|",
        *(_row(target, each) for each in found),
        *(f"| {name} | | | | not measured: {why} | |" for name, why in skipped.items()),
        "",
        "The same in absolute figures, medians again, which say something about this machine only:",
        "",
        "| | per second | p50 ms | p99 ms | MB |",
        "|---|--:|--:|--:|--:|",
        *_absolute(turns),
    ]
    return "\n".join(lines) + "\n"


def _row(target: str, found: Found) -> str:
    spread = f"{short(min(found.values))} to {short(max(found.values))}"
    cells = [found.what, f"**{short(found.value)}**", spread, str(found.reach or ""), judge(found)]
    return f"| {' | '.join(cells)} | `make {target} BENCH='--only {found.name}'` |"


def judge(found: Found) -> str:
    """Whether the row comes to what it should."""
    if found.reach is None:
        return ""
    share = found.reach.share(found.value)
    return "reached" if share >= 1 else f"{share:.0%} of it"


def _absolute(turns: Sequence[Turn]) -> list[str]:
    rows = []
    for name in dict.fromkeys(name for turn in turns for name in turn.samples):
        samples = [turn.samples[name] for turn in turns if name in turn.samples]
        per_second, *others = (median(values) for values in zip(*samples, strict=True))
        cells = [f"{per_second:,.0f}" if per_second else "", *(short(value) if value else "" for value in others)]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows
