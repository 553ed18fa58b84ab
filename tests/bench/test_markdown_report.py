"""The benchmark's page and chart, from given numbers."""

from xml.etree import ElementTree as ET

from tests.bench import chart, markdown_report
from tests.bench.measurements import CONNECTION_COUNTS, describe_connections
from tests.bench.sampling import DependencyMissing, Goal, Metric, MetricResult, Sample, SamplingRun, measure_metrics


def _turns(*rates: float) -> list[SamplingRun]:
    turns = [SamplingRun() for _ in rates]
    for turn, rate in zip(turns, rates, strict=True):
        for name in ("minwallet", "empty endpoint"):
            for size in CONNECTION_COUNTS:
                turn.samples[f"{name}, {describe_connections(size)}"] = Sample(rate, 1, 2)
    return turns


def test_a_shared_sample_is_measured_once_a_turn() -> None:
    """A metric that cannot be measured is skipped with its reason after the first attempt."""
    asked: list[str] = []

    def look() -> Sample:
        asked.append("rate")
        return Sample(10)

    def rate(turn: SamplingRun) -> float:
        return turn.measure_once("rate", look).per_second

    def absent(turn: SamplingRun) -> float:
        asked.append("absent")
        raise DependencyMissing("it is not installed")

    rows = [Metric("a", "", None, rate), Metric("b", "", None, rate), Metric("c", "", None, absent)]
    found, skipped = measure_metrics(rows, [SamplingRun(), SamplingRun()])
    assert [(each.name, list(each.values)) for each in found] == [("a", [10, 10]), ("b", [10, 10])]
    assert skipped == {"c": "it is not installed"}
    assert asked == ["rate", "absent", "rate"]


def test_a_metric_is_judged_against_its_goal() -> None:
    """A goal is a minimum, a maximum or none; the median counts."""
    assert markdown_report.describe_goal(MetricResult("a", "", Goal(0.5), [0.1, 0.5, 0.6])) == "reached"
    assert markdown_report.describe_goal(MetricResult("a", "", Goal(0.5), [0.1, 0.4, 0.6])) == "80% of it"
    assert markdown_report.describe_goal(MetricResult("a", "", Goal(2, is_maximum=True), [4, 1, 5])) == "50% of it"
    assert markdown_report.describe_goal(MetricResult("a", "", Goal(2, is_maximum=True), [-1])) == "reached"
    assert markdown_report.describe_goal(MetricResult("a", "", None, [1])) == ""


def test_the_report_has_every_metric_and_its_command() -> None:
    """Metrics that were not measured are in the report with the reason."""
    found = [MetricResult("rate", "bets/s", Goal(0.75), [0.5, 0.7, 0.8])]
    page = markdown_report.render_report(
        "bench", found, {"postgres": "it is not installed"}, _turns(1, 2, 3), "a machine"
    )
    assert "| bets/s | **0.70** | 0.50 to 0.80 | ≥ 0.75 | 93% of it | `make bench BENCH='--only rate'` |" in page
    assert "| postgres | | | | not measured: it is not installed | |" in page
    assert f"| minwallet, {describe_connections(64)} | 2 | 1.00 | 2.00 |  |" in page


def test_the_chart_supports_light_and_dark() -> None:
    """It is well-formed SVG, with a bar for each metric with a goal, and a line for each of the two endpoints."""
    found = [
        MetricResult("a", "x < y", Goal(1), [0.5]),
        MetricResult("b", "none", None, [1]),
        MetricResult("c", "z", Goal(1), [9]),
    ]
    picture = chart.render_chart(found, _turns(10, 20, 30))
    drawn = ET.fromstring(picture)
    kinds = [each.get("class") for each in drawn.iter()]
    assert (kinds.count("reached"), kinds.count("short"), kinds.count("bets"), kinds.count("empty")) == (1, 1, 1, 1)
    assert "prefers-color-scheme: dark" in picture
    left = [SamplingRun()]
    assert "polyline" not in chart.render_chart(found, left)
