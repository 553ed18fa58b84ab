"""What all faults have in common: a seat for every player, a verdict that is printed, and how to repeat it."""

import csv
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from tests.faults.checker import check_file
from tests.faults.history import History
from tests.faults.load_clients import SeededPlayer
from tests.support import InProcessCli, Server, copy_wallet_file

SEED = 1
"""What `make test` begins with: the same every time, so that whoever sees it fail sees it fail again."""

READY_WITHIN_S = 5.0


class TortureSpec(NamedTuple):
    """A way to break things. `module` has `torture(size, seed, folder)`, which returns what was counted and raises
    AssertionError for whatever is lost; `long` is the size that a whole torture has, in `unit`."""

    module: str
    description: str
    full_size: int
    unit: str


FAULTS = {
    "kill": TortureSpec("kill", "kill -9 under the load of 32 clients and of changes by command", 2_000, "cycles"),
    "power": TortureSpec("power_loss", "power loss, with what was not synced there, gone or torn", 500_000, "images"),
    "io": TortureSpec("failing_io", "the Nth write, sync or truncation fails, once or for ever", 400, "calls in turn"),
    "disk": TortureSpec(
        "full_disk", "the disk fills up, or the file may not grow, and then there is room again", 50, "times"
    ),
    "model": TortureSpec(
        "model_check", "random histories and restarts, held against a naive model", 20_000, "histories"
    ),
    "leaving": TortureSpec("shutdowns", "clients and servers that go at any point", 50_000, "calls"),
    "network": TortureSpec("network", "a network that delays, resets, drops, repeats and reorders", 500_000, "calls"),
    "fuzz": TortureSpec("fuzz", "hostile bytes for every reader, guided by coverage", 3_600, "seconds a reader"),
    "requests": TortureSpec(
        "hostile_requests", "hostile requests on every route, and calls that were tampered with", 3_600, "seconds"
    ),
    "slow": TortureSpec("slow_clients", "500 slow heads beside good clients", 200, "comparisons"),
    "files": TortureSpec("damaged_files", "cut, flipped and stale files", 100_000, "files"),
    "soak": TortureSpec("soak", "an evening's load on one server", 3_600, "seconds"),
}


class TortureResult(NamedTuple):
    name: str
    size: int
    seed: int
    seconds: float
    counts: Counter[str]

    @property
    def counts_text(self) -> str:
        return ", ".join(f"{number:,} {what}" for what, number in sorted(self.counts.items()))

    def __str__(self) -> str:
        tried = f"{self.name}: {self.size:,} {FAULTS[self.name].unit}, seed {self.seed}"
        return f"{tried}, {self.seconds:.0f} s: {self.counts_text}"


def run_torture(name: str, size: int, folder: Path, seed: int = SEED) -> TortureResult:
    """Try one fault so often and print what there was to count; a failure tells how to repeat it."""
    work: Callable[[int, int, Path], Counter[str]] = import_module(f"tests.faults.{FAULTS[name].module}").torture
    begun = time.monotonic()
    try:
        counts = work(size, seed, folder)
    except BaseException as error:
        error.add_note(f"repeat it with: make torture TORTURE='--only {name} --size {size} --seed {seed}'")
        raise
    result = TortureResult(name, size, seed, time.monotonic() - begun, counts)
    print(result, flush=True)
    return result


def create_players(
    cli: InProcessCli, number: int, *, cash: str = "1000000", bonus: str = "50", agent: str = "default"
) -> list[SeededPlayer]:
    """Players with money and a session that lasts, made with one seed file."""
    file = cli.db.with_name(f"{agent}.csv")
    players = write_player_csv(file, number, cash=cash, bonus=bonus, agent=agent)
    cli("seed", file)
    return players


def write_player_csv(file: Path, number: int, *, cash: str, bonus: str, agent: str = "default") -> list[SeededPlayer]:
    """The players that the command `seed` makes of this file."""
    players = [SeededPlayer(f"player{each}", f"token_{agent}_{each}", agent=agent) for each in range(number)]
    with file.open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(["player_id", "currency", "balance", "bonus", "token", "agent"])
        rows.writerows([seat.player, seat.currency, cash, bonus, seat.token, seat.agent] for seat in players)
    return players


def assert_nothing_lost(file: Path, history: History) -> Counter[str]:
    """The examiner has no complaint about the file, which nobody has open; what it counted.

    It looks at a copy, so that whoever opens the file next has to recover it anew.
    """
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        verdict = check_file(copy_wallet_file(file, Path(folder) / file.name, "-wal"), history)
    assert not verdict.problems, "\n".join(verdict.problems[:20])
    return verdict.counts


def assert_ready_soon(server: Server, begun: float) -> None:
    """A server that was started then can take money by now."""
    assert server.http.get("/readyz").status_code == 200
    took = time.monotonic() - begun
    assert took < READY_WITHIN_S, f"ready only after {took:.1f} s"
