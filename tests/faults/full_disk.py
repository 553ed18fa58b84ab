"""A full disk under a loaded server, or a limit on the size of its files; later there is space again.

The disk is a small one in memory, which requires root; without root, the size of files is limited. Sometimes the
server's log is on the same disk.

A call without space gets 503. Either the server continues and applies calls when there is space again, or it stops
and reports why, and a retry at the next server gets the true outcome.
"""

import asyncio
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.faults.harness import READY_WITHIN_S, assert_nothing_lost, assert_ready_soon, create_players
from tests.faults.history import Attempt, monotonic_s
from tests.faults.load_clients import LoadClients
from tests.faults.process_ends import check_command_end, check_server_end
from tests.support import CommandResult, InProcessCli, Server, ServerDidNotStart, copy_wallet_file

PLAYERS, CLIENTS, CALLS = 12, 12, 25

DISK_BYTES = 6_000_000
MAX_FREE_BYTES, MAX_PLAYS = 250_000, 20
"""The maximum space for the load, which is enough for some hundred calls, and the number of plays, of which most do
not fit."""


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Run the scenario `size` times with a full disk, if possible, and as often with limited files."""
    counts: Counter[str] = Counter()
    chance = random.Random(seed)
    for number in range(size):
        if not small_disk_unavailable_reason():
            with mount_small_disk(folder / f"disk{number}") as disk:
                DiskFullScenario(disk, folder, chance, counts).run_full_disk()
        (limited := folder / f"limited{number}").mkdir()
        DiskFullScenario(limited, folder, chance, counts).run_file_size_limit()
    assert counts["not answered for want of room"] >= 5 * size
    return counts


class DiskFullScenario:
    """A wallet, its clients, and counts of what happened."""

    def __init__(self, disk: Path, folder: Path, chance: random.Random, counts: Counter[str]) -> None:
        self.file = disk / "wallet.db"
        self.cli = InProcessCli(self.file)
        self.ballast = disk / "ballast"
        self.folder = folder
        self.chance = chance
        self.logs = chance.choice((disk, folder))
        self.counts = counts
        self.clients = LoadClients(create_players(self.cli, PLAYERS), chance.randrange(10**9), clients=CLIENTS)

    def run_full_disk(self) -> None:
        with self.running_server() as server:
            self.play(server)
            fill_disk(self.ballast, self.chance.randrange(MAX_FREE_BYTES))
            self.play_while_full(server)
            self.run_commands_while_full("through a server")
            end = check_server_end(server)
            self.counts[f"a full disk: {end}"] += 1
            if end == "goes on" and self.chance.random() < 0.5:
                # The next server starts on the same full disk.
                assert server.stop() == 0
                self.start_while_full()
                self.run_commands_while_full("without a server")
                end = "stopped"
            self.examine()
            self.ballast.unlink()
            if end == "goes on":
                self.wait_until_ready(server)
                self.play(server)
                self.settle_and_stop(server)
        if end == "stopped":
            self.restart()

    def run_file_size_limit(self) -> None:
        with self.running_server() as server:
            self.play(server)
            log = self.file.with_name("wallet.db-wal")
            limit_file_size(server, log.stat().st_size + self.chance.randrange(MAX_FREE_BYTES))
            self.play_while_full(server)
            # This is an I/O error of the file, after which its contents are unknown.
            assert check_server_end(server) == "stopped"
            self.counts["stopped at a limit"] += 1
            self.examine()
        self.restart()

    @contextmanager
    def running_server(self) -> Iterator[Server]:
        # Switch off the check for low disk space.
        server = Server(self.file, log_dir=self.logs, MINWALLET_MIN_FREE_MB="0")
        try:
            yield server
        finally:
            if server.process.poll() is None:
                server.stop(signal.SIGKILL)

    def play(self, server: Server) -> None:
        """Play with enough space, so that every call is answered."""
        before = len(self.clients.history)
        asyncio.run(self.clients.play(server.url, CALLS))
        assert all(said.code is not None for said in self.clients.history[before:])

    def play_while_full(self, server: Server) -> None:
        before = len(self.clients.history)
        for _ in range(MAX_PLAYS):
            if not self.has_unanswered(before):
                asyncio.run(self.clients.play(server.url, CALLS))
        assert self.has_unanswered(before), "everything is answered on a full disk"
        self.counts["not answered for want of room"] += sum(said.code is None for said in self.clients.history[before:])

    def has_unanswered(self, since: int) -> bool:
        return any(said.code is None for said in self.clients.history[since:])

    def start_while_full(self) -> None:
        """Start a server, or check that it reports why it does not start."""
        self.logs = self.folder
        try:
            with self.running_server() as server:
                end = check_server_end(server)
        except ServerDidNotStart as fault:
            end = check_command_end(fault.result)
        self.counts[f"a start on a full disk: {end}"] += 1

    def run_commands_while_full(self, how: str) -> None:
        """Check that a command is executed, or fails with a one-line reason; reads need no space beside a server."""
        table = self.folder / "more.csv"
        table.write_text("player_id,currency,balance\n" + "".join(f"more{each},USD,5.00\n" for each in range(500)))
        for command in (("player", "list"), ("verify",), ("seed", table), ("session", "open", "player1")):
            end = check_command_end(self.cli.run(*command))
            self.counts[f"commands {how}: {end}"] += 1
        check_command_end(self.deposit())

    def deposit(self) -> CommandResult:
        said = Attempt(monotonic_s(), 0, "operator", "deposit", "default", "player1", "USD", "ballast", payout=100)
        result = self.cli.run("deposit", "player1", "1", "--reference", "ballast", "--json")
        if result.code == 0:
            said = said._replace(code=0, balance=result.json["cash"], balance2=result.json["bonus"])
        self.clients.history.append(said._replace(answered_at=monotonic_s()))
        return result

    def wait_until_ready(self, server: Server) -> None:
        begun = time.monotonic()
        while server.http.get("/readyz").status_code != 200:
            assert time.monotonic() < begun + READY_WITHIN_S, server.log.read_text()
            time.sleep(0.05)

    def restart(self) -> None:
        begun = time.monotonic()
        with self.running_server() as server:
            assert_ready_soon(server, begun)
            self.settle_and_stop(server)

    def settle_and_stop(self, server: Server) -> None:
        """Check with enough space that all unanswered calls are answered on retry, and that nothing is lost."""
        asyncio.run(self.clients.settle(server.url))
        assert self.deposit().code == 0
        assert server.stop() == 0
        self.counts += self.examine()

    def examine(self) -> Counter[str]:
        """Check the file on another disk, because this one may be full."""
        (copy := self.folder / "copy").mkdir(exist_ok=True)
        return assert_nothing_lost(copy_wallet_file(self.file, copy / "wallet.db", "-wal"), self.clients.history)


def fill_disk(ballast: Path, room: int) -> None:
    """Fill the disk except for this number of free bytes, rounded to pages."""
    free = shutil.disk_usage(ballast.parent).free
    ballast.write_bytes(bytes(max(0, free - room)))


def limit_file_size(server: Server, size: int) -> None:
    """Set the maximum size of a file that the server writes."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def mount_small_disk(place: Path) -> Iterator[Path]:
    place.mkdir()
    options = f"size={DISK_BYTES},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "minwallet", place], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@cache
def small_disk_unavailable_reason() -> str:
    """Return why a small disk cannot be mounted here, or ""."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with mount_small_disk(Path(folder) / "disk"):
                return ""
        except (OSError, subprocess.CalledProcessError):
            return "only root can mount a small disk, and not everywhere"
