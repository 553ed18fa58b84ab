"""The nth write, sync or truncation of the wallet file, or of one beside it, fails; once, or from then on.

It does so under load, while a file is made, while one is recovered, started on and closed, in a checkpoint, and in
commands without a server. Whatever cannot be written is answered 503 and never told as done; a server that does not
know what is in the file stops and says so once; and when the disk is well again, whoever asks again finds the truth.
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

import httpx2

from tests.faults.clients import Fleet, Seat
from tests.faults.history import History, Said, now_s
from tests.faults.preload import FAILURES, FILE, Failure, preload, why_not
from tests.faults.trial import assert_nothing_lost, assert_ready_soon, seats
from tests.support import PATIENCE_S, DidNotStart, Here, Result, Server, messages_of, minwallet

SHORT = 40
"""Up to this size one failure is tried for each n, in turn; in a longer torture all of them are."""

PLAYERS, CLIENTS = 8, 6

MANY_PLAYERS = 600
"""So many that a checkpoint has some dozens of pages to copy."""

CASES_A_FILE = 25
"""After so many failures a new file is begun, so that looking at it takes no longer and longer."""

CALLS_AFTER = 20
"""How many calls are made after a call has failed."""

LONG_LOG = 8_100
"""A log of so many pages is copied into the file by the next commit."""

Phase = Callable[[Failure, int], bool]
"""Try the nth call; whether there was one, and it failed."""


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Every n up to `size` in every phase, as long as the phase makes so many calls."""
    assert not why_not(), why_not()
    trial = Trial(folder, random.Random(seed))
    try:
        trial.run(size)
    finally:
        preload().disarm()
        trial.victim.kill()
    return trial.counts


class Player(Fleet):
    """A fleet that is told to stop soon after something has failed."""

    def note(self, said: Said) -> None:
        super().note(said)
        if preload().struck >= 1:
            self.calls_left -= 1
            if self.calls_left == 0:
                self.stop()

    async def meet(self, url: str, calls: int) -> None:
        self.calls_left = CALLS_AFTER
        await self.play(url, calls)


class Victim:
    """A wallet file, a server on it that obeys orders to fail, and clients."""

    def __init__(self, file: Path, seed: int, seats: Sequence[Seat]) -> None:
        self.file = file
        self.fleet = Player(seats, seed, clients=CLIENTS)
        self.cases = self.brought_back = 0
        self.server: Server | None = None

    def serve(self) -> Server:
        """A server in good health."""
        if self.server is None:
            begun = time.monotonic()
            self.server = obedient(self.file)
            assert_ready_soon(self.server, begun)
        return self.server

    def suffer(self, failure: Failure, nth: int, *, from_start: bool = False) -> str:
        """What became of the server when the nth call under load failed: "" if none did."""
        if from_start:
            preload().arm(self.file, failure, nth)
        server = self.serve()
        if not from_start:
            preload().arm(self.file, failure, nth)
        asyncio.run(self.fleet.meet(server.url, 3 * nth + 10))
        if not preload().struck:
            return ""
        end = end_of(server)
        if end == "stopped":
            self.server = None
            if failure.is_for_ever:
                end_of_start(self.file)
            preload().disarm()
            assert_nothing_lost(self.file, self.fleet.history)
        preload().disarm()
        return end

    def recover(self) -> None:
        """With a disk that is well again, everything that was not answered is, and nothing is lost."""
        server = self.serve()
        if server.http.get("/readyz").status_code == 503:
            # It believes in a full disk for some seconds more; a new one does not.
            self.end()
            server = self.serve()
        self.brought_back += self.count_brought_back()
        asyncio.run(self.fleet.settle(server.url))
        assert server.http.get("/readyz").status_code == 200

    def count_brought_back(self) -> int:
        """How many bets are in the file of which nobody was told so: their commit failed and is valid all the same."""
        told = {said.id for said in self.fleet.history.answered()}
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True)) as db:
            there = {id_ for (id_,) in db.execute("SELECT id FROM transactions WHERE kind = 'bet'")}
        return len(there & {said.id for said in self.fleet.history if said.operation == "bet"} - told)

    def kill(self) -> None:
        if self.server is not None:
            self.server.stop(signal.SIGKILL)

    def end(self) -> Counter[str]:
        if self.server is not None:
            assert self.server.stop() == 0
            self.server = None
        counts = assert_nothing_lost(self.file, self.fleet.history)
        return counts + Counter({"bets that a restart brought back": self.brought_back})


class Trial:
    """The phases, and what was counted in them."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        self.counts: Counter[str] = Counter()
        self.files = count(1)
        self.victim = self.new_victim()
        self.left_behind, self.said = self.leave_behind()
        self.long = self.make_long()
        self.account = Commands(self.new_file())

    def run(self, size: int) -> None:
        phases: dict[Phase, tuple[Failure, ...]] = {
            self.under_load: FAILURES,
            self.in_making: FAILURES,
            self.in_a_life: FAILURES,
            self.in_a_deposit: FAILURES,
            self.in_a_seed: FAILURES,
            self.in_a_checkpoint: tuple(each._replace(parts=FILE) for each in FAILURES),
        }
        for phase, failures in phases.items():
            left = list(failures)
            self.chance.shuffle(left)
            for nth in range(1, size + 1):
                for failure in [*left]:
                    left.remove(failure)
                    # What is never met at this place is not met further on either.
                    if self.meets(phase, failure, nth):
                        left.append(failure)
                        if size <= SHORT:
                            break
        self.counts += self.victim.end()

    def meets(self, phase: Phase, failure: Failure, nth: int) -> bool:
        try:
            return phase(failure, nth)
        except BaseException as error:
            error.add_note(f"{phase.__name__}: {failure.words}, call {nth}, {preload().what}")
            raise
        finally:
            preload().disarm()

    def new_file(self) -> Path:
        return self.folder / f"{next(self.files)}.db"

    def new_victim(self) -> Victim:
        file = self.new_file()
        return Victim(file, self.chance.randrange(10**9), seats(Here(file), PLAYERS))

    def under_load(self, failure: Failure, nth: int) -> bool:
        if self.victim.cases == CASES_A_FILE:
            self.counts += self.victim.end()
            self.victim = self.new_victim()
        self.victim.cases += 1
        end = self.victim.suffer(failure, nth)
        if not end:
            return False
        self.note("under load", end)
        assert end == "stopped" or "EIO" not in failure.words, "the server goes on where nobody knows what is written"
        self.victim.recover()
        return True

    def in_making(self, failure: Failure, nth: int) -> bool:
        """A server that makes its file, and is stopped."""
        file = self.new_file()
        preload().arm(file, failure, nth)
        end = end_of_start(file)
        return self.see("in making a file", end, file, History())

    def in_a_life(self, failure: Failure, nth: int) -> bool:
        """A server that recovers a file which a killed one left behind, and is stopped."""
        file = self.copy(self.left_behind)
        preload().arm(file, failure, nth)
        end = end_of_start(file)
        return self.see("in a life", end, file, self.said)

    def in_a_checkpoint(self, failure: Failure, nth: int) -> bool:
        """Calls are answered as if nothing had happened: what was not copied into the file is in its log."""
        victim = Victim(self.copy(self.long), self.chance.randrange(10**9), self.seats)
        try:
            if end := victim.suffer(failure, nth, from_start=True):
                self.note("in a checkpoint", end)
                assert end == "goes on"
                assert all(said.code is not None for said in victim.fleet.history)
                victim.recover()
            self.counts += victim.end()
        finally:
            victim.kill()
        self.remove(victim.file)
        return end != ""

    def in_a_deposit(self, failure: Failure, nth: int) -> bool:
        preload().arm(self.account.file, failure, nth)
        end = self.account.deposit(1 + nth)
        struck = preload().struck > 0
        preload().disarm()
        if struck:
            self.note("in a deposit", end)
        self.account.repeat()
        return struck

    def in_a_seed(self, failure: Failure, nth: int) -> bool:
        """All or nothing, also where the seed has to make the file."""
        file = self.new_file()
        table = file.with_suffix(".csv")
        table.write_text("player_id,currency,balance\n" + "".join(f"ann{each},USD,5.00\n" for each in range(9)))
        preload().arm(file, failure, nth)
        result = minwallet("--db", file, "seed", table, cwd=None, **preload().settings)
        struck = preload().struck > 0
        preload().disarm()
        end = end_of_command(result)
        there = len(Here(file)("player", "list")["players"]) if file.exists() else 0
        assert there in ((9,) if end == "done" else (0, 9)), there
        return self.see("in a seed", end, file, History(), was_struck=struck)

    def see(self, phase: str, end: str, file: Path, said: History, *, was_struck: bool = False) -> bool:
        """Nothing is lost in the file as it was left, and the next one to come can use it."""
        if not (preload().struck or was_struck):
            return False
        preload().disarm()
        self.note(phase, end)
        if said:
            assert_nothing_lost(file, said)
        here = Here(file)
        here("player", "add", "next", "--currency", "USD", "--balance", "1")
        assert here.account("next") == (100, 0)
        assert_nothing_lost(file, said)
        self.remove(file)
        return True

    def note(self, phase: str, end: str) -> None:
        self.counts[f"failures {phase}"] += 1
        self.counts[f"{end} {phase}"] += 1
        self.counts[f"failures of a {preload().what}"] += 1

    def leave_behind(self) -> tuple[Path, History]:
        """A file with a log that nobody has emptied, and what was said."""
        victim = self.new_victim()
        server = victim.serve()
        asyncio.run(victim.fleet.play(server.url, 10))
        server.stop(signal.SIGKILL)
        return victim.file, victim.fleet.history

    def make_long(self) -> Path:
        """A file with a log so long that the next commit copies it into the file."""
        file, kept = self.new_file(), self.new_file()
        self.seats = seats(Here(file), MANY_PLAYERS)
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            for pragma in ("synchronous = 0", "wal_autocheckpoint = 0"):
                db.execute(f"PRAGMA {pragma}")
            log = file.with_name(f"{file.name}-wal")
            while log.stat().st_size < LONG_LOG * 4096:
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


class Commands:
    """An account that is changed by command alone; what was not done is asked for again with the same reference."""

    def __init__(self, file: Path) -> None:
        self.file = file
        (self.seat,) = seats(Here(file), 1)
        self.history = History()
        self.last = (0, "")

    def deposit(self, cents: int) -> str:
        self.last = (cents, f"d{len(self.history)}")
        return self.ask(minwallet, "--db", self.file)

    def repeat(self) -> None:
        assert self.ask(Here(self.file).run) == "done"
        assert_nothing_lost(self.file, self.history)

    def ask(self, run: Callable[..., Result], *first: object) -> str:
        cents, reference = self.last
        amount = f"{cents // 100}.{cents % 100:02}"
        of = self.seat
        said = Said(now_s(), 0, "operator", "deposit", of.agent, of.player, of.currency, reference, payout=cents)
        settings = preload().settings if first else {}
        result = run(*first, "deposit", of.player, amount, "--reference", reference, "--json", **settings)
        end = end_of_command(result)
        if end == "done":
            said = said._replace(code=0, balance=result.json["cash"], balance2=result.json["bonus"])
        self.history.append(said._replace(answered_at=now_s()))
        return end


def obedient(file: Path) -> Server:
    """A server whose calls fail when they are told to."""
    return Server(file, logs=None, **preload().settings)


def end_of(server: Server) -> str:
    """ "goes on", or "stopped" if it did so by itself: in order, and with one line that says why."""
    goes_on = _goes_on(server)
    code = None if goes_on else server.process.wait(PATIENCE_S)
    if not goes_on:
        server.stop()
    said = [*messages_of(server.log.read_text())]
    assert not [line for line in said if "Traceback" in line], "\n".join(said)
    assert len(said) == len(set(said)), "\n".join(said)
    if goes_on:
        return "goes on"
    assert code == 3, (code, said)
    assert sum(line.startswith("minwallet: ") for line in said) == 1, said
    return "stopped"


def _goes_on(server: Server) -> bool:
    """A disk that is merely full stops nothing."""
    try:
        ready = server.http.get("/readyz").json()
    except httpx2.HTTPError:
        return False
    return all("new bets are not taken" in reason for reason in ready["reasons"])


def end_of_start(file: Path) -> str:
    """The same of a server that is started and, if it serves, told to stop; or "did not start"."""
    try:
        server = obedient(file)
    except DidNotStart as fault:
        return {"refused": "did not start"}[end_of_command(fault.result)]
    if end_of(server) == "stopped":
        return "stopped"
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()
    return "goes on"


def end_of_command(result: Result) -> str:
    """ "done" or, with one line that says why, "refused"."""
    assert result.code in (0, 3), result
    if result.code == 0:
        return "done"
    lines = [line for line in result.err.splitlines() if not line.startswith(("{", "minwallet 0", "sign in"))]
    assert len(lines) == 1, result
    assert lines[0].startswith("minwallet: "), result
    return "refused"
