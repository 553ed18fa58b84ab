"""The disk of a loaded server fills up, or its files may not grow any more; and then there is room again.

The disk is a small one in memory, which only root can have; without it, files are limited in their size. Now and then
the server's log is on it, too. Whatever finds no room is answered 503, and either the server goes on and takes money
again when there is room, or it has stopped and said why, and the next one finds the truth.
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

from tests.faults.clients import Fleet
from tests.faults.failing_io import end_of, end_of_command
from tests.faults.history import Said, now_s
from tests.faults.trial import READY_WITHIN_S, assert_nothing_lost, assert_ready_soon, seats
from tests.support import DidNotStart, Here, Result, Server, copy_wallet

PLAYERS, CLIENTS, CALLS = 12, 12, 25

DISK_BYTES = 6_000_000
MOST_ROOM, MOST_PLAYS = 250_000, 20
"""How much is left for the load at most: some hundred calls, and so many times as many do not fit."""


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """So many times each: a full disk where there can be one, and files that may not grow."""
    counts: Counter[str] = Counter()
    chance = random.Random(seed)
    for number in range(size):
        if not why_no_small_disk():
            with small_disk(folder / f"disk{number}") as disk:
                Shortage(disk, folder, chance, counts).of_a_disk()
        (limited := folder / f"limited{number}").mkdir()
        Shortage(limited, folder, chance, counts).of_a_limit()
    assert counts["not answered for want of room"] >= 5 * size
    return counts


class Shortage:
    """A wallet, its clients, and what happened to them."""

    def __init__(self, disk: Path, folder: Path, chance: random.Random, counts: Counter[str]) -> None:
        self.file = disk / "wallet.db"
        self.here = Here(self.file)
        self.ballast = disk / "ballast"
        self.folder = folder
        self.chance = chance
        self.logs = chance.choice((disk, folder))
        self.counts = counts
        self.fleet = Fleet(seats(self.here, PLAYERS), chance.randrange(10**9), clients=CLIENTS)

    def of_a_disk(self) -> None:
        with self.serving() as server:
            self.play(server)
            fill(self.ballast, self.chance.randrange(MOST_ROOM))
            self.play_in_want(server)
            self.command_in_want("through a server")
            end = end_of(server)
            self.counts[f"a full disk: {end}"] += 1
            if end == "goes on" and self.chance.random() < 0.5:
                # The new one does not find the disk any better.
                assert server.stop() == 0
                self.start_in_want()
                self.command_in_want("without a server")
                end = "stopped"
            self.examine()
            self.ballast.unlink()
            if end == "goes on":
                self.wait_until_ready(server)
                self.play(server)
                self.end(server)
        if end == "stopped":
            self.restart()

    def of_a_limit(self) -> None:
        with self.serving() as server:
            self.play(server)
            log = self.file.with_name("wallet.db-wal")
            may_grow_to(server, log.stat().st_size + self.chance.randrange(MOST_ROOM))
            self.play_in_want(server)
            # The system calls this an error of the file, after which nobody knows what is in it.
            assert end_of(server) == "stopped"
            self.counts["stopped at a limit"] += 1
            self.examine()
        self.restart()

    @contextmanager
    def serving(self) -> Iterator[Server]:
        # As if nobody had asked it to keep some room.
        server = Server(self.file, logs=self.logs, MINWALLET_MIN_FREE_MB="0")
        try:
            yield server
        finally:
            if server.process.poll() is None:
                server.stop(signal.SIGKILL)

    def play(self, server: Server) -> None:
        """While there is room, everything is answered."""
        before = len(self.fleet.history)
        asyncio.run(self.fleet.play(server.url, CALLS))
        assert all(said.code is not None for said in self.fleet.history[before:])

    def play_in_want(self, server: Server) -> None:
        before = len(self.fleet.history)
        for _ in range(MOST_PLAYS):
            if not self.is_in_want(before):
                asyncio.run(self.fleet.play(server.url, CALLS))
        assert self.is_in_want(before), "everything is answered on a full disk"
        self.counts["not answered for want of room"] += sum(said.code is None for said in self.fleet.history[before:])

    def is_in_want(self, since: int) -> bool:
        return any(said.code is None for said in self.fleet.history[since:])

    def start_in_want(self) -> None:
        """It starts, or says why it does not."""
        self.logs = self.folder
        try:
            with self.serving() as server:
                end = end_of(server)
        except DidNotStart as fault:
            end = end_of_command(fault.result)
        self.counts[f"a start on a full disk: {end}"] += 1

    def command_in_want(self, how: str) -> None:
        """A command is carried out, or ends with one line that says why not; reading needs no room beside a server."""
        table = self.folder / "more.csv"
        table.write_text("player_id,currency,balance\n" + "".join(f"more{each},USD,5.00\n" for each in range(500)))
        for command in (("player", "list"), ("verify",), ("seed", table), ("session", "open", "player1")):
            end = end_of_command(self.here.run(*command))
            self.counts[f"commands {how}: {end}"] += 1
        end_of_command(self.deposit())

    def deposit(self) -> Result:
        said = Said(now_s(), 0, "operator", "deposit", "default", "player1", "USD", "ballast", payout=100)
        result = self.here.run("deposit", "player1", "1", "--reference", "ballast", "--json")
        if result.code == 0:
            said = said._replace(code=0, balance=result.json["cash"], balance2=result.json["bonus"])
        self.fleet.history.append(said._replace(answered_at=now_s()))
        return result

    def wait_until_ready(self, server: Server) -> None:
        begun = time.monotonic()
        while server.http.get("/readyz").status_code != 200:
            assert time.monotonic() < begun + READY_WITHIN_S, server.log.read_text()
            time.sleep(0.05)

    def restart(self) -> None:
        begun = time.monotonic()
        with self.serving() as server:
            assert_ready_soon(server, begun)
            self.end(server)

    def end(self, server: Server) -> None:
        """There is room: what was not answered is, and nothing is lost."""
        asyncio.run(self.fleet.settle(server.url))
        assert self.deposit().code == 0
        assert server.stop() == 0
        self.counts += self.examine()

    def examine(self) -> Counter[str]:
        """On another disk, as this one may be full."""
        (copy := self.folder / "copy").mkdir(exist_ok=True)
        return assert_nothing_lost(copy_wallet(self.file, copy / "wallet.db", "-wal"), self.fleet.history)


def fill(ballast: Path, room: int) -> None:
    """Leave so many bytes of the disk, to the page."""
    free = shutil.disk_usage(ballast.parent).free
    ballast.write_bytes(bytes(max(0, free - room)))


def may_grow_to(server: Server, size: int) -> None:
    """How long a file of the server's may become, from now on."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    place.mkdir()
    options = f"size={DISK_BYTES},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "minwallet", place], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@cache
def why_no_small_disk() -> str:
    """Why there can be no small disk here, or ""."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder) / "disk"):
                return ""
        except (OSError, subprocess.CalledProcessError):
            return "only root can mount a small disk, and not everywhere"
