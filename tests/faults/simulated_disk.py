"""The possible contents of a disk after a power loss, given the calls of a program up to then.

Synced data is there. Unsynced data may be there or not, independently and in any order: each write, each truncation,
each change of a file's size, each name in the folder, and each sector of a write. A file's name is certain only
after a sync of its folder. Where a file grew without its data, the disk has zeros, noise, or data of an older file.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

SECTOR_BYTES = 512

NONE, ALL, SOME, TORN = "none", "all", "some", "torn"
"""Of the unsynced data: nothing, everything, some whole writes, some sectors of some writes."""

LOSS_KINDS, LOSS_WEIGHTS = (NONE, ALL, SOME, TORN), (1, 1, 4, 4)

WRITE_PROBABILITIES = (0.03, 0.3, 0.5, 0.7, 0.97)
"""The probability that a write, or a sector of it, is on the disk."""

NOISE = random.Random(0).randbytes(1 << 20)


class PendingWrite(NamedTuple):
    """Bytes at an offset, or a truncation to it if there are none."""

    position: int
    offset: int
    data: bytes | None

    @property
    def sectors(self) -> Iterator[tuple[int, bytes]]:
        """Return the parts of the write by sector."""
        assert self.data is not None
        begin, end = self.offset, self.offset + len(self.data)
        while begin < end:
            until = min(end, begin - begin % SECTOR_BYTES + SECTOR_BYTES)
            yield begin, self.data[begin - self.offset : until - self.offset]
            begin = until


class SimulatedFile:
    """The durable contents of a file, and the pending writes."""

    def __init__(self, content: bytes = b"", stale: bytes = b"") -> None:
        self.durable = bytearray(content)
        self.stale = stale
        self.pending: list[PendingWrite] = []

    def sync(self, position: int) -> None:
        """Make everything durable that started before this place."""
        for change in self.pending:
            if change.position < position:
                _apply_write(self.durable, change.offset, change.data)
        self.pending = [change for change in self.pending if change.position >= position]

    def read_all(self) -> bytes:
        """Return the contents as a program reads them."""
        content = bytearray(self.durable)
        for change in self.pending:
            _apply_write(content, change.offset, change.data)
        return bytes(content)

    def after_power_loss(self, chance: random.Random, kind: str) -> bytes:
        """Return possible contents after a power loss."""
        if kind == NONE:
            return bytes(self.durable)
        if kind == ALL:
            return self.read_all()
        share, filler = chance.choice(WRITE_PROBABILITIES), self._choose_filler(chance)
        content, size = bytearray(self.durable), len(self.durable)
        sizes = [size]
        for change in self.pending:
            size = change.offset if change.data is None else max(size, change.offset + len(change.data))
            sizes.append(size)
            if change.data is None or kind == SOME:
                if chance.random() < share:
                    _apply_write(content, change.offset, change.data, filler)
                continue
            for offset, piece in change.sectors:
                if chance.random() < share:
                    _apply_write(content, offset, piece, filler)
        if chance.random() < 0.3:
            _apply_write(content, chance.choice(sizes), None, filler)
        return bytes(content)

    def _choose_filler(self, chance: random.Random) -> bytes:
        match chance.randrange(3):
            case 0:
                return b""
            case 1:
                return self.stale
            case _:
                return NOISE


class SimulatedDisk:
    """The files of a folder, changed by one call after the other."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._durable: dict[str, SimulatedFile | None] = {
            name: SimulatedFile(content) for name, content in files.items()
        }
        self._pending_names: defaultdict[str, list[tuple[int, SimulatedFile | None]]] = defaultdict(list)

    def __contains__(self, name: str) -> bool:
        return self._find_current(name) is not None

    def __getitem__(self, name: str) -> SimulatedFile:
        file = self._find_current(name)
        assert file, f"{name} is not there"
        return file

    def _find_current(self, name: str) -> SimulatedFile | None:
        coming = self._pending_names[name]
        return coming[-1][1] if coming else self._durable.get(name)

    @property
    def names(self) -> list[str]:
        return sorted(name for name in {*self._durable, *self._pending_names} if name in self)

    def create(self, place: int, name: str) -> None:
        old = next((file for _, file in reversed(self._pending_names[name]) if file), self._durable.get(name))
        self._pending_names[name].append((place, SimulatedFile(stale=old.read_all() if old is not None else b"")))

    def remove(self, place: int, name: str) -> None:
        self._pending_names[name].append((place, None))

    def sync_folder(self, place: int) -> None:
        """Make all names durable that were created or removed before this place."""
        for name, coming in self._pending_names.items():
            done = [file for since, file in coming if since < place]
            if done:
                self._durable[name] = done[-1]
            del coming[: len(done)]

    def has_unsynced(self) -> bool:
        """Return whether a power loss could lose anything now."""
        return any(self._pending_names.values()) or any(file.pending for file in self._durable.values() if file)

    def after_power_loss(self, chance: random.Random, kind: str) -> dict[str, bytes]:
        """Return possible files and contents after a power loss."""
        found: dict[str, bytes] = {}
        for name in sorted({*self._durable, *self._pending_names}):
            certain, coming = self._durable.get(name), [file for _, file in self._pending_names[name]]
            file = (
                self._find_current(name)
                if kind == ALL
                else chance.choice([certain, *coming[: len(coming) * (kind != NONE)]])
            )
            if file:
                found[name] = file.after_power_loss(chance, kind)
        return found


def _apply_write(content: bytearray, offset: int, data: bytes | None, filler: bytes = b"") -> None:
    """Write the data, or change the size if there is none; a gap is filled."""
    if offset > (size := len(content)):
        content += filler[size:offset].ljust(offset - size, b"\0")
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data
