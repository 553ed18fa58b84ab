"""`make bench-large`: what ten million rows cost, held against a file that began empty.

The large file is made first, which takes some minutes; `--rows` makes it smaller, and `--file` takes a copy of one that
was made before. A run of all rows of the table writes it to tests/bench/results.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench import report
from tests.bench.large_rows import BUSY_ROWS, IDLE_ROWS, LONG_ROWS, Busy, Idle, Large
from tests.bench.machine import ROOT, describe
from tests.bench.served import served
from tests.bench.session import Options, keep, options_of, session
from tests.bench.turns import Turn, measure


def main() -> None:
    names = [*(row.name for row in IDLE_ROWS), *(row.name for row in BUSY_ROWS)]
    options = options_of("bench-large", __doc__, names, is_large=True)
    idle_rows = [row for row in IDLE_ROWS if row.name in options.only]
    busy_rows = [row for row in BUSY_ROWS if row.name in options.only]
    with session(options.folder) as place:
        large = make(place.folder / "large.db", options)
        idle = [Idle(large) for _ in range(options.turns)]
        found, skipped = measure([row for row in idle_rows if row not in LONG_ROWS], idle)
        found_once, skipped_once = measure([row for row in idle_rows if row in LONG_ROWS], idle[:1])
        found, skipped = found + found_once, skipped | skipped_once
        turns: list[Turn] = [*idle]
        if busy_rows:
            with served(large.file) as at:
                busy = [Busy(large, at, place, options.seconds) for _ in range(options.turns)]
                found_busy, skipped_busy = measure(busy_rows, busy)
            turns, found, skipped = [*turns, *busy], found + found_busy, skipped | skipped_busy
        machine = describe(place.folder)
    what = f"A ledger of {options.rows:,} rows and {options.players:,} players, {large.bytes / 10**9:.2f} GB"
    how = f"medians of {options.turns} turns, with loads of {options.seconds} s each; what reads all rows does so once"
    text = report.write("bench-large", found, skipped, turns, machine, f"{what}; {how}.")
    print(f"\n{text}")
    if options.is_whole:
        keep("bench-large.md", text)


def make(file: Path, options: Options) -> Large:
    """The large file: a copy of what is given, or made by the generator."""
    if options.file:
        shutil.copy(options.file, file)
    else:
        size = ["--rows", str(options.rows), "--players", str(options.players)]
        subprocess.run([sys.executable, "-m", "tests.bench.large", str(file), *size], check=True, cwd=ROOT)
    return Large(file, options.rows, options.players)


if __name__ == "__main__":
    main()
