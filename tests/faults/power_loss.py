"""Power loss: whenever the power goes, and whatever of what was not synced is on the disk then, no reply was a lie.

A wallet's life is recorded call by call, and disks are made up as they may be found after a loss of power at any place
in it. From each the wallet has to recover. What it recovers to is one of its own commits, so each such state is looked
at thoroughly once by the wallet itself and, with what had been said by the first and by the last place that led to it,
by the examiner; in between it knows nothing that it does not know at the one or the other.

The method is tried itself, too: with syncs left out it has to find acknowledged replies lost, and damaged files.
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
"""Each client makes so many calls in each of a server's lives."""

FREQUENT_CHECKPOINTS = {"wal_autocheckpoint": 25, "journal_size_limit": 60_000}
"""The log is copied into the file, begun anew and cut every some commits instead of every some thousand."""

WEAK_IMAGES = 150

LONG_CALLS, LONG_FROM, LONG_SHARE = 600, 25_000, 0.005
"""So many calls of each client make the log so long that the program as it is copies it, which is tried from so many
images on with this share of them: each takes a hundred times as long."""


class RecoveredState:
    """What the wallet recovers to after a loss of power at some places, from the first to the last."""

    def __init__(self, file: Path, place: int, problems: list[str]) -> None:
        self.file = file
        self.first = self.last = place
        self.problems = problems


class PowerLossExplorer:
    """Makes disks up, and has the wallet recover from them. `broken` tells of those from which it cannot."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        self.recording = recording
        self.folder = folder
        self.states: dict[bytes, RecoveredState] = {}
        self.broken: list[str] = []
        self.counts: Counter[str] = Counter()

    def explore(self, size: int, chance: random.Random, since: int = 0) -> None:
        """So many losses of power, at places all over the recording, or the rest of it."""
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
        """See what the wallet recovers to; what it has never recovered to before it opens and verifies itself."""
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
        """What is wrong with each state, by what had been said."""
        problems: list[str] = []
        for state in self.states.values():
            found = state.problems
            for place in {state.first, state.last}:
                verdict = check_file(state.file, history_until(self.recording.history, place))
                found += verdict.problems
                if place >= self.recording.seeded_at and verdict.counts["accounts"] < PLAYERS:
                    found.append("players are gone that the command had told of")
            if found:
                problems.append(f"{found[0]} (power lost at {state.first} to {state.last}, {state.file})")
            self.counts["states"] += 1
        return problems

    def assert_nothing_lost(self) -> Counter[str]:
        """What was counted; AssertionError for whatever is wrong."""
        problems = self.broken + self.examine()
        assert not problems, "\n".join([f"{len(problems)} disks told of a loss", *problems[:10]])
        return self.counts + self.recording.counts


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """So many losses of power in the lives of honest wallets, and some in those of wallets that do not sync."""
    assert can_trace(), "power loss is tried with strace; install it"
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
        assert lost, f"without its syncs ({name}) the wallet would lose replies, and this test did not find any lost"
        assert broken or synchronous, "with no sync at all files would break, and this test did not find any broken"
        counts += Counter({f"states lost with {name}": lost, f"disks broken with {name}": broken})
    return counts


def _explore_long_recording(size: int, seed: int, folder: Path, chance: random.Random) -> Counter[str]:
    """The program with its own pragmas, from where its log has become so long that it is copied and begun anew."""
    recording = _record_single_run(folder, seed, LONG_CALLS, {})
    assert recording.counts["logs begun"] > 1, "the log has not become long enough"
    life = PowerLossExplorer(recording, folder)
    copied = next(call.effect_at for call in recording.calls if (call.target, call.name) == (DB_NAME, "pwrite64"))
    life.explore(size, chance, since=copied)
    life.assert_nothing_lost()
    return Counter({"of long lives": size})


def _explore_without_folder_syncs(recording: Recording, folder: Path, chance: random.Random) -> Counter[str]:
    """The same life, had the folder never been synced: whole files are gone, and this test has to notice."""
    calls = recording.calls
    recording.calls = [call for call in calls if call.target != FOLDER]
    life = PowerLossExplorer(recording, folder)
    life.explore(WEAK_IMAGES, chance)
    recording.calls = calls
    lost = len(life.examine()) + len(life.broken)
    assert lost, "without a sync of the folder files would be gone, and this test did not find any gone"
    return Counter({"states lost without the folder's sync": lost})


def _make_folder(folder: Path, name: str) -> Path:
    (made := folder / name).mkdir()
    return made


def _record_whole_life(folder: Path, seed: int) -> Recording:
    """From the making of the file over a stop, a death and a recovery to the last stop, under load."""
    recording = Recording(folder)
    players = write_player_csv(folder / "players.csv", PLAYERS, cash="100000", bonus="50")
    recording.seed(folder / "players.csv")
    fleet = LoadClients(players, seed, clients=CLIENTS)
    recording.serve(fleet, CALLS, {})
    recording.serve(fleet, CALLS, FREQUENT_CHECKPOINTS, dies_at=random.Random(seed).randint(40, 150))
    recording.serve(fleet, CALLS, FREQUENT_CHECKPOINTS)
    assert recording.counts["logs begun"] > 4, "the log was hardly ever begun anew"
    return recording


def _record_single_run(folder: Path, seed: int, calls: int, pragmas: Mapping[str, int]) -> Recording:
    """One server's life on a file that is there for certain."""
    players = create_players(InProcessCli(folder / DB_NAME), PLAYERS)
    recording = Recording(folder)
    recording.serve(LoadClients(players, seed, clients=CLIENTS), calls, pragmas)
    return recording


def _write_files(folder: Path, files: dict[str, bytes]) -> None:
    """These, and nothing of what was there."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _recover_bytes(file: Path) -> bytes:
    """All that SQLite finds in the file, its log and its journal. DatabaseError where that is nothing sensible."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = 0")
        db.execute("BEGIN")
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        return db.serialize() if pages else b""


async def _open_and_verify(file: Path) -> list[str]:
    """What the wallet itself finds wrong. DatabaseUnusable, StoreError."""
    store = await SqliteStore.open(file, create=True, check=True)
    try:
        await store.finish_check()
        if store.failure:
            raise store.failure
        return list((await verify_ledger(store))["problems"])
    finally:
        await store.close()
