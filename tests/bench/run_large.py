"""`make bench-large`: the cost of ten million entries, compared with a file that started empty. The large file is
generated first, which takes some minutes. `--rows` makes it smaller, and `--file` takes a copy of an existing one. A
run of all metrics writes its table to tests/bench/results."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench import markdown_report
from tests.bench.hardware import ROOT, describe_machine
from tests.bench.large_measurements import (
    FULL_SCAN_METRICS,
    OFFLINE_METRICS,
    ONLINE_METRICS,
    LargeLedger,
    OfflineRun,
    OnlineRun,
)
from tests.bench.results import BenchOptions, create_environment, parse_options, save_result
from tests.bench.sampling import SamplingRun, measure_metrics
from tests.bench.server import run_bench_server


def main() -> None:
    names = [*(row.name for row in OFFLINE_METRICS), *(row.name for row in ONLINE_METRICS)]
    options = parse_options("bench-large", __doc__, names, is_large=True)
    idle_rows = [row for row in OFFLINE_METRICS if row.name in options.only]
    busy_rows = [row for row in ONLINE_METRICS if row.name in options.only]
    with create_environment(options.folder) as place:
        large = prepare_ledger(place.folder / "large.db", options)
        idle = [OfflineRun(large) for _ in range(options.turns)]
        found, skipped = measure_metrics([row for row in idle_rows if row not in FULL_SCAN_METRICS], idle)
        found_once, skipped_once = measure_metrics([row for row in idle_rows if row in FULL_SCAN_METRICS], idle[:1])
        found, skipped = found + found_once, skipped | skipped_once
        turns: list[SamplingRun] = [*idle]
        if busy_rows:
            with run_bench_server(large.file) as at:
                busy = [OnlineRun(large, at, place, options.seconds) for _ in range(options.turns)]
                found_busy, skipped_busy = measure_metrics(busy_rows, busy)
            turns, found, skipped = [*turns, *busy], found + found_busy, skipped | skipped_busy
        machine = describe_machine(place.folder)
    what = f"A ledger of {options.rows:,} rows and {options.players:,} players, {large.bytes / 10**9:.2f} GB"
    how = f"medians of {options.turns} turns, with loads of {options.seconds} s each; what reads all rows does so once"
    text = markdown_report.render_report("bench-large", found, skipped, turns, machine, f"{what}; {how}.")
    print(f"\n{text}")
    if options.is_whole:
        save_result("bench-large.md", text)


def prepare_ledger(file: Path, options: BenchOptions) -> LargeLedger:
    """Copy the given file or generate a large one, and return it."""
    if options.file:
        shutil.copy(options.file, file)
    else:
        size = ["--rows", str(options.rows), "--players", str(options.players)]
        subprocess.run([sys.executable, "-m", "tests.bench.large_ledger", str(file), *size], check=True, cwd=ROOT)
    return LargeLedger(file, options.rows, options.players)


if __name__ == "__main__":
    main()
