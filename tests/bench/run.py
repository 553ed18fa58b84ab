"""`make bench`: minwallet beside an empty endpoint, PostgreSQL, and wallets of the usual kind, in one run.

Everything is measured several times in turn, so that a machine whose speed drifts drifts for all of it; what counts are
the medians of ratios. A run of all rows writes its table and its chart to tests/bench/results.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, chdir
from pathlib import Path

from minwallet.bench.server import allow_connections
from tests.bench import chart, report, wrk
from tests.bench.machine import describe
from tests.bench.place import Place
from tests.bench.postgres import NotInstalled
from tests.bench.report import Found
from tests.bench.rows import ROWS, SIZES, Round, Row

RESULTS = Path(__file__).with_name("results")

ENOUGH_ROUNDS = 5


def main() -> None:
    names = [row.name for row in ROWS]
    arguments = argparse.ArgumentParser(prog="make bench", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ENOUGH_ROUNDS)
    arguments.add_argument("--seconds", type=int, default=3, help="how long each load lasts")
    arguments.add_argument("--only", choices=names, action="append", help="measure this row (repeat for more)")
    arguments.add_argument("--folder", type=Path, default="/var/tmp", help="on the disk that is to be measured")
    options = arguments.parse_args()
    wrk.check_installed()
    allow_connections(max(SIZES))
    rows = [row for row in ROWS if row.name in (options.only or names)]
    with ready(options.folder) as stack:
        place = Place(Path.cwd(), stack)
        turns = [Round(place, options.seconds) for _ in range(options.rounds)]
        found, skipped = measure(rows, turns)
        machine = describe(place.folder, *place.versions)
    text = report.write(found, skipped, turns, machine, options.seconds)
    print(f"\n{text}")
    if not options.only and options.rounds >= ENOUGH_ROUNDS:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "bench.md").write_text(text)
        (RESULTS / "bench.svg").write_text(chart.draw(found, turns))
        print(f"\nwritten to {RESULTS}")


def ready(folder: Path) -> ExitStack:
    """A new folder to work in, on the disk of this one, where nobody's own settings count; all that is started in it
    ends when the stack does, also when this program is told to."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in [name for name in os.environ if name.startswith("MINWALLET_")]:
        del os.environ[name]
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="minwallet-bench-", dir=folder))
        stack.enter_context(chdir(place))
        return stack.pop_all()


def measure(rows: Sequence[Row], turns: Sequence[Round]) -> tuple[list[Found], dict[str, str]]:
    """What was found, and the rows that cannot be measured here, with the reasons."""
    values, skipped = {row: list[float]() for row in rows}, dict[str, str]()
    for number, turn in enumerate(turns, 1):
        print(f"round {number} of {len(turns)}", file=sys.stderr)
        for row in rows:
            if row.name not in skipped:
                try:
                    values[row].append(row.value(turn))
                except NotInstalled as error:
                    skipped[row.name] = str(error)
    return [Found(row, said) for row, said in values.items() if said], skipped


if __name__ == "__main__":
    main()
