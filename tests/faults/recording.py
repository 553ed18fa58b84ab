"""A recording of a wallet: all file system calls and all replies, in one order.

The calls of clients are dated by that order: a call is sent where the server reads it, and answered where the server
starts to write the reply. So the acknowledged calls are known for a power loss at any place.
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
"""The files that outlive a power loss. The others are created at every start, or have no meaning without their
process."""

FOLDER = "."

STDOUT = "1"


class Recording:
    """A recording that grows run by run. `calls` are the relevant calls, and `history` is dated by their places."""

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
        """Record the command that creates the file with its players; its report of success is the acknowledgement."""
        log = self._new_log_path()
        seed = strace_command(log, self.db, "seed", str(file))
        subprocess.run(seed, check=True, capture_output=True, env=clean_environment(), timeout=TIMEOUT_S)
        offset = self._end
        said = [call.begun for call in read_calls(log) if call.name == "write" and call.descriptor == STDOUT]
        self.seeded_at = offset + said[0]
        self._read_lap(log)

    def serve(self, fleet: LoadClients, calls: int, pragmas: Mapping[str, int], *, dies_at: int = 0) -> None:
        """Record a server under the clients' load until it stops, or is killed during a write. It uses its own
        pragmas except these."""
        log, since = self._new_log_path(), len(fleet.history)
        with traced_server(log, self.db, pragmas=json.dumps(pragmas) if pragmas else "", dies_at=dies_at) as url:
            asyncio.run(fleet.play(url, calls))
        self._read_lap(log, list(zip(fleet.ports[since:], fleet.history[since:], strict=True)))

    def _new_log_path(self) -> Path:
        return self.db.with_name(f"from{self._end}.strace")

    def _read_files(self) -> dict[str, bytes]:
        return {name: file.read_bytes() for name in DURABLE_FILES if (file := self.db.with_name(name)).exists()}

    def _read_lap(self, log: Path, attempts: list[tuple[int, Attempt]] | None = None) -> None:
        """Read the log of a run, check that it explains every byte of the files, and date the history."""
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
        assert {name: self._disk[name].read_all() for name in self._disk.names} == there, (
            "the log does not explain all bytes of the files"
        )
        self.history += _date_attempts(lap, attempts or [])
        self._end = 1 + max(max(call.begun, call.ended if call.ended < NEVER else 0) for call in lap)
        log.unlink()

    def _shift(self, call: Syscall) -> Syscall:
        ended = NEVER if call.ended == NEVER else call.ended + self._end
        return call._replace(begun=call.begun + self._end, ended=ended)

    def _durable_name(self, call: Syscall) -> str:
        """Return the name of the file or the folder of the call, or "" if it does not outlive a power loss."""
        folder, _, name = call.target.rpartition("/")
        if call.target == str(self.db.parent):
            return FOLDER
        return name if folder == str(self.db.parent) and name in DURABLE_FILES else ""

    def _has_happened(self, call: Syscall) -> bool:
        """Return whether the last call of a killed process changed the file, which has not changed since."""
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
    """Apply the call to the simulated disk."""
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
    """Return the attempts that reached the server, dated by its reads and writes."""
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
        assert said.code is None or number < len(told[port]), f"the recording has no reply of the server for {said}"
        if port and number < len(read[port]):
            answered_at = told[port][number] if number < len(told[port]) else NEVER
            yield said._replace(sent_at=read[port][number], answered_at=answered_at)


def history_until(history: History, place: int) -> History:
    """Return the history up to this place; calls without an answer by then count as unanswered."""
    return History(
        said if said.answered_at <= place else said._replace(code=None, balance=None, balance2=None)
        for said in history
        if said.sent_at <= place
    )
