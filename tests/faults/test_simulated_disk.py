"""The simulated disk: synced data is there, and unsynced data may be there."""

import random

from tests.faults.simulated_disk import ALL, NONE, SOME, TORN, PendingWrite, SimulatedDisk

OLD, NEW = b"o" * 1024, b"n" * 1024


def simulate_losses(platter: SimulatedDisk, kind: str, times: int = 300) -> list[dict[str, bytes]]:
    """Return the contents after this number of power losses."""
    chance = random.Random(1)
    return [platter.after_power_loss(chance, kind) for _ in range(times)]


def test_synced_data_is_durable() -> None:
    """A write is durable after a sync of its file that started after it; a new name after a sync of its folder."""
    platter = SimulatedDisk({"a": OLD})
    platter["a"].pending.append(PendingWrite(1, 0, NEW))
    platter["a"].sync(2)
    platter.create(3, "b")
    platter["b"].pending.append(PendingWrite(4, 0, NEW))
    platter["b"].sync(5)
    assert {len(disk) for disk in simulate_losses(platter, TORN)} == {1, 2}
    platter.sync_folder(6)
    assert not platter.has_unsynced()
    for kind in (NONE, ALL, SOME, TORN):
        assert all(disk == {"a": NEW, "b": NEW} for disk in simulate_losses(platter, kind))


def test_unsynced_data_may_be_there() -> None:
    """The disk has none of it, all of it, some writes, or some sectors of a long write."""
    platter = SimulatedDisk({"a": OLD})
    platter["a"].pending += [PendingWrite(1, 0, NEW), PendingWrite(2, 1000, b"x" * 24)]
    assert {disk["a"] for disk in simulate_losses(platter, NONE)} == {OLD}
    assert {disk["a"] for disk in simulate_losses(platter, ALL)} == {NEW[:1000] + b"x" * 24}
    whole = {OLD, NEW, OLD[:1000] + b"x" * 24, NEW[:1000] + b"x" * 24}
    assert {disk["a"] for disk in simulate_losses(platter, SOME)} == whole
    torn = {disk["a"] for disk in simulate_losses(platter, TORN)}
    assert torn > whole
    assert {OLD[:512] + NEW[:512], NEW[:512] + OLD[:512]} <= torn


def test_a_size_may_be_durable_without_its_data() -> None:
    """A file that grew may have its old size, or its new size with any bytes; a truncated one may be complete."""
    platter = SimulatedDisk({"a": OLD, "b": OLD})
    platter["a"].pending.append(PendingWrite(1, 2048, NEW))
    platter["b"].pending.append(PendingWrite(2, 100, None))
    disks = simulate_losses(platter, TORN)
    assert {1024, 3072} <= {len(disk["a"]) for disk in disks}
    assert {len(disk["b"]) for disk in disks} == {100, 1024}
    assert len({disk["a"][1024:2048] for disk in disks if len(disk["a"]) > 2048}) > 1


def test_a_removed_file_may_be_back() -> None:
    """It may be there with all its data until the folder is synced; its data may also be in a new file."""
    platter = SimulatedDisk({"a": OLD})
    platter.remove(1, "a")
    assert "a" not in platter
    assert {*map(str, simulate_losses(platter, SOME))} == {"{}", str({"a": OLD})}
    platter.create(2, "a")
    platter["a"].pending.append(PendingWrite(3, 512, NEW))
    disks = [disk["a"] for disk in simulate_losses(platter, TORN) if "a" in disk]
    assert OLD in disks
    assert any(disk.startswith(OLD[:512] + NEW[:512]) for disk in disks)
    platter.sync_folder(4)
    platter["a"].sync(5)
    assert {disk["a"] for disk in simulate_losses(platter, TORN)} == {bytes(512) + NEW}
