"""The results as an SVG chart for light and dark pages."""

from collections.abc import Sequence
from html import escape
from statistics import median

from tests.bench.measurements import CONNECTION_COUNTS, describe_connections
from tests.bench.sampling import MetricResult, SamplingRun, format_number

WIDTH, MARGIN = 760, 24
INNER_WIDTH = WIDTH - 2 * MARGIN
HEADER_HEIGHT, ROW_HEIGHT, BAR_HEIGHT = 54, 46, 12
PANEL_HEIGHT = 220

MAX_SHARE = 2.0
"""A metric that reaches its goal more than twice has a bar of this length."""

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f } .small { font-size: 11px; fill: #57606a }
  .paper { fill: #ffffff } .track { fill: #eaeef2 } .reached { fill: #1a7f37 } .short { fill: #bf8700 }
  .goal, .axis { stroke: #57606a; stroke-width: 1.5 } .axis { stroke-width: 1 }
  .bets { stroke: #1a7f37; fill: none; stroke-width: 2.5 } .empty { stroke: #8c959f; fill: none; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .paper { fill: #0d1117 } .track { fill: #262c36 }
    .reached { fill: #3fb950 }
    .short { fill: #d29922 } .goal, .axis { stroke: #9198a1 } .bets { stroke: #3fb950 } .empty { stroke: #6e7681 }
  }
"""


def render_chart(results: Sequence[MetricResult], turns: Sequence[SamplingRun]) -> str:
    """Return a chart with a bar for each metric with a goal, and with the rate by number of connections below."""
    results_with_goal = [each for each in results if each.goal]
    parts = [
        _render_text(
            MARGIN, MARGIN, "A bar that passes its line has reached its goal; one at the end, twice as much.", "small"
        )
    ]
    parts += [
        part
        for number, each in enumerate(results_with_goal)
        for part in _render_bar(each, HEADER_HEIGHT + ROW_HEIGHT * number)
    ]
    top = HEADER_HEIGHT + ROW_HEIGHT * len(results_with_goal) + MARGIN
    height = top
    if all(f"minwallet, {describe_connections(size)}" in turns[0].samples for size in CONNECTION_COUNTS):
        parts += _render_growth(turns, top)
        height += PANEL_HEIGHT + 2 * MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    title = "<title>What the bench measured, held against what it should reach</title>"
    paper = f'<rect class="paper" width="{WIDTH}" height="{height}"/>'
    return "\n".join([head, title, f"<style>{STYLE}</style>", paper, *parts, "</svg>"]) + "\n"


def _render_bar(result: MetricResult, y: float) -> list[str]:
    reach = result.goal
    assert reach is not None
    share = reach.share(result.value)
    length, goal = INNER_WIDTH * min(share, MAX_SHARE) / MAX_SHARE, MARGIN + INNER_WIDTH / MAX_SHARE
    below = y + 8
    kind = "reached" if share >= 1 else "short"
    return [
        _render_text(MARGIN, y, result.description.partition(" (")[0]),
        _render_text(WIDTH - MARGIN, y, f"{format_number(result.value)}  ({reach})", anchor="end"),
        f'<rect class="track" x="{MARGIN}" y="{below}" width="{INNER_WIDTH}" height="{BAR_HEIGHT}" rx="3"/>',
        f'<rect class="{kind}" x="{MARGIN}" y="{below}" width="{length:.0f}" height="{BAR_HEIGHT}" rx="3"/>',
        f'<line class="goal" x1="{goal:.0f}" y1="{below - 3}" x2="{goal:.0f}" y2="{below + BAR_HEIGHT + 3}"/>',
    ]


def _render_growth(turns: Sequence[SamplingRun], top: float) -> list[str]:
    lines = {
        kind: [
            median(turn.samples[f"{name}, {describe_connections(size)}"].per_second for turn in turns)
            for size in CONNECTION_COUNTS
        ]
        for kind, name in (("empty", "empty endpoint"), ("bets", "minwallet"))
    }
    most, floor = max(map(max, lines.values())), top + PANEL_HEIGHT
    step = (INNER_WIDTH - 100) / (len(CONNECTION_COUNTS) - 1)
    xs = [MARGIN + 20 + step * number for number in range(len(CONNECTION_COUNTS))]
    parts = [
        _render_text(MARGIN, top, "requests per second, by connections"),
        f'<line class="axis" x1="{MARGIN}" y1="{floor}" x2="{WIDTH - MARGIN}" y2="{floor}"/>',
    ]
    for x, size in zip(xs, CONNECTION_COUNTS, strict=True):
        parts.append(_render_text(x, floor + 16, f"{size:,}", "small", "middle"))
    for kind, rates in lines.items():
        ys = [floor - (PANEL_HEIGHT - 50) * rate / most for rate in rates]
        points = " ".join(f"{x:.0f},{y:.0f}" for x, y in zip(xs, ys, strict=True))
        parts.append(f'<polyline class="{kind}" points="{points}"/>')
        for x, y, rate in zip(xs, ys, rates, strict=True):
            parts.append(_render_text(x, y - 8 if kind == "empty" else y + 18, f"{rate:,.0f}", "small", "middle"))
        parts.append(_render_text(xs[-1] + 26, ys[-1] + 4, "bets" if kind == "bets" else "empty"))
    return parts


def _render_text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'
