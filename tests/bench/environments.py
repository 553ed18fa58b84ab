"""The environment of a benchmark: a folder on one disk, and servers that start when they are first used."""

import csv
import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from minwallet.bench.server_process import run_server
from tests.bench import postgres
from tests.bench.sampling import DependencyMissing
from tests.bench.wrk import PLAYERS, run_wrk
from tests.orbit_package import ORBIT_FOLDER, add_orbit_secret
from tests.support import Cli

BENCH_FOLDER = Path(__file__).parent
START_TIMEOUT_S = 30


class Environment:
    """A folder with servers, which stop when the exit stack closes."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.versions: list[str] = []
        """Of what minwallet is compared with."""

    @cached_property
    def empty_url(self) -> str:
        """Return the URL of an endpoint without content."""
        return self._warm_up(self._stack.enter_context(run_script(self.folder, "empty_endpoint.py")))

    @cached_property
    def wallet_url(self) -> str:
        """Return the URL of minwallet with default settings."""
        return self.start_wallet("wallet.db")

    @cached_property
    def no_journal_url(self) -> str:
        """Return the URL of minwallet without a journal."""
        return self.start_wallet("unwritten.db", MINWALLET_JOURNAL_DAYS="0")

    @cached_property
    def orbit_url(self) -> str:
        """Return the URL of minwallet with the example package, whose calls are signed."""
        bets = self.start_wallet("orbit.db", MINWALLET_PLUGINS=str(ORBIT_FOLDER))
        add_orbit_secret(Cli(self.folder / "orbit.db"))
        return f"{bets.removesuffix('/wallet')}/orbit"

    @cached_property
    def fastapi_url(self) -> str:
        """Return the URL of a typical wallet."""
        if missing := [name for name in ("fastapi", "sqlalchemy") if importlib.util.find_spec(name) is None]:
            raise DependencyMissing(f"{missing[0]} is not installed; `make bench` does that")
        return self._warm_up(
            self._stack.enter_context(run_script(self.folder, "fastapi_wallet.py", self.folder / "fastapi.db"))
        )

    @cached_property
    def cluster(self) -> postgres.PostgresCluster:
        """Return PostgreSQL with pgbench's tables, on the same disk."""
        cluster = self._stack.enter_context(postgres.run_cluster(self.folder.parent))
        self.versions.append(cluster.version)
        return cluster

    def start_wallet(self, name: str, **settings: str) -> str:
        """Start a server on a file of this name, with players if the file is new, and return the URL for bets."""
        file = self.folder / name
        if not file.exists():
            time_seed(file, self.write_players(PLAYERS))
        endpoint = self._stack.enter_context(run_server(file, file.with_suffix(".log"), **settings))
        return self._warm_up(f"{endpoint.calls}/wallet")

    def _warm_up(self, url: str) -> str:
        """Wait until the server has served a first request, and return its URL."""
        run_wrk(url, connections=4, seconds=1)
        return url

    def write_players(self, number: int) -> Path:
        """Write a file with this number of players, each with a session."""
        file = self.folder / f"{number}.csv"
        if not file.exists():
            with file.open("w", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(["player_id", "currency", "balance", "token"])
                writer.writerows((f"bench_{n}", "USD", "10000000", f"bench_{n}") for n in range(number))
        return file


def time_seed(wallet: Path, players: Path) -> float:
    """Add the players with the command, and return its duration in seconds, start included."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "minwallet", "--db", str(wallet), "seed", str(players)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


@contextmanager
def run_script(folder: Path, name: str, *arguments: Path) -> Iterator[str]:
    """Run a server of the benchmark on a port given to it, and yield the URL for bets."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / f"{name}.log"
    with log.open("w") as stream:
        command = [sys.executable, str(BENCH_FOLDER / name), str(port), *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _is_listening(port):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{name} did not start: {log.read_text()}")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/wallet"
    finally:
        process.terminate()
        process.wait()


def _is_listening(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
