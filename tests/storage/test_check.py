"""Damage in the file is found: before anything is served where that is quick, soon after where it is not."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from minwallet.ledger.commands import Bet, Win
from minwallet.storage.base import StoreFault, UnusableFile
from minwallet.storage.sqlite import SqliteStore, check
from tests.storage.shelf import NOW, Run, opening, order, players
from tests.support import copy_wallet

ROUNDS = 100


async def _make(db: Path) -> None:
    """A wallet in which every table of the ledger and both indexes have several pages."""
    store = await SqliteStore.open(db, create=True)
    await players(store, opening("ann", 1_000_000, token="t"))
    for number in range(ROUNDS):
        bet, win = Bet(f"{number}-bet", 1, f"{number}-bet"), Win(f"{number}-win", 1, f"{number}-bet")
        for each in (bet, win):
            await store.apply([order(each, 1)._replace(journal=lambda _: ("request " * 20, "reply"))], NOW)
    await store.close()


@pytest.fixture
def sound(db: Path, run: Run) -> Path:
    run(_make(db))
    return db


@pytest.fixture
def damaged(sound: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy for each page but the first, with garbage in its place."""
    return _damaged(sound, tmp_path)


def _damaged(sound: Path, folder: Path) -> Iterator[Path]:
    with closing(sqlite3.connect(sound)) as raw:
        (page_size,), (pages,) = (raw.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "page_count"))
    for page in range(1, pages):
        copy = folder / "damaged.db"
        shutil.copy(sound, copy)
        with copy.open("r+b") as file:
            file.seek(page * page_size)
            file.write(bytes([0xA5]) * page_size)
        yield copy


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the file were so large that a start has no time for it."""
    monkeypatch.setattr(check, "CHECKED_WITHIN_S", 0)
    monkeypatch.setattr(check, "AT_ONCE", 7)


@pytest.fixture
def all_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "CHECKED_WITHIN_S", 60)


def _found_later(db: Path, run: Run) -> tuple[StoreFault | None, list[str]]:
    """What is found in a file that was opened all the same, and who was told."""
    stopped: list[str] = []
    store = run(SqliteStore.open(db, create=False, check=True))
    store.when_broken(lambda: stopped.append("stop"))
    run(store.check_further())
    run(store.close())
    return store.broken, stopped


@pytest.mark.usefixtures("all_time")
def test_a_small_file_is_looked_at_before_it_is_served(damaged: Iterator[Path], run: Run) -> None:
    """One page of garbage anywhere, and it is refused."""
    for file in damaged:
        with pytest.raises(UnusableFile, match=r"damaged\.db is damaged .*restore it from a backup"):
            run(SqliteStore.open(file, create=False, check=True))


@pytest.mark.usefixtures("no_time")
def test_a_large_file_is_looked_at_while_it_is_served(damaged: Iterator[Path], run: Run) -> None:
    """One page of garbage anywhere, and the store says so and stops, if it could be opened at all."""
    later = 0
    for file in damaged:
        try:
            broken, stopped = _found_later(file, run)
        except UnusableFile as fault:
            broken, stopped = fault, ["stop"]
        else:
            later += 1
        assert isinstance(broken, UnusableFile)
        assert "damaged" in str(broken)
        assert stopped == ["stop"]
    assert later > 20


@pytest.mark.usefixtures("no_time")
def test_a_damaged_store_writes_nothing_more(sound: Path, run: Run) -> None:
    """Whoever still asks is told why."""
    with closing(sqlite3.connect(sound, isolation_level=None)) as raw:
        raw.execute("DROP TRIGGER transactions_are_never_removed")
        raw.execute("DELETE FROM transactions WHERE seq = 50")
    store = run(SqliteStore.open(sound, create=False, check=True))
    run(store.check_further())
    with pytest.raises(UnusableFile, match="only 5 of the entries 50 to 56 agree"):
        run(store.apply([order(Bet("new", 1, "new"), 1)], NOW))
    run(store.close())


@pytest.mark.usefixtures("no_time")
def test_a_sound_file_is_served_on(sound: Path, run: Run) -> None:
    """Nothing is found where nothing is wrong."""
    assert _found_later(sound, run) == (None, [])


@pytest.mark.parametrize("bytes_left", [0.3, 0.9])
@pytest.mark.usefixtures("no_time")
def test_a_file_that_was_cut_off_is_never_served(sound: Path, run: Run, bytes_left: float) -> None:
    """Its size tells at once, however large it is."""
    with sound.open("r+b") as file:
        file.truncate(int(sound.stat().st_size * bytes_left))
    with pytest.raises(UnusableFile, match="damaged"):
        run(SqliteStore.open(sound, create=False, check=True))


@pytest.mark.usefixtures("no_time")
def test_a_file_that_was_cut_off_beside_its_log_is_never_served(sound: Path, tmp_path: Path, run: Run) -> None:
    """The log of a server that was killed may have what the file lacks, but not more than it is long."""
    killed = tmp_path / "killed.db"
    store = run(SqliteStore.open(sound, create=False))
    run(store.apply([order(Bet("new", 1, "new"), 1)], NOW))
    copy_wallet(sound, killed, "-wal")
    run(store.close())
    copy = copy_wallet(killed, tmp_path / "copy.db", "-wal")
    assert _found_later(copy, run) == (None, [])
    with killed.open("r+b") as file:
        file.truncate(killed.stat().st_size * 3 // 4)
    with pytest.raises(UnusableFile, match="its end is missing"):
        run(SqliteStore.open(killed, create=False, check=True))
