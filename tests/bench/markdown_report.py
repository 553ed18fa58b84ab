"""The results as a page of Markdown."""

from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.sampling import MetricResult, SamplingRun, format_number


def render_report(
    target: str, results: Sequence[MetricResult], skipped: Mapping[str, str], turns: Sequence[SamplingRun], *about: str
) -> str:
    """Return the results and how they were measured. `target` is the make target that repeats them, and `about` are
    paragraphs."""
    lines = [
        f"# What `make {target}` found",
        *(line for paragraph in about for line in ("", paragraph)),
        "",
        "| measure | found | turns | reach | | repeat it alone |",
        "|---|--:|--:|--:|---|---|",
        *(_render_row(target, each) for each in results),
        *(f"| {name} | | | | not measured: {why} | |" for name, why in skipped.items()),
        "",
        "The same in absolute figures, medians again, which say something about this machine only:",
        "",
        "| | per second | p50 ms | p99 ms | MB |",
        "|---|--:|--:|--:|--:|",
        *_render_samples(turns),
    ]
    return "\n".join(lines) + "\n"


def _render_row(target: str, result: MetricResult) -> str:
    spread = f"{format_number(min(result.values))} to {format_number(max(result.values))}"
    cells = [
        result.description,
        f"**{format_number(result.value)}**",
        spread,
        str(result.goal or ""),
        describe_goal(result),
    ]
    return f"| {' | '.join(cells)} | `make {target} BENCH='--only {result.name}'` |"


def describe_goal(result: MetricResult) -> str:
    """Return whether the metric reaches its goal, as text."""
    if result.goal is None:
        return ""
    share = result.goal.share(result.value)
    return "reached" if share >= 1 else f"{share:.0%} of it"


def _render_samples(turns: Sequence[SamplingRun]) -> list[str]:
    rows = []
    for name in dict.fromkeys(name for turn in turns for name in turn.samples):
        samples = [turn.samples[name] for turn in turns if name in turn.samples]
        per_second, *others = (median(values) for values in zip(*samples, strict=True))
        cells = [
            f"{per_second:,.0f}" if per_second else "",
            *(format_number(value) if value else "" for value in others),
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows
