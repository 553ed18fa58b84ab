"""`make torture`: every fault at its long size, or at a share of it, with a table in the end.

make torture TORTURE='--share 0.1 --jobs 2'
make torture TORTURE='--only kill --size 200 --seed 7'
"""

import argparse
import random
import sys
import tempfile
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tests.faults.harness import FAULTS, TortureResult, run_torture


def main(arguments: Sequence[str]) -> int:
    options = _parse_options(arguments)
    trials: dict[Future[TortureResult], str] = {}
    results: dict[str, TortureResult] = {}
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        for name in options.only or FAULTS:
            size = options.size or max(1, round(FAULTS[name].full_size * options.share))
            print(f"{name}: {FAULTS[name].description}; {size:,} {FAULTS[name].unit}, seed {options.seed}")
            trials[pool.submit(_run_in_temp_folder, name, size, options.seed, options.folder)] = name
        print(flush=True)
        for trial in as_completed(trials):
            try:
                results[trials[trial]] = trial.result()
            except Exception:
                print(f"{trials[trial]} FAILED", flush=True)
                traceback.print_exc()
    print(f"\n{_format_table([*trials.values()], results)}")
    return 0 if len(results) == len(trials) else 1


def _run_in_temp_folder(name: str, size: int, seed: int, folder: Path) -> TortureResult:
    with tempfile.TemporaryDirectory(prefix="minwallet-torture-", dir=folder) as place:
        return run_torture(name, size, Path(place), seed)


def _parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make torture", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=FAULTS, action="append", help="try this fault (repeat for more)")
    parser.add_argument("--share", type=float, default=1.0, help="the share of the long sizes")
    parser.add_argument("--size", type=int, help="the size itself, for all that are tried")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="the same seed, the same choices")
    parser.add_argument("--jobs", type=int, default=1, help="how many faults are tried at the same time")
    parser.add_argument("--folder", type=Path, default="/var/tmp", help="on the disk that is to be tried")
    return parser.parse_args(arguments)


def _format_table(names: Sequence[str], results: dict[str, TortureResult]) -> str:
    rows = ["| fault | size | seed | seconds | counted |", "|---|--:|--:|--:|---|"]
    for name in names:
        if (found := results.get(name)) is None:
            rows.append(f"| {name} | | | | **failed** |")
        else:
            size = f"{found.size:,} {FAULTS[name].unit}"
            rows.append(f"| {name} | {size} | {found.seed} | {found.seconds:.0f} | {found.counts_text} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
