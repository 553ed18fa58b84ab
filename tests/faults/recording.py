"""A wallet's life, recorded: every call to the file system and every reply, all in one order.

What the clients said of their calls is dated anew by that order: a call is sent where the server reads it, and answered
where the server begins to write the reply. Whoever lets the power go at a place then knows what had been acknowledged.
"""

import asyncio
import json
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.faults.history import Attempt, History
from tests.faults.load_clients import LoadClients
from tests.faults.simulated_disk import PendingWrite, SimulatedDisk
from tests.faults.syscalls import NEVER, UNMODELLED_CALLS, Syscall, read_calls, strace_command, traced_server
from tests.support import TIMEOUT_S, clean_environment

DB_NAME = "wallet.db"

WAL_NAME = f"{DB_NAME}-wal"

DURABLE_FILES = (DB_NAME, WAL_NAME, f"{DB_NAME}-journal")
"""What outlives the power: of the others one is made anew at every start, and one means nothing without its owner."""

FOLDER = "."

STDOUT = "1"


class Recording:
    """Grows lap by lap. `calls` are those that count, `history` is dated by their places."""

    def __init__(self, folder: Path) -> None:
        self.db = folder / DB_NAME
        self.initial_files = self._read_files()
        self.calls: list[Syscall] = []
        self.history = History()
        self.seeded_at = NEVER if not self.initial_files else -1
        self.counts: Counter[str] = Counter()
        self._end = 0
        self._disk = SimulatedDisk(self.initial_files)

    def seed(self, file: Path) -> None:
        """The command that makes the file, and players in it: it says when it is done."""
        log = self._new_log_path()
        seed = strace_command(log, self.db, "seed", str(file))
        subprocess.run(seed, check=True, capture_output=True, env=clean_environment(), timeout=TIMEOUT_S)
        offset = self._end
        said = [call.begun for call in read_calls(log) if call.name == "write" and call.descriptor == STDOUT]
        self.seeded_at = offset + said[0]
        self._read_lap(log)

    def serve(self, fleet: LoadClients, calls: int, pragmas: Mapping[str, int], *, dies_at: int = 0) -> None:
        """A server's life under the fleet's load, to its end in peace, or in the midst of a write. Its pragmas are its
        own apart from these."""
        log, since = self._new_log_path(), len(fleet.history)
        with traced_server(log, self.db, pragmas=json.dumps(pragmas) if pragmas else "", dies_at=dies_at) as url:
            asyncio.run(fleet.play(url, calls))
        self._read_lap(log, list(zip(fleet.ports[since:], fleet.history[since:], strict=True)))

    def _new_log_path(self) -> Path:
        return self.db.with_name(f"from{self._end}.strace")

    def _read_files(self) -> dict[str, bytes]:
        return {name: file.read_bytes() for name in DURABLE_FILES if (file := self.db.with_name(name)).exists()}

    def _read_lap(self, log: Path, attempts: list[tuple[int, Attempt]] | None = None) -> None:
        """Read a lap's log, see that it tells of every byte that is in the files now, and date what was said."""
        lap = [self._shift(call) for call in read_calls(log)]
        changed = re.compile(rf"{re.escape(str(self.db))}(-wal|-journal)?[^-.\w]")
        for call in lap:
            assert call.name not in UNMODELLED_CALLS or not changed.search(call.text), f"not modelled: {call}"
            if (name := self._durable_name(call)) and (call.ended < NEVER or self._has_happened(call)):
                self.calls.append(call._replace(target=name))
                self.counts["logs begun"] += (name, call.name, *call.numbers[1:]) == (WAL_NAME, "pwrite64", 0)
                self.counts["checkpoints"] += (name, call.name) == (DB_NAME, "fdatasync")
                apply_syscall(self._disk, self.calls[-1])
        there = self._read_files()
        assert {name: self._disk[name].read_all() for name in self._disk.names} == there, "the log does not tell all"
        self.history += _date_attempts(lap, attempts or [])
        self._end = 1 + max(max(call.begun, call.ended if call.ended < NEVER else 0) for call in lap)
        log.unlink()

    def _shift(self, call: Syscall) -> Syscall:
        ended = NEVER if call.ended == NEVER else call.ended + self._end
        return call._replace(begun=call.begun + self._end, ended=ended)

    def _durable_name(self, call: Syscall) -> str:
        """The name of the file that the call is about, or of the folder; "" for what does not outlive the power."""
        folder, _, name = call.target.rpartition("/")
        if call.target == str(self.db.parent):
            return FOLDER
        return name if folder == str(self.db.parent) and name in DURABLE_FILES else ""

    def _has_happened(self, call: Syscall) -> bool:
        """Whether a call that a killed process was in has changed the file, which nobody has changed since."""
        file = Path(call.target)
        match call.name:
            case "pwrite64":
                content = file.read_bytes()
                return content[call.numbers[-1] :][: len(call.data)] == call.data
            case "ftruncate":
                return file.stat().st_size == call.numbers[-1]
            case "openat":
                return file.exists()
            case "unlink":
                return not file.exists()
            case _:
                return False


def apply_syscall(disk: SimulatedDisk, call: Syscall) -> None:
    """Do to the platter what the call did."""
    name = call.target
    match call.name:
        case "pwrite64":
            disk[name].pending.append(PendingWrite(call.begun, call.numbers[-1], call.data))
        case "ftruncate":
            disk[name].pending.append(PendingWrite(call.begun, call.numbers[-1], None))
        case "fsync" | "fdatasync" if name == FOLDER:
            disk.sync_folder(call.begun)
        case "fsync" | "fdatasync":
            disk[name].sync(call.begun)
        case "openat":
            assert "O_TRUNC" not in call.text, call
            if "O_CREAT" in call.text and name not in disk:
                disk.create(call.begun, name)
        case "unlink":
            disk.remove(call.begun, name)
        case _:
            raise AssertionError(f"not modelled: {call}")


def _date_attempts(lap: list[Syscall], attempts: list[tuple[int, Attempt]]) -> Iterator[Attempt]:
    """The attempts that reached the server, by where it read and answered them."""
    read: defaultdict[int, list[int]] = defaultdict(list)
    told: defaultdict[int, list[int]] = defaultdict(list)
    for call in lap:
        if call.target.startswith("TCP:") and call.data:
            port = int(call.target.rpartition(":")[2].rstrip("]"))
            if call.name == "read":
                assert call.data.startswith((b"GET ", b"POST ")), call
                read[port].append(call.ended)
            else:
                assert call.data.startswith(b"HTTP/1.1 "), call
                told[port].append(call.begun)
    seen: Counter[int] = Counter()
    for port, said in attempts:
        number = seen[port]
        seen[port] += 1
        assert said.code is None or number < len(told[port]), f"no reply of the server is on record for {said}"
        if port and number < len(read[port]):
            answered_at = told[port][number] if number < len(told[port]) else NEVER
            yield said._replace(sent_at=read[port][number], answered_at=answered_at)


def history_until(history: History, place: int) -> History:
    """What had been said by then; what was not yet answered counts as unanswered."""
    return History(
        said if said.answered_at <= place else said._replace(code=None, balance=None, balance2=None)
        for said in history
        if said.sent_at <= place
    )
