"""Tests of the SQLite engine: errors, readers, and the safety of the file."""

import asyncio
import os
import re
import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from minwallet.ledger.commands import Bet, Deposit, Win
from minwallet.ledger.outcomes import Applied
from minwallet.storage.errors import ConstraintViolation, DatabaseUnusable, DiskFull, OutcomeUnknown, StoreError
from minwallet.storage.models import AccountCommand, PlayerStatus
from minwallet.storage.sqlite import SqliteStore, accounts, connection
from minwallet.wallet.sessions import build_new_session
from tests.storage.store_helpers import NOW, Run, create_players, make_command, make_new_account, make_operator_command

FILES = ["wallet.db", "wallet.db-shm", "wallet.db-wal"]


@pytest.fixture
def store(db: Path, run: Run) -> Iterator[SqliteStore]:
    """Yield a new store with ann and bob, who have 1.00 each."""
    opened = run(SqliteStore.open(db, create=True))
    run(create_players(opened, make_new_account("ann", 100), make_new_account("bob", 100)))
    yield opened
    run(opened.close())


@contextmanager
def limit_file_size(max_bytes: int) -> Iterator[None]:
    """Make every write beyond `max_bytes` of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _execute(db: sqlite3.Connection, sql: str) -> object:
    return db.execute(sql).fetchone()


def test_the_files_are_readable_by_their_owner_only(db: Path, run: Run) -> None:
    """The database and its companions have mode 0600 while it is open, for any umask."""
    before = os.umask(0)
    try:
        store = run(SqliteStore.open(db, create=True))
        run(create_players(store, make_new_account("ann", 1)))
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in db.parent.iterdir()}
    assert modes == dict.fromkeys(FILES, 0o600)
    run(store.close())


def test_closing_leaves_one_file(db: Path, run: Run) -> None:
    """Closing copies the WAL into the file and deletes it."""
    store = run(SqliteStore.open(db, create=True))
    run(create_players(store, make_new_account("ann", 1)))
    run(store.close())
    assert [file.name for file in db.parent.iterdir()] == ["wallet.db"]
    again = run(SqliteStore.open(db, create=False))
    assert run(again.ledger.count_entries()) == 1
    run(again.close())


@pytest.mark.parametrize(("pragma", "value"), connection.PRAGMAS)
def test_a_pragma_is_in_force(store: SqliteStore, run: Run, pragma: str, value: object) -> None:
    """Reading the pragma back returns its value, on the writer and on the reader."""
    assert store._writer
    for each in (store._writer, store._reader):
        assert run(each.run(lambda db: db.execute(f"PRAGMA {pragma}").fetchone())) == (value,)


def test_a_reply_is_durable() -> None:
    """The WAL is synced at every commit, and foreign keys are enforced."""
    wanted = dict(connection.PRAGMAS)
    assert (wanted["journal_mode"], wanted["synchronous"], wanted["foreign_keys"]) == ("wal", 2, 1)


def test_the_reader_only_reads(store: SqliteStore, run: Run) -> None:
    """A write on the reader's connection fails."""
    with pytest.raises(StoreError, match="readonly"):
        run(store._ui_reader.run(lambda db: db.execute("UPDATE accounts SET cash = 5")))
    assert run(store._ui_reader.run(lambda db: db.execute("PRAGMA query_only").fetchone())) == (1,)


def test_two_commands_of_one_account_in_a_batch_are_refused(store: SqliteStore, run: Run) -> None:
    """A trigger rejects them, and nothing of the batch stays."""
    batch = [make_command(Bet("1", 1, "1"), 2), make_command(Bet("2", 1, "2"), 1), make_command(Bet("3", 1, "3"), 1)]
    with pytest.raises(ConstraintViolation, match="follow the last row"):
        run(store.apply(batch, NOW))
    assert run(store.ledger.count_entries()) == 2
    assert [account.cash for player in run(store.accounts.list_players("default")) for account in player.accounts] == [
        100,
        100,
    ]


def test_a_rejected_batch_leaves_nothing(store: SqliteStore, run: Run) -> None:
    """The next batch may use the ids of a rejected one."""
    with pytest.raises(ConstraintViolation, match="refused the change"):
        run(store.apply([make_command(Bet("1", 1, "1"), 1), make_command(Bet("2", -1, "2"), 2)], NOW))
    assert run(store.ledger.count_entries()) == 2
    outcomes = run(store.apply([make_command(Bet("1", 1, "1"), 1), make_command(Bet("2", 1, "2"), 2)], NOW))
    assert [outcome.cash for outcome in outcomes] == [99, 99]


def test_session_tokens_are_unique(store: SqliteStore, run: Run) -> None:
    """The schema rejects a second session with the same token."""
    run(store.sessions.add_session(1, build_new_session("token", None), NOW))
    with pytest.raises(ConstraintViolation):
        run(store.sessions.add_session(2, build_new_session("token", None), NOW))


def test_one_player_is_found_without_a_scan_of_the_others(store: SqliteStore, run: Run) -> None:
    """Finding one of 2,000 players takes as many steps as finding one of two."""
    steps: list[int] = []

    def count(db: sqlite3.Connection) -> None:
        db.set_progress_handler(lambda: steps.append(1), 1)
        assert accounts.find_player(db, "default", "bob")
        db.set_progress_handler(None, 1)

    run(store._ui_reader.run(count))
    among_two = len(steps)
    run(create_players(store, *(make_new_account(f"p{number}", 1) for number in range(2000))))
    run(store._ui_reader.run(count))
    assert len(steps) < 3 * among_two


def test_a_bug_in_the_middle_of_a_transaction_leaves_nothing(store: SqliteStore, run: Run) -> None:
    """Every exception rolls the transaction back."""

    def work(db: sqlite3.Connection) -> None:
        db.execute("UPDATE players SET status = 'blocked'")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(store.write(work))
    assert {player.status for player in run(store.accounts.list_players("default"))} == {"active"}
    assert isinstance(run(store.apply([make_operator_command(Deposit("r", 1), 1)], NOW))[0], Applied)


@pytest.mark.parametrize("commands", [1, 60])
def test_a_full_disk_voids_the_batch_alone(store: SqliteStore, run: Run, commands: int) -> None:
    """If the disk fills up anywhere in a batch, nothing of it stays, no statement follows, and the store goes on."""
    assert store._writer
    noticed: list[str] = []
    store.on_disk_full(lambda: noticed.append("full"))
    run(create_players(store, *(make_new_account(f"p{number}", 100) for number in range(commands))))
    run(store._writer.run(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone()))
    kept, statements, failed, batch = run(store.ledger.count_entries()), list[str](), 0, list[AccountCommand]()
    for turn in range(10 + 240 // commands):
        batch = [
            make_command(Win(str(turn), 0, game="x" * 64), 3 + number, protocol=str(number))
            for number in range(commands)
        ]
        run(store._writer.run(lambda db: db.set_trace_callback(statements.append)))
        try:
            run(store.apply(batch, NOW))
        except DiskFull:
            failed += 1
            assert "COMMIT" not in statements
        else:
            kept += commands
        statements.clear()
        assert run(store.ledger.count_entries()) == kept
    assert failed == len(noticed) > 0
    assert store.failure is None
    run(store._writer.run(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone()))
    assert isinstance(run(store.apply(batch, NOW))[0], Applied)


def test_nothing_is_written_after_an_unknown_outcome(store: SqliteStore, db: Path, run: Run) -> None:
    """A change that was queued before the failure is not written either."""

    async def both() -> list[object]:
        commands = [[make_command(Bet(str(number), 10, str(number)), number)] for number in (1, 2)]
        return await asyncio.gather(*(store.apply(each, NOW) for each in commands), return_exceptions=True)

    with limit_file_size(db.with_name("wallet.db-wal").stat().st_size):
        faults = run(both())
    assert isinstance(faults[0], OutcomeUnknown)
    assert faults[0] is faults[1] is store.failure
    assert store.failure.is_logged
    with pytest.raises(OutcomeUnknown):
        run(store.accounts.set_player_status(1, PlayerStatus.BLOCKED))
    assert run(store.ledger.count_entries()) == 2
    # A restart may find another balance, so no balance is returned.
    with pytest.raises(OutcomeUnknown):
        run(store.dry_run(make_command(Bet("3", 1, "3"), 1), NOW))


def test_a_failed_rollback_stops_all_writes(store: SqliteStore, run: Run) -> None:
    """If ROLLBACK fails, nothing more is written. A restart rolls the change back."""

    def allow(action: int, what: str | None, *_: object) -> int:
        is_rollback = action == sqlite3.SQLITE_TRANSACTION and what == "ROLLBACK"
        return sqlite3.SQLITE_DENY if is_rollback else sqlite3.SQLITE_OK

    assert store._writer
    run(store._writer.run(lambda db: db.set_authorizer(allow)))
    with pytest.raises(OutcomeUnknown, match="could not be rolled back"):
        run(store.apply([make_command(Bet("1", 1, "1"), 1), make_command(Bet("2", -1, "2"), 2)], NOW))
    with pytest.raises(OutcomeUnknown, match="could not be rolled back"):
        run(store.apply([make_operator_command(Deposit("r", 1), 1)], NOW))
    assert run(store.ledger.count_entries()) == 2


def test_a_commit_that_fails_has_an_unknown_outcome(store: SqliteStore, db: Path, run: Run) -> None:
    """It is neither reported as applied nor as refused. If the disk accepts no more, the file stays intact, and a retry
    after a restart finds the outcome."""
    bet = make_command(Bet("1", 10, "1"), 1)
    with (
        limit_file_size(db.with_name("wallet.db-wal").stat().st_size),
        pytest.raises(OutcomeUnknown, match="commit failed"),
    ):
        run(store.apply([bet], NOW))
    run(store.close())
    again = run(SqliteStore.open(db, create=False, check=True))
    ann = run(again.accounts.find_player("default", "ann"))
    assert ann
    assert (ann.accounts[0].cash, run(again.ledger.count_entries())) in {(100, 2), (90, 3)}
    (outcome,) = run(again.apply([bet], NOW))
    assert outcome.cash == 90
    assert run(again.ledger.count_entries()) == 3
    run(again.close())


def test_a_read_only_store_sees_each_commit(store: SqliteStore, db: Path, run: Run) -> None:
    """A read-only store sees a commit immediately, and cannot change anything."""
    beside = run(SqliteStore.open_read_only(db))
    for cash in (110, 120):
        run(store.apply([make_operator_command(Deposit(f"to {cash}", 10), 1)], NOW))
        ann = run(beside.accounts.find_player("default", "ann"))
        assert ann
        assert ann.accounts[0].cash == cash
    with pytest.raises(StoreError, match="only reads"):
        run(beside.apply([make_operator_command(Deposit("r", 1), 1)], NOW))
    for statement in ("UPDATE accounts SET cash = 5", "DELETE FROM sessions", "PRAGMA user_version = 7"):
        with pytest.raises(StoreError, match="readonly"):
            run(beside._reader.run(partial(_execute, sql=statement)))
    run(beside.close())
    assert sorted(file.name for file in db.parent.iterdir()) == FILES


def test_opening_a_missing_file_is_refused(db: Path, run: Run) -> None:
    """Neither `open_read_only` nor `open` without `create` creates a file."""
    for opening_ in (SqliteStore.open_read_only(db), SqliteStore.open(db, create=False)):
        with pytest.raises(DatabaseUnusable, match="no wallet file"):
            run(opening_)
    assert list(db.parent.iterdir()) == []


def test_an_audit_page_is_of_one_moment(store: SqliteStore, run: Run) -> None:
    """A begun read does not see later commits, and the writer does not wait for it."""
    run(store._ui_reader.run(lambda db: db.execute("BEGIN")))
    assert run(store.ledger.count_entries()) == 2
    run(store.apply([make_operator_command(Deposit("r", 1), 1)], NOW))
    assert run(store.ledger.count_entries()) == 2
    run(store._ui_reader.run(lambda db: db.execute("COMMIT")))
    assert run(store.ledger.count_entries()) == 3


def test_a_file_that_is_refused_leaves_no_thread(db: Path, run: Run) -> None:
    """A failed `open` leaves no thread, so that a command can exit."""
    db.write_text("this is not a database " * 99)
    for open_ in (partial(SqliteStore.open, db, create=False), partial(SqliteStore.open_read_only, db)):
        before = set(threading.enumerate())
        for _ in range(20):
            with pytest.raises(DatabaseUnusable, match="not a wallet file"):
                run(open_())
            assert set(threading.enumerate()) <= before


def test_the_json_of_a_subquery_is_declared_as_json() -> None:
    """SQLite 3.54 forgets that the result of a subquery is JSON. Older versions run the same statement either way."""
    for module in Path(connection.__file__).parent.glob("*.py"):
        assert not re.search(r"(?<!json\()\(\s*SELECT\s+json_", module.read_text("utf-8")), module.name
