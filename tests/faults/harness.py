"""The common parts of all faults: players, results, and the command that repeats a failure."""

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
"""The seed of `make test`: it is fixed, so that a failure can be repeated."""

READY_WITHIN_S = 5.0


class TortureSpec(NamedTuple):
    """A fault. `module` has `torture(size, seed, folder)`, which returns counts and raises AssertionError if
    anything is lost. `full_size` is the size of a long run, in `unit`."""

    module: str
    description: str
    full_size: int
    unit: str


FAULTS = {
    "kill": TortureSpec("kill", "kill -9 under the load of 32 clients and of parallel commands", 2_000, "cycles"),
    "power": TortureSpec("power_loss", "power loss, with unsynced writes present, missing or torn", 500_000, "images"),
    "io": TortureSpec(
        "failing_io", "the nth write, sync or truncation fails, once or permanently", 400, "calls of each kind"
    ),
    "disk": TortureSpec("full_disk", "the disk fills up, or files may not grow; later it has space again", 50, "times"),
    "model": TortureSpec(
        "model_check", "random histories with restarts and kills, compared with a simple model", 20_000, "histories"
    ),
    "leaving": TortureSpec("shutdowns", "clients that disconnect and servers that stop at any point", 50_000, "calls"),
    "network": TortureSpec(
        "network", "a proxy that delays, resets, drops, repeats and reorders calls", 500_000, "calls"
    ),
    "fuzz": TortureSpec("fuzz", "hostile bytes for every parser, guided by coverage", 3_600, "seconds for each parser"),
    "requests": TortureSpec("hostile_requests", "every method on every route, and altered calls", 3_600, "seconds"),
    "slow": TortureSpec("slow_clients", "500 slow request heads beside normal clients", 200, "comparisons"),
    "hostile": TortureSpec(
        "hostile_connections", "500 hostile connections of each kind beside normal clients", 10, "comparisons"
    ),
    "files": TortureSpec("damaged_files", "truncated, altered and stale files", 100_000, "files"),
    "soak": TortureSpec("soak", "an hour of load on one server", 3_600, "seconds"),
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
    """Run one fault at this size and print its counts. A failure names the command that repeats it."""
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
    """Add players with money and a session without an expiry, from one seed file."""
    file = cli.db.with_name(f"{agent}.csv")
    players = write_player_csv(file, number, cash=cash, bonus=bonus, agent=agent)
    cli("seed", file)
    return players


def write_player_csv(file: Path, number: int, *, cash: str, bonus: str, agent: str = "default") -> list[SeededPlayer]:
    """Write a file for the command `seed`, and return its players."""
    players = [SeededPlayer(f"player{each}", f"token_{agent}_{each}", agent=agent) for each in range(number)]
    with file.open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(["player_id", "currency", "balance", "bonus", "token", "agent"])
        rows.writerows([seat.player, seat.currency, cash, bonus, seat.token, seat.agent] for seat in players)
    return players


def assert_nothing_lost(file: Path, history: History) -> Counter[str]:
    """Check the file, which is not open, with the independent checker, and return its counts.

    The checker reads a copy, so that the next process still has to recover the file.
    """
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        verdict = check_file(copy_wallet_file(file, Path(folder) / file.name, "-wal"), history)
    assert not verdict.problems, "\n".join(verdict.problems[:20])
    return verdict.counts


def assert_ready_soon(server: Server, begun: float) -> None:
    """Check that a server that was started at `begun` is ready now, and in time."""
    assert server.http.get("/readyz").status_code == 200
    took = time.monotonic() - begun
    assert took < READY_WITHIN_S, f"ready only after {took:.1f} s"
