"""The made-up disk: what is certain is there, and everything else may or may not be."""

import random

from tests.faults.platter import ALL, NONE, SOME, TORN, Change, Platter

OLD, NEW = b"o" * 1024, b"n" * 1024


def found(platter: Platter, kind: str, times: int = 300) -> list[dict[str, bytes]]:
    """What was there after so many losses of power."""
    chance = random.Random(1)
    return [platter.remains(chance, kind) for _ in range(times)]


def test_what_was_synced_is_there() -> None:
    """A write is certain once its file's sync, begun after it, has ended; a new name once its folder's has."""
    platter = Platter({"a": OLD})
    platter["a"].pending.append(Change(1, 0, NEW))
    platter["a"].sync(2)
    platter.create(3, "b")
    platter["b"].pending.append(Change(4, 0, NEW))
    platter["b"].sync(5)
    assert {len(disk) for disk in found(platter, TORN)} == {1, 2}
    platter.sync_folder(6)
    assert not platter.is_uncertain()
    for kind in (NONE, ALL, SOME, TORN):
        assert all(disk == {"a": NEW, "b": NEW} for disk in found(platter, kind))


def test_what_was_not_synced_may_be_there() -> None:
    """Nothing of it, all of it, some writes, and some sectors of a write that spans several."""
    platter = Platter({"a": OLD})
    platter["a"].pending += [Change(1, 0, NEW), Change(2, 1000, b"x" * 24)]
    assert {disk["a"] for disk in found(platter, NONE)} == {OLD}
    assert {disk["a"] for disk in found(platter, ALL)} == {NEW[:1000] + b"x" * 24}
    whole = {OLD, NEW, OLD[:1000] + b"x" * 24, NEW[:1000] + b"x" * 24}
    assert {disk["a"] for disk in found(platter, SOME)} == whole
    torn = {disk["a"] for disk in found(platter, TORN)}
    assert torn > whole
    assert {OLD[:512] + NEW[:512], NEW[:512] + OLD[:512]} <= torn


def test_a_size_may_be_there_without_its_bytes() -> None:
    """A file that grew may have its old size, or its new one with anything in the gap; a cut one may be whole."""
    platter = Platter({"a": OLD, "b": OLD})
    platter["a"].pending.append(Change(1, 2048, NEW))
    platter["b"].pending.append(Change(2, 100, None))
    disks = found(platter, TORN)
    assert {1024, 3072} <= {len(disk["a"]) for disk in disks}
    assert {len(disk["b"]) for disk in disks} == {100, 1024}
    assert len({disk["a"][1024:2048] for disk in disks if len(disk["a"]) > 2048}) > 1


def test_a_file_that_was_removed_may_be_back() -> None:
    """With all that was in it, until the folder is synced; so may its bytes, where a new file took its place."""
    platter = Platter({"a": OLD})
    platter.remove(1, "a")
    assert "a" not in platter
    assert {*map(str, found(platter, SOME))} == {"{}", str({"a": OLD})}
    platter.create(2, "a")
    platter["a"].pending.append(Change(3, 512, NEW))
    disks = [disk["a"] for disk in found(platter, TORN) if "a" in disk]
    assert OLD in disks
    assert any(disk.startswith(OLD[:512] + NEW[:512]) for disk in disks)
    platter.sync_folder(4)
    platter["a"].sync(5)
    assert {disk["a"] for disk in found(platter, TORN)} == {bytes(512) + NEW}
