"""The common parts of every benchmark: options, a folder to work in, and the place of the results."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import NamedTuple

from minwallet.bench.server_process import raise_file_limit
from tests.bench.environments import Environment
from tests.bench.measurements import CONNECTION_COUNTS
from tests.bench.wrk import check_installed

RESULTS = Path(__file__).with_name("results")

MIN_TURNS = 5

FULL_ROWS = 10_000_000
"""What makes a ledger a long one."""


class BenchOptions(NamedTuple):
    """The options of a run. `is_whole` is true if the results are to be stored."""

    turns: int
    seconds: int
    only: Sequence[str]
    folder: Path
    rows: int
    players: int
    file: Path | None
    is_whole: bool


def parse_options(target: str, about: str | None, names: Sequence[str], *, is_large: bool = False) -> BenchOptions:
    """Parse the arguments after `make TARGET`."""
    arguments = argparse.ArgumentParser(prog=f"make {target}", description=about)
    arguments.add_argument("--turns", type=int, default=MIN_TURNS)
    arguments.add_argument("--seconds", type=int, default=3, help="how long each load lasts")
    arguments.add_argument("--only", choices=names, action="append", help="measure this row (repeat for more)")
    arguments.add_argument("--folder", type=Path, default="/var/tmp", help="on the disk that is to be measured")
    if is_large:
        arguments.add_argument("--rows", type=int, default=FULL_ROWS, help="of the large file's ledger")
        arguments.add_argument("--players", type=int, default=100_000, help="of the large file")
        arguments.add_argument("--file", type=Path, help="an existing large file with this number of rows and players")
    given = arguments.parse_args()
    rows, players, file = (given.rows, given.players, given.file) if is_large else (FULL_ROWS, 0, None)
    is_whole = not given.only and given.turns >= MIN_TURNS and rows >= FULL_ROWS
    return BenchOptions(given.turns, given.seconds, given.only or names, given.folder, rows, players, file, is_whole)


@contextmanager
def create_environment(folder: Path) -> Iterator[Environment]:
    """Create an environment on the disk of this folder, without the user's settings. All its servers stop with the
    block, also if this program is interrupted or terminated."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    check_installed()
    raise_file_limit(max(CONNECTION_COUNTS))
    for name in [name for name in os.environ if name.startswith("MINWALLET_")]:
        del os.environ[name]
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="minwallet-bench-", dir=folder))
        stack.enter_context(chdir(place))
        yield Environment(Path(place), stack)


def save_result(name: str, text: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(text)
    print(f"written: {RESULTS / name}")
