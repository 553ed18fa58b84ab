"""`make torture`: every fault at its long size, or at a share of it, with a table in the end.

make torture TORTURE='--share 0.1'
make torture TORTURE='--only kill --size 200 --seed 7'
"""

import argparse
import random
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.faults.trial import FAULTS, Result, torture


def main(arguments: Sequence[str]) -> int:
    given = _options(arguments)
    results: list[Result] = []
    failed: list[str] = []
    for name in given.only or FAULTS:
        size = given.size or max(1, round(FAULTS[name].long * given.share))
        print(f"{name}: {FAULTS[name].about}; {size:,} {FAULTS[name].unit}, seed {given.seed} …", flush=True)
        with tempfile.TemporaryDirectory(prefix="minwallet-torture-", dir=given.folder) as folder:
            try:
                results.append(torture(name, size, Path(folder), given.seed))
            except Exception:
                failed.append(name)
                traceback.print_exc()
    print(f"\n{_table(results, failed)}")
    return 1 if failed else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make torture", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=FAULTS, action="append", help="try this fault (repeat for more)")
    parser.add_argument("--share", type=float, default=1.0, help="the share of the long sizes")
    parser.add_argument("--size", type=int, help="the size itself, for all that are tried")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(10**6), help="the same seed makes the same choices"
    )
    parser.add_argument("--folder", type=Path, default="/var/tmp", help="on the disk that is to be tried")
    return parser.parse_args(arguments)


def _table(results: Sequence[Result], failed: Sequence[str]) -> str:
    rows = ["| fault | size | seed | seconds | counted |", "|---|--:|--:|--:|---|"]
    for each in results:
        counted = ", ".join(f"{number:,} {what}" for what, number in sorted(each.counts.items()))
        size = f"{each.size:,} {FAULTS[each.name].unit}"
        rows.append(f"| {each.name} | {size} | {each.seed} | {each.seconds:.0f} | {counted} |")
    return "\n".join([*rows, *(f"| {name} | | | | **failed** |" for name in failed)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
