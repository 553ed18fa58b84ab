"""`make bench`: minwallet beside an empty endpoint, PostgreSQL, and wallets of the usual kind, in one run.

Everything is measured several times in turn, so that a machine whose speed drifts drifts for all of it; what counts are
the medians of ratios. A run of all rows writes its table and its chart to tests/bench/results.
"""

from tests.bench import chart, report
from tests.bench.machine import describe
from tests.bench.rows import CONNECTIONS, ROWS, Round
from tests.bench.session import keep, options_of, session
from tests.bench.turns import measure
from tests.bench.wrk import PLAYERS


def main() -> None:
    options = options_of("bench", __doc__, [row.name for row in ROWS])
    rows = [row for row in ROWS if row.name in options.only]
    with session(options.folder) as place:
        turns = [Round(place, options.seconds) for _ in range(options.turns)]
        found, skipped = measure(rows, turns)
        machine = describe(place.folder, *place.versions)
    how = f"Medians of {options.turns} turns, with loads of {options.seconds} s each"
    load = f"{CONNECTIONS} connections where nothing else is said, {PLAYERS:,} players, one server process"
    text = report.write("bench", found, skipped, turns, machine, f"{how}; {load}.")
    print(f"\n{text}")
    if options.is_whole:
        keep("bench.md", text)
        keep("bench.svg", chart.draw(found, turns))


if __name__ == "__main__":
    main()
