"""Failing I/O: the nth write, sync or truncation of the wallet file or of a companion file fails, once or
permanently.

It fails under load, while a file is created, recovered, opened or closed, in a checkpoint, and in commands without a
server. A call that cannot be written gets 503 and is not acknowledged. A server that does not know the contents of
the file stops and reports that once. When the disk works again, a retry gets the true outcome.
"""

import asyncio
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

from tests.faults.harness import assert_nothing_lost, assert_ready_soon, create_players
from tests.faults.history import Attempt, History, monotonic_s
from tests.faults.load_clients import LoadClients, SeededPlayer
from tests.faults.preload import FAILURES, FILE, IoFailure, get_preload, preload_unavailable_reason
from tests.faults.process_ends import check_command_end, check_server_end, check_start_end, start_faulty_server
from tests.support import (
    CommandResult,
    InProcessCli,
    Server,
    run_minwallet,
)

SHORT_RUN = 40
"""Up to this size each n has one failure, in turn; in a longer run it has all of them."""

PLAYERS, CLIENTS = 8, 6

MANY_PLAYERS = 600
"""Enough players for a checkpoint of some dozen pages."""

CASES_PER_FILE = 25
"""A new file is created after this number of failures, because the check of a file takes longer as it grows."""

CALLS_AFTER_FAILURE = 20
"""The number of calls after a failed call."""

CHECKPOINT_WAL_PAGES = 8_100
"""A log of this number of pages is checkpointed by the next commit."""

Phase = Callable[[IoFailure, int], bool]
"""Runs a phase with a failure in the nth call, and returns whether a call failed."""


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Run every n up to `size` in every phase, as long as the phase makes that many calls."""
    assert not preload_unavailable_reason(), preload_unavailable_reason()
    # The first process with the library loads the whole program, which is no part of a server's start.
    assert run_minwallet("--version", cwd=None, **get_preload().settings).code == 0
    trial = FailingIoRun(folder, random.Random(seed))
    try:
        trial.run(size)
    finally:
        get_preload().disarm()
        trial.server_under_test.kill()
    return trial.counts


class StoppingClients(LoadClients):
    """Load clients that stop soon after a failure."""

    def record(self, said: Attempt) -> None:
        super().record(said)
        if get_preload().failure_count >= 1:
            self.calls_left -= 1
            if self.calls_left == 0:
                self.stop()

    async def play_until_failure(self, url: str, calls: int) -> None:
        self.calls_left = CALLS_AFTER_FAILURE
        await self.play(url, calls)


class ServerUnderTest:
    """A wallet file, a server on it whose calls fail on command, and clients."""

    def __init__(self, file: Path, seed: int, seats: Sequence[SeededPlayer]) -> None:
        self.file = file
        self.clients = StoppingClients(seats, seed, clients=CLIENTS)
        self.cases = self.restored_bets = 0
        self.server: Server | None = None

    def ensure_running(self) -> Server:
        """Return a server that works."""
        if self.server is None:
            begun = time.monotonic()
            self.server = start_faulty_server(self.file)
            assert_ready_soon(self.server, begun)
        return self.server

    def fail_nth_call(self, failure: IoFailure, nth: int, *, from_start: bool = False) -> str:
        """Let the nth call under load fail, and return what happened to the server, or "" if no call failed."""
        if from_start:
            get_preload().arm(self.file, failure, nth)
        server = self.ensure_running()
        if not from_start:
            get_preload().arm(self.file, failure, nth)
        asyncio.run(self.clients.play_until_failure(server.url, 3 * nth + 10))
        if not get_preload().failure_count:
            return ""
        end = check_server_end(server)
        if end == "stopped":
            self.server = None
            if failure.is_permanent:
                check_start_end(self.file)
            get_preload().disarm()
            assert_nothing_lost(self.file, self.clients.history)
        get_preload().disarm()
        return end

    def recover(self) -> None:
        """Check with a working disk that all unanswered calls are answered on retry, and that nothing is lost."""
        server = self.ensure_running()
        if server.http.get("/readyz").status_code == 503:
            # It assumes a full disk for some seconds more; a new server does not.
            self.stop_and_check()
            server = self.ensure_running()
        self.restored_bets += self.count_restored_bets()
        asyncio.run(self.clients.settle(server.url))
        assert server.http.get("/readyz").status_code == 200

    def count_restored_bets(self) -> int:
        """Return the number of bets in the file without an acknowledgement: their commit failed but became valid."""
        told = {said.id for said in self.clients.history.answered()}
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True)) as db:
            there = {id_ for (id_,) in db.execute("SELECT id FROM transactions WHERE kind = 'bet'")}
        return len(there & {said.id for said in self.clients.history if said.operation == "bet"} - told)

    def kill(self) -> None:
        if self.server is not None:
            self.server.stop(signal.SIGKILL)

    def stop_and_check(self) -> Counter[str]:
        if self.server is not None:
            assert self.server.stop() == 0
            self.server = None
        counts = assert_nothing_lost(self.file, self.clients.history)
        return counts + Counter({"bets that a restart brought back": self.restored_bets})


class FailingIoRun:
    """The phases, and their counts."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        self.counts: Counter[str] = Counter()
        self.files = count(1)
        self.server_under_test = self.new_server_under_test()
        self.crashed_file, self.crashed_history = self.make_crashed_file()
        self.long_wal_file = self.make_long_wal_file()
        self.deposits = DepositCommands(self.new_file())

    def run(self, size: int) -> None:
        phases: dict[Phase, tuple[IoFailure, ...]] = {
            self.fail_under_load: FAILURES,
            self.fail_in_creation: FAILURES,
            self.fail_in_recovery: FAILURES,
            self.fail_in_deposit: FAILURES,
            self.fail_in_seed: FAILURES,
            self.fail_in_checkpoint: tuple(each._replace(parts=FILE) for each in FAILURES),
        }
        for phase, failures in phases.items():
            left = list(failures)
            self.chance.shuffle(left)
            for nth in range(1, size + 1):
                for failure in [*left]:
                    left.remove(failure)
                    # A phase without an nth call of this kind has no later one either.
                    if self.run_phase(phase, failure, nth):
                        left.append(failure)
                        if size <= SHORT_RUN:
                            break
        self.counts += self.server_under_test.stop_and_check()

    def run_phase(self, phase: Phase, failure: IoFailure, nth: int) -> bool:
        try:
            return phase(failure, nth)
        except BaseException as error:
            error.add_note(f"{phase.__name__}: {failure.description}, call {nth}, {get_preload().first_failure}")
            raise
        finally:
            get_preload().disarm()

    def new_file(self) -> Path:
        return self.folder / f"{next(self.files)}.db"

    def new_server_under_test(self) -> ServerUnderTest:
        file = self.new_file()
        return ServerUnderTest(file, self.chance.randrange(10**9), create_players(InProcessCli(file), PLAYERS))

    def fail_under_load(self, failure: IoFailure, nth: int) -> bool:
        if self.server_under_test.cases == CASES_PER_FILE:
            self.counts += self.server_under_test.stop_and_check()
            self.server_under_test = self.new_server_under_test()
        self.server_under_test.cases += 1
        end = self.server_under_test.fail_nth_call(failure, nth)
        if not end:
            return False
        self.count_failure("under load", end)
        assert end == "stopped" or "EIO" not in failure.description, (
            "the server continues although the contents of the file are unknown"
        )
        self.server_under_test.recover()
        return True

    def fail_in_creation(self, failure: IoFailure, nth: int) -> bool:
        """Let a call fail in a server that creates its file and is stopped."""
        file = self.new_file()
        get_preload().arm(file, failure, nth)
        end = check_start_end(file)
        return self.check_recovery("in making a file", end, file, History())

    def fail_in_recovery(self, failure: IoFailure, nth: int) -> bool:
        """Let a call fail in a server that recovers the file of a killed server and is stopped."""
        file = self.copy(self.crashed_file)
        get_preload().arm(file, failure, nth)
        end = check_start_end(file)
        return self.check_recovery("in a life", end, file, self.crashed_history)

    def fail_in_checkpoint(self, failure: IoFailure, nth: int) -> bool:
        """Check that calls are answered normally: data that could not be copied to the file is in its log."""
        victim = ServerUnderTest(self.copy(self.long_wal_file), self.chance.randrange(10**9), self.players)
        try:
            if end := victim.fail_nth_call(failure, nth, from_start=True):
                self.count_failure("in a checkpoint", end)
                assert end == "goes on"
                assert all(said.code is not None for said in victim.clients.history)
                victim.recover()
            self.counts += victim.stop_and_check()
        finally:
            victim.kill()
        self.remove(victim.file)
        return end != ""

    def fail_in_deposit(self, failure: IoFailure, nth: int) -> bool:
        get_preload().arm(self.deposits.file, failure, nth)
        end = self.deposits.deposit(1 + nth)
        struck = get_preload().failure_count > 0
        get_preload().disarm()
        if struck:
            self.count_failure("in a deposit", end)
        self.deposits.repeat()
        return struck

    def fail_in_seed(self, failure: IoFailure, nth: int) -> bool:
        """Check that a seed is applied completely or not at all, also if it creates the file."""
        file = self.new_file()
        table = file.with_suffix(".csv")
        table.write_text("player_id,currency,balance\n" + "".join(f"ann{each},USD,5.00\n" for each in range(9)))
        get_preload().arm(file, failure, nth)
        result = run_minwallet("--db", file, "seed", table, cwd=None, **get_preload().settings)
        struck = get_preload().failure_count > 0
        get_preload().disarm()
        end = check_command_end(result)
        # An empty file is the rest of a creation that failed at its first write.
        is_wallet = file.exists() and file.stat().st_size > 0
        there = len(InProcessCli(file)("player", "list")["players"]) if is_wallet else 0
        assert there in ((9,) if end == "done" else (0, 9)), there
        return self.check_recovery("in a seed", end, file, History(), was_struck=struck)

    def check_recovery(self, phase: str, end: str, file: Path, said: History, *, was_struck: bool = False) -> bool:
        """Check that nothing is lost in the file, and that the next process can use it."""
        if not (get_preload().failure_count or was_struck):
            return False
        get_preload().disarm()
        self.count_failure(phase, end)
        if said:
            assert_nothing_lost(file, said)
        cli = InProcessCli(file)
        cli("player", "add", "next", "--currency", "USD", "--balance", "1")
        assert cli.read_balances("next") == (100, 0)
        assert_nothing_lost(file, said)
        self.remove(file)
        return True

    def count_failure(self, phase: str, end: str) -> None:
        self.counts[f"failures {phase}"] += 1
        self.counts[f"{end} {phase}"] += 1
        self.counts[f"failures of a {get_preload().first_failure}"] += 1

    def make_crashed_file(self) -> tuple[Path, History]:
        """Create a file with a log that was not checkpointed, and return it with the history."""
        victim = self.new_server_under_test()
        server = victim.ensure_running()
        asyncio.run(victim.clients.play(server.url, 10))
        server.stop(signal.SIGKILL)
        return victim.file, victim.clients.history

    def make_long_wal_file(self) -> Path:
        """Create a file with a log so long that the next commit starts a checkpoint."""
        file, kept = self.new_file(), self.new_file()
        self.players = create_players(InProcessCli(file), MANY_PLAYERS)
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            for pragma in ("synchronous = 0", "wal_autocheckpoint = 0"):
                db.execute(f"PRAGMA {pragma}")
            log = file.with_name(f"{file.name}-wal")
            while log.stat().st_size < CHECKPOINT_WAL_PAGES * 4096:
                for change in "+-":
                    db.execute(f"UPDATE accounts SET bonus = bonus {change} 1")
                    db.execute(f"UPDATE sessions SET created_at_ms = created_at_ms {change} 1")
            self.copy(file, kept)
        return kept

    def copy(self, file: Path, to: Path | None = None) -> Path:
        to = to or self.new_file()
        for suffix in ("", "-wal"):
            shutil.copy(file.with_name(f"{file.name}{suffix}"), to.with_name(f"{to.name}{suffix}"))
        return to

    def remove(self, file: Path) -> None:
        for each in file.parent.glob(f"{file.stem}.*"):
            each.unlink()


class DepositCommands:
    """An account that changes by commands only. A failed command is repeated with the same reference."""

    def __init__(self, file: Path) -> None:
        self.file = file
        (self.player,) = create_players(InProcessCli(file), 1)
        self.history = History()
        self.last = (0, "")

    def deposit(self, cents: int) -> str:
        self.last = (cents, f"d{len(self.history)}")
        return self.run_deposit(run_minwallet, "--db", self.file)

    def repeat(self) -> None:
        assert self.run_deposit(InProcessCli(self.file).run) == "done"
        assert_nothing_lost(self.file, self.history)

    def run_deposit(self, run: Callable[..., CommandResult], *first: object) -> str:
        cents, reference = self.last
        amount = f"{cents // 100}.{cents % 100:02}"
        of = self.player
        said = Attempt(
            monotonic_s(), 0, "operator", "deposit", of.agent, of.player, of.currency, reference, payout=cents
        )
        settings = get_preload().settings if first else {}
        result = run(*first, "deposit", of.player, amount, "--reference", reference, "--json", **settings)
        end = check_command_end(result)
        if end == "done":
            said = said._replace(code=0, balance=result.json["cash"], balance2=result.json["bonus"])
        self.history.append(said._replace(answered_at=monotonic_s()))
        return end
