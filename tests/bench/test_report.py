"""The bench's page and picture, from figures that nobody had to measure."""

from xml.etree import ElementTree as ET

from tests.bench import chart, report
from tests.bench.rows import SIZES, at
from tests.bench.turns import Found, Missing, Reach, Row, Sample, Turn, measure


def _turns(*rates: float) -> list[Turn]:
    turns = [Turn() for _ in rates]
    for turn, rate in zip(turns, rates, strict=True):
        for name in ("minwallet", "empty endpoint"):
            for size in SIZES:
                turn.samples[f"{name}, {at(size)}"] = Sample(rate, 1, 2)
    return turns


def test_what_several_rows_are_about_is_measured_once_a_turn() -> None:
    """And rows that cannot be measured are skipped, each with its reason, after the first try."""
    asked: list[str] = []

    def look() -> Sample:
        asked.append("rate")
        return Sample(10)

    def rate(turn: Turn) -> float:
        return turn.once("rate", look).per_second

    def absent(turn: Turn) -> float:
        asked.append("absent")
        raise Missing("it is not installed")

    rows = [Row("a", "", None, rate), Row("b", "", None, rate), Row("c", "", None, absent)]
    found, skipped = measure(rows, [Turn(), Turn()])
    assert [(each.name, list(each.values)) for each in found] == [("a", [10, 10]), ("b", [10, 10])]
    assert skipped == {"c": "it is not installed"}
    assert asked == ["rate", "absent", "rate"]


def test_a_row_says_whether_it_is_reached() -> None:
    """At least so much, at the most so much, or nothing to reach; the median counts."""
    assert report.judge(Found("a", "", Reach(0.5), [0.1, 0.5, 0.6])) == "reached"
    assert report.judge(Found("a", "", Reach(0.5), [0.1, 0.4, 0.6])) == "80% of it"
    assert report.judge(Found("a", "", Reach(2, at_most=True), [4, 1, 5])) == "50% of it"
    assert report.judge(Found("a", "", Reach(2, at_most=True), [-1])) == "reached"
    assert report.judge(Found("a", "", None, [1])) == ""


def test_the_page_has_every_row_and_how_to_repeat_it() -> None:
    """Also the ones that were not measured, and why."""
    found = [Found("rate", "bets/s", Reach(0.75), [0.5, 0.7, 0.8])]
    page = report.write("bench", found, {"postgres": "it is not installed"}, _turns(1, 2, 3), "a machine")
    assert "| bets/s | **0.70** | 0.50 to 0.80 | ≥ 0.75 | 93% of it | `make bench BENCH='--only rate'` |" in page
    assert "| postgres | | | | not measured: it is not installed | |" in page
    assert f"| minwallet, {at(64)} | 2 | 1.00 | 2.00 |  |" in page


def test_the_picture_is_one_for_light_and_dark() -> None:
    """It is well-formed, has a bar for each row with a goal, and a line for each of the two endpoints."""
    found = [Found("a", "x < y", Reach(1), [0.5]), Found("b", "none", None, [1]), Found("c", "z", Reach(1), [9])]
    picture = chart.draw(found, _turns(10, 20, 30))
    drawn = ET.fromstring(picture)
    kinds = [each.get("class") for each in drawn.iter()]
    assert (kinds.count("reached"), kinds.count("short"), kinds.count("bets"), kinds.count("empty")) == (1, 1, 1, 1)
    assert "prefers-color-scheme: dark" in picture
    left = [Turn()]
    assert "polyline" not in chart.draw(found, left)
