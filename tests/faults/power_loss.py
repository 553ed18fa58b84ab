"""Power loss: at any moment, and with any subset of unsynced writes on the disk, each acknowledged reply stays true.

A wallet's calls are recorded, and disks are built as they may be after a power loss at any place of the recording.
The wallet has to recover from each of them. It recovers to one of its own commits. Each such state is therefore
opened and verified once by the wallet itself. The checker examines it twice: with the history up to the first place
that led to it, and up to the last one.

The method itself is tested too: without syncs it must find lost replies and damaged files.
"""

import asyncio
import hashlib
import random
import shutil
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from minwallet.operations.verify import verify_ledger
from minwallet.storage.errors import StoreError
from minwallet.storage.sqlite import SqliteStore
from tests.faults.checker import check_file
from tests.faults.harness import READY_WITHIN_S, create_players, write_player_csv
from tests.faults.load_clients import LoadClients
from tests.faults.recording import DB_NAME, FOLDER, Recording, apply_syscall, history_until
from tests.faults.simulated_disk import LOSS_KINDS, LOSS_WEIGHTS, SimulatedDisk
from tests.faults.syscalls import NEVER, can_trace
from tests.support import InProcessCli, running_server

IMAGES_PER_RECORDING = 5_000

PLAYERS, CLIENTS, CALLS = 5, 10, 10
"""The number of calls of each client in each run of a server."""

FREQUENT_CHECKPOINTS = {"wal_autocheckpoint": 25, "journal_size_limit": 60_000}
"""Pragmas with which the log is checkpointed, restarted and truncated every few commits instead of every few
thousand."""

WEAK_IMAGES = 150

LONG_CALLS, LONG_FROM, LONG_SHARE = 600, 25_000, 0.005
"""The calls of each client that make the log long enough for a checkpoint with the program's own pragmas. A long
recording is used from this number of images on, for this share of them, because each takes a hundred times as long."""


class RecoveredState:
    """The state to which the wallet recovers after a power loss, with the first and the last place that lead to it."""

    def __init__(self, file: Path, place: int, problems: list[str]) -> None:
        self.file = file
        self.first = self.last = place
        self.problems = problems


class PowerLossExplorer:
    """Builds disks, and lets the wallet recover from them. `broken` lists those from which it cannot."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        self.recording = recording
        self.folder = folder
        self.states: dict[bytes, RecoveredState] = {}
        self.broken: list[str] = []
        self.counts: Counter[str] = Counter()

    def explore(self, size: int, chance: random.Random, since: int = 0) -> None:
        """Build this number of disks at places all over the recording, or over the rest of it."""
        steps = deque(sorted(self.recording.calls, key=lambda call: call.effect_at))
        replies = [said.answered_at for said in self.recording.history if said.answered_at < NEVER]
        moments = [*(call.effect_at for call in steps), *replies, max(0, self.recording.seeded_at)]
        platter = SimulatedDisk(self.recording.initial_files)
        for place in sorted(chance.choices([moment for moment in moments if moment >= since], k=size)):
            while steps and steps[0].effect_at <= place:
                apply_syscall(platter, steps.popleft())
            (kind,) = chance.choices(LOSS_KINDS, LOSS_WEIGHTS)
            self.counts[f"of {kind}"] += 1
            self.counts["at stake"] += platter.has_unsynced()
            self.recover(platter.after_power_loss(chance, kind), int(place))

    def recover(self, files: dict[str, bytes], place: int) -> None:
        """Recover the wallet from a disk. Open and verify each state that has not occurred before."""
        image = self.folder / "image"
        _write_files(image, files)
        try:
            state = (
                hashlib.sha256(_recover_bytes(image / DB_NAME)).digest() if DB_NAME in files else str(files).encode()
            )
        except sqlite3.DatabaseError as error:
            self.broken.append(f"{error} (power lost at {place})")
            return
        if state in self.states:
            self.states[state].last = place
            return
        kept = self.folder / f"state{len(self.states)}"
        _write_files(kept, files)
        try:
            problems = asyncio.run(_open_and_verify(kept / DB_NAME))
        except StoreError as error:
            self.broken.append(f"{error} (power lost at {place})")
            return
        self.states[state] = RecoveredState(kept / DB_NAME, place, problems)

    def examine(self) -> list[str]:
        """Return the problems of each state, given the history."""
        problems: list[str] = []
        for state in self.states.values():
            found = state.problems
            for place in {state.first, state.last}:
                verdict = check_file(state.file, history_until(self.recording.history, place))
                found += verdict.problems
                if place >= self.recording.seeded_at and verdict.counts["accounts"] < PLAYERS:
                    found.append("players are lost that the command had reported")
            if found:
                problems.append(f"{found[0]} (power lost at {state.first} to {state.last}, {state.file})")
            self.counts["states"] += 1
        return problems

    def assert_nothing_lost(self) -> Counter[str]:
        """Return the counts. Raise AssertionError for any problem."""
        problems = self.broken + self.examine()
        assert not problems, "\n".join([f"{len(problems)} disks have a loss", *problems[:10]])
        return self.counts + self.recording.counts


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Test `size` power losses in recordings of correct wallets, and some in recordings of wallets that do not sync."""
    assert can_trace(), "power loss is tested with strace; install it"
    chance, counts = random.Random(seed), Counter[str]()
    for number, tried in enumerate(range(0, size, IMAGES_PER_RECORDING), 1):
        place = _make_folder(folder, f"life{number}")
        life = PowerLossExplorer(_record_whole_life(place, seed + number), place)
        life.explore(min(size - tried, IMAGES_PER_RECORDING), chance)
        counts += life.assert_nothing_lost()
        begun = time.monotonic()
        with running_server(chance.choice([*life.states.values()]).file) as server:
            assert server.http.get("/readyz").status_code == 200
            assert time.monotonic() < begun + READY_WITHIN_S
        if number == 1:
            counts += _explore_without_folder_syncs(life.recording, _make_folder(folder, "nameless"), chance)
        shutil.rmtree(place)
    if size >= LONG_FROM:
        counts += _explore_long_recording(round(size * LONG_SHARE), seed, _make_folder(folder, "long"), chance)
    for name, synchronous in (("NORMAL", 1), ("OFF", 0)):
        place = _make_folder(folder, name)
        life = PowerLossExplorer(
            _record_single_run(place, seed, CALLS, {**FREQUENT_CHECKPOINTS, "synchronous": synchronous}), place
        )
        life.explore(WEAK_IMAGES, chance)
        lost, broken = len(life.examine()), len(life.broken)
        assert lost, f"without its syncs ({name}) the wallet would lose replies, and this test found none"
        assert broken or synchronous, "without any sync files would be damaged, and this test found none"
        counts += Counter({f"states lost with {name}": lost, f"disks broken with {name}": broken})
    return counts


def _explore_long_recording(size: int, seed: int, folder: Path, chance: random.Random) -> Counter[str]:
    """Test the program with its own pragmas, from the point where its log is long enough to be checkpointed and
    restarted."""
    recording = _record_single_run(folder, seed, LONG_CALLS, {})
    assert recording.counts["logs begun"] > 1, "the log is not long enough"
    life = PowerLossExplorer(recording, folder)
    copied = next(call.effect_at for call in recording.calls if (call.target, call.name) == (DB_NAME, "pwrite64"))
    life.explore(size, chance, since=copied)
    life.assert_nothing_lost()
    return Counter({"of long lives": size})


def _explore_without_folder_syncs(recording: Recording, folder: Path, chance: random.Random) -> Counter[str]:
    """Test the same recording without syncs of the folder: whole files are lost, and this test must notice."""
    calls = recording.calls
    recording.calls = [call for call in calls if call.target != FOLDER]
    life = PowerLossExplorer(recording, folder)
    life.explore(WEAK_IMAGES, chance)
    recording.calls = calls
    lost = len(life.examine()) + len(life.broken)
    assert lost, "without a sync of the folder files would be lost, and this test found none"
    return Counter({"states lost without the folder's sync": lost})


def _make_folder(folder: Path, name: str) -> Path:
    (made := folder / name).mkdir()
    return made


def _record_whole_life(folder: Path, seed: int) -> Recording:
    """Record a wallet under load: creation of the file, a stop, a kill, a recovery and the last stop."""
    recording = Recording(folder)
    players = write_player_csv(folder / "players.csv", PLAYERS, cash="100000", bonus="50")
    recording.seed(folder / "players.csv")
    fleet = LoadClients(players, seed, clients=CLIENTS)
    recording.serve(fleet, CALLS, {})
    recording.serve(fleet, CALLS, FREQUENT_CHECKPOINTS, dies_at=random.Random(seed).randint(40, 150))
    recording.serve(fleet, CALLS, FREQUENT_CHECKPOINTS)
    assert recording.counts["logs begun"] > 4, "the log was restarted too rarely"
    return recording


def _record_single_run(folder: Path, seed: int, calls: int, pragmas: Mapping[str, int]) -> Recording:
    """Record one server's run on a file that is already durable."""
    players = create_players(InProcessCli(folder / DB_NAME), PLAYERS)
    recording = Recording(folder)
    recording.serve(LoadClients(players, seed, clients=CLIENTS), calls, pragmas)
    return recording


def _write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write these files, and remove all others."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _recover_bytes(file: Path) -> bytes:
    """Return all data that SQLite finds in the file, its log and its journal. Raise DatabaseError if it is invalid."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = 0")
        db.execute("BEGIN")
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        return db.serialize() if pages else b""


async def _open_and_verify(file: Path) -> list[str]:
    """Return the problems that the wallet itself finds. Raise DatabaseUnusable or StoreError if it cannot open the
    file."""
    store = await SqliteStore.open(file, create=True, check=True)
    try:
        await store.finish_check()
        if store.failure:
            raise store.failure
        return list((await verify_ledger(store))["problems"])
    finally:
        await store.close()
