"""Tests of the file: its schema and constraints, and the files that are refused."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from minwallet.ledger.commands import Bet
from minwallet.storage.errors import DatabaseUnusable, StoreError
from minwallet.storage.mounts import detect_file_system
from minwallet.storage.sqlite import SqliteStore, connection, path_checks
from tests.storage.store_helpers import NOW, Run, create_players, make_command, make_new_account

TABLES = {
    *("accounts", "agents", "callback_keys", "id_scopes", "players", "protocol_secrets", "sessions", "transactions"),
    *("exclusions", "limit_usage", "limits"),
    *("game_lists", "journal", "report_cursors", "report_rows"),
    *("admin_sessions", "admins", "api_keys", "audit_log", "currency_totals", "minutes", "totals", "totals_progress"),
}


@pytest.fixture
def raw_connection(db: Path, run: Run) -> Iterator[sqlite3.Connection]:
    """Yield a plain sqlite3 connection to a closed wallet with one bet of ann's."""
    store = run(SqliteStore.open(db, create=True))
    run(create_players(store, make_new_account("ann", 100), make_new_account("bob", 100)))
    run(store.apply([make_command(Bet("1", 10, "1"), 1)], NOW))
    run(store.close())
    with closing(sqlite3.connect(db, isolation_level=None)) as opened:
        yield opened


def test_the_file_carries_application_id_and_schema_version(raw_connection: sqlite3.Connection) -> None:
    """`application_id` spells minw, and `user_version` is the number of migrations."""
    (application_id,) = raw_connection.execute("PRAGMA application_id").fetchone()
    assert application_id.to_bytes(4, "big") == b"minw"
    steps = list((Path(connection.__file__).parent.parent / "schema").glob("*.sql"))
    assert raw_connection.execute("PRAGMA user_version").fetchone() == (len(steps),)
    assert raw_connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_every_table_is_strict(raw_connection: sqlite3.Connection) -> None:
    """No column accepts a value of another type."""
    found = raw_connection.execute(
        "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
    )
    assert {name: strict for name, strict in found if not name.startswith("sqlite_")} == dict.fromkeys(TABLES, 1)
    with pytest.raises(sqlite3.IntegrityError, match="cannot store"):
        raw_connection.execute("UPDATE accounts SET cash = 'much'")
    with pytest.raises(sqlite3.IntegrityError, match="cannot store"):
        raw_connection.execute("UPDATE accounts SET cash = cash + 9223372036854775807")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts SET cash = -1",
        "UPDATE accounts SET bonus = -1",
        "UPDATE accounts SET bonus = 9223372036854775807",
        "UPDATE accounts SET head = x'00'",
        "UPDATE players SET status = 'asleep'",
    ],
)
def test_a_balance_is_never_out_of_range(raw_connection: sqlite3.Connection, statement: str) -> None:
    """The schema rejects balances that the rules never produce."""
    with pytest.raises(sqlite3.IntegrityError):
        raw_connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transactions SET amount = 0",
        "UPDATE transactions SET hash = hash WHERE seq = 1",
        "UPDATE OR REPLACE transactions SET seq = 1 WHERE seq = 2",
        "DELETE FROM transactions",
        "DELETE FROM transactions WHERE seq = 3",
        "INSERT OR REPLACE INTO transactions SELECT * FROM transactions WHERE seq = 3",
        "REPLACE INTO transactions SELECT * FROM transactions WHERE seq = 1",
    ],
)
def test_a_ledger_row_is_never_changed_or_removed(raw_connection: sqlite3.Connection, statement: str) -> None:
    """The schema rejects changes and deletions by any program."""
    before = raw_connection.execute("SELECT * FROM transactions").fetchall()
    with pytest.raises(sqlite3.IntegrityError):
        raw_connection.execute(statement)
    assert raw_connection.execute("SELECT * FROM transactions").fetchall() == before


INSERT_COPY = """
    INSERT INTO transactions
    SELECT {seq}, at_ms, {account_id}, {previous_seq}, scope_id, {id}, {role}, kind, round, game, detail, stake, payout,
           amount, bonus_amount, cash_after, bonus_after, state, refusal, hash, reference
      FROM transactions WHERE seq = 3
"""
NEXT_ROW = {"seq": 4, "account_id": 1, "previous_seq": 3, "id": "'9'", "role": 0}


def test_a_ledger_row_moves_its_account(raw_connection: sqlite3.Connection) -> None:
    """A trigger sets the account's balances to those of its last row."""
    raw_connection.execute("BEGIN")
    raw_connection.execute(INSERT_COPY.format(**NEXT_ROW))
    row = raw_connection.execute("SELECT cash, bonus, last_seq FROM accounts WHERE account_id = 1").fetchone()
    assert row == (90, 0, 4)
    raw_connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    "difference",
    [
        {"previous_seq": 1},
        {"previous_seq": 0},
        {"account_id": 2},
        {"account_id": 99},
        {"previous_seq": 4},
        {"id": "'1'"},
        {"role": 1},
        {"role": 2},
        {"role": 3},
        {"seq": 3, "previous_seq": 2},
    ],
    ids=str,
)
def test_a_ledger_row_follows_its_accounts_last_row(
    raw_connection: sqlite3.Connection, difference: dict[str, object]
) -> None:
    """A row after another account's row, an older row or no row is rejected, and so is a second row for one id."""
    with pytest.raises(sqlite3.IntegrityError):
        raw_connection.execute(INSERT_COPY.format(**NEXT_ROW | difference))
    assert raw_connection.execute("SELECT count(*) FROM transactions").fetchone() == (3,)
    assert raw_connection.execute("SELECT cash FROM accounts WHERE account_id = 1").fetchone() == (90,)


def test_an_empty_file_becomes_a_wallet(db: Path, run: Run) -> None:
    """A file of 0 bytes is migrated when it is opened, and can be opened again."""
    db.touch()
    for _ in range(2):
        store = run(SqliteStore.open(db, create=False, check=True))
        assert [agent.name for agent in run(store.accounts.list_agents())] == ["default"]
        run(store.close())


def test_an_empty_file_stays_empty_when_it_is_only_read(db: Path, run: Run) -> None:
    """A read-only store does not create tables. Reading fails."""

    async def read() -> None:
        store = await SqliteStore.open_read_only(db)
        try:
            await store.accounts.list_agents()
        finally:
            await store.close()

    db.touch()
    with pytest.raises(StoreError):
        run(read())
    assert db.stat().st_size == 0


def test_opening_twice_keeps_what_there_is(raw_connection: sqlite3.Connection, db: Path, run: Run) -> None:
    """`create` creates a file only if there is none."""
    before = raw_connection.execute("SELECT * FROM transactions").fetchall()
    run(run(SqliteStore.open(db, create=True)).close())
    assert raw_connection.execute("SELECT * FROM transactions").fetchall() == before


def _assert_open_refused(db: Path, run: Run, message: str) -> None:
    """Assert that every way to open the file is refused with this message."""
    for open_ in (
        SqliteStore.open(db, create=True, check=True),
        SqliteStore.open(db, create=False, check=True),
        SqliteStore.open_read_only(db),
    ):
        with pytest.raises(DatabaseUnusable, match=message):
            run(open_)


def test_a_newer_file_is_refused(raw_connection: sqlite3.Connection, db: Path, run: Run) -> None:
    """The message has the schema versions of the file and of this program."""
    raw_connection.execute("PRAGMA user_version = 41")
    raw_connection.close()
    _assert_open_refused(db, run, r"newer minwallet \(schema 41, this one knows \d+\); upgrade minwallet")


def test_another_programs_database_is_left_as_it_is(db: Path, run: Run) -> None:
    """The file is refused before any byte of it is changed."""
    with closing(sqlite3.connect(db)) as other, other:
        other.execute("CREATE TABLE notes (text)")
    before = db.read_bytes()
    _assert_open_refused(db, run, "another program's database")
    assert db.read_bytes() == before
    assert [file.name for file in db.parent.iterdir()] == ["wallet.db"]


def test_an_empty_database_with_a_strange_mark_is_refused(db: Path, run: Run) -> None:
    """A file without tables, but with another application_id or user_version, is refused."""
    for pragma in ("application_id = 77", "user_version = 1"):
        with closing(sqlite3.connect(db)) as other:
            other.execute(f"PRAGMA {pragma}")
            other.execute("VACUUM")
        _assert_open_refused(db, run, "another program's database")
        db.unlink()


def test_a_network_file_system_is_refused(db: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite can lose commits on a network file system."""
    kind = detect_file_system(db.parent)
    assert kind
    monkeypatch.setattr(path_checks, "NETWORK_FILE_SYSTEMS", {kind})
    _assert_open_refused(db, run, "network file system")
    assert not db.exists()
