"""The figures as a picture, for light and dark pages."""

from collections.abc import Sequence
from html import escape
from statistics import median

from tests.bench.rows import SIZES, at
from tests.bench.turns import Found, Turn, short

WIDTH, EDGE = 760, 24
FULL = WIDTH - 2 * EDGE
HEAD, ROW, BAR = 54, 46, 12
PANEL = 220

MOST = 2.0
"""Whoever reaches a goal more than twice has a bar that ends here."""

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


def draw(found: Sequence[Found], turns: Sequence[Turn]) -> str:
    """A bar for each row that has a goal, and below how the rate grows with the connections."""
    aimed = [each for each in found if each.reach]
    parts = [
        _text(EDGE, EDGE, "A bar that passes its line has reached its goal; one at the end, twice as much.", "small")
    ]
    parts += [part for number, each in enumerate(aimed) for part in _bar(each, HEAD + ROW * number)]
    top = HEAD + ROW * len(aimed) + EDGE
    height = top
    if all(f"minwallet, {at(size)}" in turns[0].samples for size in SIZES):
        parts += _growth(turns, top)
        height += PANEL + 2 * EDGE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    title = "<title>What the bench measured, held against what it should reach</title>"
    paper = f'<rect class="paper" width="{WIDTH}" height="{height}"/>'
    return "\n".join([head, title, f"<style>{STYLE}</style>", paper, *parts, "</svg>"]) + "\n"


def _bar(found: Found, y: float) -> list[str]:
    reach = found.reach
    assert reach is not None
    share = reach.share(found.value)
    length, goal = FULL * min(share, MOST) / MOST, EDGE + FULL / MOST
    below = y + 8
    kind = "reached" if share >= 1 else "short"
    return [
        _text(EDGE, y, found.what.partition(" (")[0]),
        _text(WIDTH - EDGE, y, f"{short(found.value)}  ({reach})", anchor="end"),
        f'<rect class="track" x="{EDGE}" y="{below}" width="{FULL}" height="{BAR}" rx="3"/>',
        f'<rect class="{kind}" x="{EDGE}" y="{below}" width="{length:.0f}" height="{BAR}" rx="3"/>',
        f'<line class="goal" x1="{goal:.0f}" y1="{below - 3}" x2="{goal:.0f}" y2="{below + BAR + 3}"/>',
    ]


def _growth(turns: Sequence[Turn], top: float) -> list[str]:
    lines = {
        kind: [median(turn.samples[f"{name}, {at(size)}"].per_second for turn in turns) for size in SIZES]
        for kind, name in (("empty", "empty endpoint"), ("bets", "minwallet"))
    }
    most, floor = max(map(max, lines.values())), top + PANEL
    step = (FULL - 100) / (len(SIZES) - 1)
    xs = [EDGE + 20 + step * number for number in range(len(SIZES))]
    parts = [
        _text(EDGE, top, "requests per second, by connections"),
        f'<line class="axis" x1="{EDGE}" y1="{floor}" x2="{WIDTH - EDGE}" y2="{floor}"/>',
    ]
    for x, size in zip(xs, SIZES, strict=True):
        parts.append(_text(x, floor + 16, f"{size:,}", "small", "middle"))
    for kind, rates in lines.items():
        ys = [floor - (PANEL - 50) * rate / most for rate in rates]
        points = " ".join(f"{x:.0f},{y:.0f}" for x, y in zip(xs, ys, strict=True))
        parts.append(f'<polyline class="{kind}" points="{points}"/>')
        for x, y, rate in zip(xs, ys, rates, strict=True):
            parts.append(_text(x, y - 8 if kind == "empty" else y + 18, f"{rate:,.0f}", "small", "middle"))
        parts.append(_text(xs[-1] + 26, ys[-1] + 4, "bets" if kind == "bets" else "empty"))
    return parts


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'
