"""Where everything is measured: a folder of its own on one disk, and the servers, each started when it is asked for."""

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

BENCH_FOLDER = Path(__file__).parent
START_TIMEOUT_S = 30


class Environment:
    """What the stack holds ends with it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.versions: list[str] = []
        """Of what minwallet is compared with."""

    @cached_property
    def empty_url(self) -> str:
        """Where nothing is asked and nothing said."""
        return self._warm_up(self._stack.enter_context(run_script(self.folder, "empty_endpoint.py")))

    @cached_property
    def wallet_url(self) -> str:
        """minwallet with the settings that it comes with."""
        return self.start_wallet("wallet.db")

    @cached_property
    def no_journal_url(self) -> str:
        """minwallet that keeps no requests and replies."""
        return self.start_wallet("unwritten.db", MINWALLET_JOURNAL_DAYS="0")

    @cached_property
    def fastapi_url(self) -> str:
        """A wallet of the usual kind."""
        if missing := [name for name in ("fastapi", "sqlalchemy") if importlib.util.find_spec(name) is None]:
            raise DependencyMissing(f"{missing[0]} is not installed; `make bench` does that")
        return self._warm_up(
            self._stack.enter_context(run_script(self.folder, "fastapi_wallet.py", self.folder / "fastapi.db"))
        )

    @cached_property
    def cluster(self) -> postgres.PostgresCluster:
        """PostgreSQL with pgbench's tables, on the same disk."""
        cluster = self._stack.enter_context(postgres.run_cluster(self.folder.parent))
        self.versions.append(cluster.version)
        return cluster

    def start_wallet(self, name: str, **settings: str) -> str:
        """A server on a file of this name, with players if it is new; where it takes bets."""
        file = self.folder / name
        if not file.exists():
            time_seed(file, self.write_players(PLAYERS))
        endpoint = self._stack.enter_context(run_server(file, file.with_suffix(".log"), **settings))
        return self._warm_up(f"{endpoint.calls}/wallet")

    def _warm_up(self, url: str) -> str:
        """The same address, once the server behind it has done all that is done for a first request."""
        run_wrk(url, connections=4, seconds=1)
        return url

    def write_players(self, number: int) -> Path:
        """A file of so many players, each with a session."""
        file = self.folder / f"{number}.csv"
        if not file.exists():
            with file.open("w", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(["player_id", "currency", "balance", "token"])
                writer.writerows((f"bench_{n}", "USD", "10000000", f"bench_{n}") for n in range(number))
        return file


def time_seed(wallet: Path, players: Path) -> float:
    """Have the command add the players; how long that takes, its start included, in seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "minwallet", "--db", str(wallet), "seed", str(players)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


@contextmanager
def run_script(folder: Path, name: str, *arguments: Path) -> Iterator[str]:
    """A server of the bench itself, which is told its port; where it takes bets."""
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
