"""`make bench`: minwallet beside an empty endpoint, PostgreSQL and typical wallets, in one run. Every metric is
measured several times in turn, so that changes in the speed of the machine affect all metrics alike. The result is
the median of the ratios. A run of all metrics writes its table and its chart to tests/bench/results."""

from tests.bench import chart, markdown_report
from tests.bench.hardware import describe_machine
from tests.bench.measurements import CONNECTIONS, METRICS, StandardRun
from tests.bench.results import create_environment, parse_options, save_result
from tests.bench.sampling import measure_metrics
from tests.bench.wrk import PLAYERS


def main() -> None:
    options = parse_options("bench", __doc__, [row.name for row in METRICS])
    rows = [row for row in METRICS if row.name in options.only]
    with create_environment(options.folder) as place:
        turns = [StandardRun(place, options.seconds) for _ in range(options.turns)]
        found, skipped = measure_metrics(rows, turns)
        machine = describe_machine(place.folder, *place.versions)
    how = f"Medians of {options.turns} turns, with loads of {options.seconds} s each"
    load = f"{CONNECTIONS} connections where nothing else is said, {PLAYERS:,} players, one server process"
    text = markdown_report.render_report("bench", found, skipped, turns, machine, f"{how}; {load}.")
    print(f"\n{text}")
    if options.is_whole:
        save_result("bench.md", text)
        save_result("bench.svg", chart.render_chart(found, turns))


if __name__ == "__main__":
    main()
