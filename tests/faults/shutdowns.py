"""Disconnects and shutdowns: clients at every point of a call, servers that stop in mid-batch, servers that start on
one file, and a server that dies during the operator's commands."""

import asyncio
import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import httpx2

from minwallet.app import SHUTDOWN_GRACE_S
from minwallet.storage.file_lock import ControlEndpoint, read_control_endpoint
from tests.faults.disconnects import run_disconnects
from tests.faults.harness import assert_nothing_lost, assert_ready_soon, create_players
from tests.faults.history import Attempt, History, monotonic_s
from tests.faults.load_clients import LoadClients, SeededPlayer
from tests.support import TIMEOUT_S, CommandResult, InProcessCli, Server, run_minwallet, running_server

DISCONNECTS_PER_FILE = 10_000

CONCURRENT_STARTS, OPERATORS, SERVER_LIVES = 4, 2, 3

MAX_ANSWERS = 400


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Let `size` clients disconnect. For each few hundred of them a server is stopped, and for each thousand one
    dies or several start together."""
    counts: Counter[str] = Counter()
    chance = random.Random(seed)
    for first in range(0, size, DISCONNECTS_PER_FILE):
        file = folder / f"departures{first}.db"
        counts += run_disconnects(min(DISCONNECTS_PER_FILE, size - first), chance.randrange(10**9), file)
    counts += stop_under_load(max(4, size // 250), chance, folder / "stopped.db")
    for number in range(max(1, size // 1000)):
        counts += kill_under_commands(chance, folder / f"died{number}.db")
        counts += race_starts(chance, folder / f"raced{number}.db")
    assert counts["deposits_in_doubt"] >= size // 2000, "too few servers died during a command"
    return counts


def stop_under_load(times: int, chance: random.Random, file: Path) -> Counter[str]:
    """Stop each server under load. It answers the calls it has started, and exits normally."""
    counts: Counter[str] = Counter()
    clients = LoadClients(create_players(InProcessCli(file), 24), chance.randrange(10**9))
    for number in range(times):
        stop_signal = (signal.SIGTERM, signal.SIGINT)[number % 2]
        begun = time.monotonic()
        with running_server(file) as server:
            assert_ready_soon(server, begun)
            asyncio.run(_play_until_signal(clients, server, stop_signal, chance))
            signalled_at = time.monotonic()
            code = server.process.wait(TIMEOUT_S)
        took = time.monotonic() - signalled_at
        log = server.log.read_text()
        assert code == 0, f"{stop_signal.name} under load ended the server with {code}: {log[-2000:]}"
        assert took < SHUTDOWN_GRACE_S, f"{stop_signal.name} under load ended the server only after {took:.1f} s"
        assert "Traceback" not in log, log
        left = [path.name for path in file.parent.glob(f"{file.name}*") if path.suffix not in (".db", ".log")]
        assert left == [], f"{stop_signal.name} under load left {left}"
        counts[f"ended_by_{stop_signal.name}"] += 1
    return counts + assert_nothing_lost(file, clients.history)


async def _play_until_signal(
    clients: LoadClients, server: Server, stop_signal: signal.Signals, chance: random.Random
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(clients.play(server.url))
        await clients.wait_for_attempts(chance.randint(1, MAX_ANSWERS))
        server.process.send_signal(stop_signal)
        if chance.random() < 0.3:
            server.process.send_signal(stop_signal)


class RetryingOperator:
    """An operator who deposits, each time with a new reference, and repeats a command until it reports success."""

    def __init__(self, name: str, seat: SeededPlayer, chance: random.Random, file: Path) -> None:
        self._name = name
        self._player = seat
        self._chance = chance
        self._file = file
        self.history = History()
        self.deposits = 0
        self.problems: list[str] = []

    def deposit_until(self, is_over: threading.Event) -> None:
        while not (is_over.is_set() or self.problems):
            self.deposits += 1
            cents = self._chance.randint(1, 900)
            while not self._deposit(f"{self._name}-{self.deposits}", cents):
                pass

    def _deposit(self, reference: str, cents: int) -> bool:
        """Run the command once, and return whether it is finished."""
        seat = self._player
        said = Attempt(
            monotonic_s(), 0, "operator", "deposit", seat.agent, seat.player, seat.currency, reference, payout=cents
        )
        amount = f"{cents // 100}.{cents % 100:02}"
        result = run_minwallet("--db", self._file, "deposit", seat.player, amount, "--reference", reference, "--json")
        if result.code == 0:
            said = said._replace(code=0, balance=result.json["cash"], balance2=result.json["bonus"])
        elif result.code != 3 or result.err.count("\n") != 1:
            self.problems.append(f"a deposit while the server died ended with {result}")
        self.history.append(said._replace(answered_at=monotonic_s()))
        return result.code == 0 or bool(self.problems)


def kill_under_commands(chance: random.Random, file: Path) -> Counter[str]:
    """Start and stop servers while operators deposit. Exit code 0 means applied, 3 means possibly applied; a retry
    with the same reference applies it once."""
    chosen = create_players(InProcessCli(file), OPERATORS)
    operators = [
        RetryingOperator(f"operator{number}", seat, random.Random(chance.random()), file)
        for number, seat in enumerate(chosen)
    ]
    is_over = threading.Event()
    with ThreadPoolExecutor(OPERATORS) as pool:
        work = [pool.submit(operator.deposit_until, is_over) for operator in operators]
        try:
            for _ in range(SERVER_LIVES):
                with running_server(file) as server:
                    time.sleep(chance.random())
                    code = server.stop(_choose_signal(server, chance))
                assert code in (0, -signal.SIGKILL), server.log.read_text()
                assert "Traceback" not in server.log.read_text(), server.log.read_text()
        finally:
            is_over.set()
    for each in work:
        each.result()
    complaints = [complaint for operator in operators for complaint in operator.problems]
    assert not complaints, complaints[0]
    history = History(said for operator in operators for said in operator.history)
    counts = Counter(
        deposits=sum(operator.deposits for operator in operators),
        deposits_in_doubt=sum(said.code is None for said in history),
        servers_that_died=SERVER_LIVES,
    )
    return counts + assert_nothing_lost(file, history)


def _choose_signal(server: Server, chance: random.Random) -> signal.Signals:
    """Return the signal to stop the server. It may have been paused before, so that commands wait for it when it
    ends."""
    if chance.random() < 0.5:
        return chance.choice((signal.SIGKILL, signal.SIGTERM))
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(chance.random())
    return signal.SIGKILL


def race_starts(chance: random.Random, file: Path) -> Counter[str]:
    """Start many servers on one file, under its own name and another one. One serves, the others report in one line
    that they cannot. Then it is killed, and its remaining files prevent no start."""
    cli = InProcessCli(file)
    other = file.with_name(f"also-{file.name}")
    other.symlink_to(file.name)
    if chance.random() < 0.5:
        create_players(cli, 2)
    with ThreadPoolExecutor(CONCURRENT_STARTS) as pool:
        starts = {
            pool.submit(run_minwallet, "--db", chance.choice((file, other)), "serve", "--port", 0)
            for _ in range(CONCURRENT_STARTS)
        }
        refused = _wait_for_refused_starts(starts)
        desk = _wait_for_control_endpoint(file)
        assert httpx2.get(f"{desk.serves}/readyz", trust_env=False).status_code == 200
        InProcessCli(other)("player", "add", "late", "--currency", "USD", "--balance", "1")
        os.kill(desk.pid, signal.SIGKILL)
        (winner,) = [each for each in starts if each not in refused]
        assert winner.result().code == -signal.SIGKILL
    for each in refused:
        result = each.result()
        assert (result.code, result.err.count("\n")) == (3, 1), result
    assert read_control_endpoint(file) == desk, "the dead server's lock file should be there"
    begun = time.monotonic()
    with running_server(other) as server:
        assert_ready_soon(server, begun)
        assert server.cli.read_balances("late") == (100, 0)
        assert server.stop() == 0
    cli.assert_ledger_valid()
    return Counter(starts_at_once=CONCURRENT_STARTS, refused_to_start=len(refused))


def _wait_for_control_endpoint(file: Path) -> ControlEndpoint:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if desk := read_control_endpoint(file):
            return desk
        time.sleep(0.02)
    raise AssertionError("no server runs on the file")


def _wait_for_refused_starts(starts: "set[Future[CommandResult]]") -> "set[Future[CommandResult]]":
    """Wait until only one server runs, and return the others."""
    ended: set[Future[CommandResult]] = set()
    while len(starts) - len(ended) > 1:
        done, _ = wait(starts - ended, TIMEOUT_S, FIRST_COMPLETED)
        assert done, "two servers run on one file"
        ended |= done
    return ended
