"""`kill -9` under load: clients play in both protocols, and the operator moves money by commands. The
server is killed, and sometimes the next one is killed during recovery."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from minwallet.ledger.money import format_amount
from tests.faults.harness import assert_nothing_lost, assert_ready_soon, create_players
from tests.faults.history import Attempt, monotonic_s
from tests.faults.load_clients import LoadClients, SeededPlayer
from tests.support import InProcessCli, Server, clean_environment, running_server

CYCLES_PER_FILE = 25
"""A new file is created after this number of cycles, because the check of a file takes longer as it grows."""

PLAYERS, MAX_ANSWERS = 24, 500


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Run `size` cycles of start, load and kill. Nothing acknowledged is lost in any cycle."""
    counts: Counter[str] = Counter()
    for first in range(0, size, CYCLES_PER_FILE):
        victim = KillTarget(folder / f"{first}.db", random.Random(f"{seed}/{first}"))
        for _ in range(first, min(first + CYCLES_PER_FILE, size)):
            victim.run_until_killed()
            counts["kills"] += 1
        counts += victim.counts
    assert counts["unanswered"] >= counts["kills"], "too few calls were in flight when the servers were killed"
    return counts


class KillTarget:
    """A wallet file whose servers are killed one after the other."""

    def __init__(self, file: Path, chance: random.Random) -> None:
        self.file = file
        self.cli = InProcessCli(file)
        self.players = create_players(self.cli, PLAYERS)
        self.chance = chance
        self.clients = LoadClients(self.players, chance.randrange(10**9))
        self.commands = 0
        self.kills_at_start = 0
        self.counts: Counter[str] = Counter()

    def run_until_killed(self) -> None:
        """Run a server until it is killed, and check the file; the next server has to recover it."""
        if self.chance.random() < 0.2:
            self.kill_at_start()
        begun = time.monotonic()
        with running_server(self.file) as server:
            assert_ready_soon(server, begun)
            asyncio.run(self.play(server))
        log = server.log.read_text()
        assert "Traceback" not in log, log
        self.counts = self.examine()

    def kill_at_start(self) -> None:
        """Kill a server when it has locked the file, or a little later."""
        command = [sys.executable, "-m", "minwallet", "--db", str(self.file), "serve", "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=clean_environment()) as process:
            while not self.file.with_name(f"{self.file.name}.owner").exists():
                assert process.poll() is None
                time.sleep(0.001)
            time.sleep(self.chance.random() * 0.2)
            process.kill()
        self.kills_at_start += 1

    async def play(self, server: Server) -> None:
        """Play until the server is killed after some answers, however long they take."""
        beside = [self.chance.choice(self.players) for _ in range(2)]
        async with asyncio.TaskGroup() as group:
            group.create_task(self.clients.play(server.url))
            group.create_task(asyncio.to_thread(self.run_transfers, beside))
            await self.clients.wait_for_attempts(self.chance.randint(1, MAX_ANSWERS))
            server.process.send_signal(signal.SIGKILL)

    def run_transfers(self, beside: list[SeededPlayer]) -> None:
        """Deposit, withdraw and adjust by commands, and repeat commands without an answer, as an operator would."""
        for seat in beside:
            self.commands += 1
            amount = self.chance.randint(1, 900)
            operation, sign = self.chance.choice((("deposit", 1), ("withdraw", -1), ("adjust", 1), ("adjust", -1)))
            while not self.run_transfer(seat, operation, f"{operation}{self.commands}", sign * amount):
                pass

    def run_transfer(self, seat: SeededPlayer, operation: str, reference: str, change: int) -> bool:
        """Run one transfer of a signed amount, and return whether the command reports success."""
        said = Attempt(monotonic_s(), 0, "operator", operation, seat.agent, seat.player, seat.currency, reference)
        said = said._replace(payout=change) if change > 0 else said._replace(stake=-change)
        options = ["--reference", reference, "--json"]
        amount = format_amount(abs(change))
        if operation == "adjust":
            amount = format_amount(change)
            options += ["--reason", "a test"]
        result = self.cli.run(operation, seat.player, amount, *options)
        assert result.code in (0, 3), result
        if result.code == 0:
            said = said._replace(code=0, balance=result.json["cash"], balance2=result.json["bonus"])
        self.clients.history.append(said._replace(answered_at=monotonic_s()))
        return result.code == 0

    def examine(self) -> Counter[str]:
        counts = assert_nothing_lost(self.file, self.clients.history)
        return counts + Counter(commands=self.commands, killed_at_start=self.kills_at_start)
