"""Tests of the search for damage: before a small file is served, and soon after a large one is."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from minwallet.ledger.commands import Bet, Rollback, Win
from minwallet.storage.errors import DatabaseUnusable, StoreError
from minwallet.storage.models import JournalRow
from minwallet.storage.sqlite import SqliteStore, integrity
from tests.storage.store_helpers import NOW, Run, create_players, make_command, make_new_account
from tests.storage.tampering import open_without_triggers
from tests.support import copy_wallet_file

ROUNDS = 100


async def _create_wallet(db: Path) -> None:
    """Create a wallet in which every table of the ledger and all its indexes have several pages."""
    store = await SqliteStore.open(db, create=True)
    await create_players(store, make_new_account("ann", 1_000_000, token="t"))
    for number in range(ROUNDS):
        bet, win = Bet(f"{number}-bet", 1, f"{number}-bet"), Win(f"{number}-win", 1, f"{number}-bet")
        for each in (bet, win, Rollback(f"{number}-back", f"{number}-win")):
            await store.apply([make_command(each, 1)], NOW)
    entries = await store.ledger.count_entries()
    await store.write_journal([*(JournalRow(seq, "request " * 20, "reply") for seq in range(1, entries + 1))])
    await store.close()


@pytest.fixture
def intact_db(db: Path, run: Run) -> Path:
    run(_create_wallet(db))
    return db


@pytest.fixture
def corrupt_copies(intact_db: Path, tmp_path: Path) -> Iterator[Path]:
    """Yield a copy for each page but the first, with garbage in that page."""
    return _corrupt_each_page(intact_db, tmp_path)


def _corrupt_each_page(sound: Path, folder: Path) -> Iterator[Path]:
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
def startup_check_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every start run out of time for its check."""
    monkeypatch.setattr(integrity, "STARTUP_CHECK_TIMEOUT_S", 0)
    monkeypatch.setattr(integrity, "BATCH_SIZE", 7)


@pytest.fixture
def startup_check_unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "STARTUP_CHECK_TIMEOUT_S", 60)


def _finish_check(db: Path, run: Run) -> tuple[StoreError | None, list[str]]:
    """Return the failure that `finish_check` finds in an opened file, and the calls of its callback."""
    stopped: list[str] = []
    store = run(SqliteStore.open(db, create=False, check=True))
    store.on_failure(lambda: stopped.append("stop"))
    run(store.finish_check())
    run(store.close())
    return store.failure, stopped


@pytest.mark.usefixtures("startup_check_unhurried")
def test_a_small_file_is_checked_before_it_is_served(corrupt_copies: Iterator[Path], run: Run) -> None:
    """A file with garbage in any one page is refused."""
    for file in corrupt_copies:
        with pytest.raises(DatabaseUnusable, match=r"damaged\.db is damaged .*restore it from a backup"):
            run(SqliteStore.open(file, create=False, check=True))


@pytest.mark.usefixtures("startup_check_skipped")
def test_a_large_file_is_checked_while_it_is_served(corrupt_copies: Iterator[Path], run: Run) -> None:
    """Garbage in any one page stops the store, if it can be opened at all."""
    later = 0
    for file in corrupt_copies:
        try:
            broken, stopped = _finish_check(file, run)
        except DatabaseUnusable as fault:
            broken, stopped = fault, ["stop"]
        else:
            later += 1
        assert isinstance(broken, DatabaseUnusable)
        assert "damaged" in str(broken)
        assert stopped == ["stop"]
    assert later > 20


@pytest.mark.usefixtures("startup_check_skipped")
def test_a_corrupt_store_stops_writing(intact_db: Path, run: Run) -> None:
    """Further changes fail with the reason."""
    with open_without_triggers(intact_db) as raw:
        raw.execute("DELETE FROM transactions WHERE seq = 50")
    store = run(SqliteStore.open(intact_db, create=False, check=True))
    run(store.finish_check())
    with pytest.raises(DatabaseUnusable, match="only 5 of the entries 50 to 56 match"):
        run(store.apply([make_command(Bet("new", 1, "new"), 1)], NOW))
    run(store.close())


@pytest.mark.usefixtures("startup_check_skipped")
def test_an_intact_file_stays_served(intact_db: Path, run: Run) -> None:
    """No damage is found in an intact file."""
    assert _finish_check(intact_db, run) == (None, [])


@pytest.mark.parametrize("bytes_left", [0.3, 0.9])
@pytest.mark.usefixtures("startup_check_skipped")
def test_a_file_that_was_cut_off_is_never_served(intact_db: Path, run: Run, bytes_left: float) -> None:
    """The size shows the truncation immediately, also of a large file."""
    with intact_db.open("r+b") as file:
        file.truncate(int(intact_db.stat().st_size * bytes_left))
    with pytest.raises(DatabaseUnusable, match="damaged"):
        run(SqliteStore.open(intact_db, create=False, check=True))


@pytest.mark.usefixtures("startup_check_skipped")
def test_a_file_that_was_cut_off_beside_its_log_is_never_served(intact_db: Path, tmp_path: Path, run: Run) -> None:
    """The WAL of a killed server may contain missing pages, but only as many as it has bytes for."""
    killed = tmp_path / "killed.db"
    store = run(SqliteStore.open(intact_db, create=False))
    run(store.apply([make_command(Bet("new", 1, "new"), 1)], NOW))
    copy_wallet_file(intact_db, killed, "-wal")
    run(store.close())
    copy = copy_wallet_file(killed, tmp_path / "copy.db", "-wal")
    assert _finish_check(copy, run) == (None, [])
    with killed.open("r+b") as file:
        file.truncate(killed.stat().st_size * 3 // 4)
    with pytest.raises(DatabaseUnusable, match="the end of the file is missing"):
        run(SqliteStore.open(killed, create=False, check=True))
