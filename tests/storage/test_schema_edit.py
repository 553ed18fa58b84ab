"""Tests of the migrations that edit the text of `transactions`, so that its CHECK allows more kinds of entries."""

import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from minwallet.ledger.commands import Adjust, Bet, Rollback
from minwallet.ledger.entries import Kind
from minwallet.ledger.outcomes import Applied, Replayed
from minwallet.storage.errors import DatabaseCorrupt, DatabaseUnusable
from minwallet.storage.sqlite import SqliteStore
from minwallet.storage.sqlite.connection import current_schema, migrate, read_migrations, translate_errors
from minwallet.storage.sqlite.schema_check import NEWEST_DIGEST, build_schema, compute_digest, find_changes
from tests.storage.older_schema import SCRIPTS, copy_to_older_schema
from tests.storage.store_helpers import NOW, Run, create_players, make_command, make_new_account, make_operator_command

READ_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"

READ_ROOT_PAGE = "SELECT rootpage FROM sqlite_schema WHERE name = 'transactions'"

ADD_ENTRY = """
    INSERT INTO transactions (seq, at_ms, account_id, previous_seq, {scope}, id, {role}, kind, stake, payout, amount,
                              bonus_amount, cash_after, bonus_after, state, hash {columns})
    SELECT seq + 1, at_ms, account_id, seq, {scope}, 'r', 0, ?, 0, 0, 0, 0, cash_after, bonus_after, 'applied', hash
           {values}
      FROM transactions ORDER BY seq DESC LIMIT 1
"""


def open_file(path: Path) -> sqlite3.Connection:
    """Return a connection with the pragmas that matter here."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA trusted_schema = 0")
    db.execute("PRAGMA foreign_keys = 1")
    return db


def add_entry(db: sqlite3.Connection, kind: str, version: int, reference: str | None = None) -> None:
    """Insert an entry of this kind after the newest one. `version` is the schema that the connection sees."""
    names = {"scope": "scope_id", "role": "role"} if version >= 5 else {"scope": "space_id", "role": "part"}
    extra = {"columns": ", reference", "values": ", ?"} if reference else {"columns": "", "values": ""}
    db.execute(ADD_ENTRY.format(**names, **extra), (kind, reference) if reference else (kind,))


@pytest.fixture
def make_older(db: Path, run: Run) -> Callable[[int], Path]:
    """Return a function that makes a closed file of a schema, with two entries of ann, who has 70 left."""
    store = run(SqliteStore.open(db, create=True))
    run(create_players(store, make_new_account("ann", 100)))
    run(store.apply([make_command(Bet("1", 30, "1"), 1)], NOW))
    run(store.close())

    def make(version: int) -> Path:
        older = db.with_name(f"schema{version}.db")
        copy_to_older_schema(db, older, version)
        return older

    return make


OLDER_VERSIONS = range(1, len(SCRIPTS))


@pytest.mark.parametrize("version", OLDER_VERSIONS)
def test_a_migrated_file_has_the_schema_of_a_new_one(
    make_older: Callable[[int], Path], db: Path, run: Run, version: int
) -> None:
    """The text of every table, index and trigger is the same, from whichever schema the file came."""
    older = make_older(version)
    run(run(SqliteStore.open(older, create=False, check=True)).close())
    with closing(open_file(older)) as migrated, closing(open_file(db)) as new:
        assert migrated.execute(READ_SCHEMA).fetchall() == new.execute(READ_SCHEMA).fetchall()
        assert migrated.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_the_digest_is_that_of_the_newest_schema() -> None:
    """Otherwise every command would run all migrations to compare the schema."""
    assert compute_digest(build_schema(len(read_migrations()))) == NEWEST_DIGEST


def test_the_newest_schema_with_an_older_number_is_a_change(db: Path, run: Run) -> None:
    """The digest alone does not decide: the migrations would run again."""
    run(run(SqliteStore.open(db, create=True)).close())
    with closing(open_file(db)) as connection:
        assert find_changes(connection, db) == []
        connection.execute(f"PRAGMA user_version = {len(read_migrations()) - 1}")
        assert "table 'protocol_secrets' is added" in find_changes(connection, db)


@pytest.mark.parametrize("version", OLDER_VERSIONS)
def test_a_migrated_ledger_takes_adjustments(make_older: Callable[[int], Path], run: Run, version: int) -> None:
    """The store that migrates the file sees the new CHECK immediately; other kinds are still refused."""
    older = make_older(version)
    store = run(SqliteStore.open(older, create=False))
    (outcome,) = run(store.apply([make_operator_command(Adjust("r", -20), 1)], NOW))
    assert isinstance(outcome, Applied)
    assert run(store.ledger.read_entries([1], 1))[0] == outcome.entry
    run(store.close())
    with closing(open_file(older)) as file, pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
        add_entry(file, "x", len(SCRIPTS))


@pytest.mark.parametrize("version", OLDER_VERSIONS)
def test_a_migrated_ledger_takes_rollbacks(make_older: Callable[[int], Path], run: Run, version: int) -> None:
    """A rollback of a bet that is older than the migration finds it. Exactly the rollbacks have a reference."""
    older = make_older(version)
    store = run(SqliteStore.open(older, create=False))
    (outcome,) = run(store.apply([make_command(Rollback("r1", "1", 10), 1)], NOW))
    assert isinstance(outcome, Applied)
    assert (outcome.entry.kind, outcome.entry.reference, outcome.cash) == (Kind.ROLLBACK, "1", 80)
    (again,) = run(store.apply([make_command(Rollback("r1", "1", 10), 1)], NOW))
    assert again == Replayed(outcome.entry, 80, 0)
    run(store.close())
    with closing(open_file(older)) as file:
        for kind, reference in (("bet", "1"), ("rollback", None)):
            with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
                add_entry(file, kind, len(SCRIPTS), reference)
        add_entry(file, "rollback", len(SCRIPTS), "1")
        assert file.execute("SELECT count(*) FROM transactions WHERE reference = '1'").fetchone() == (2,)


def test_a_migration_does_not_copy_the_ledger(make_older: Callable[[int], Path], run: Run) -> None:
    """The table stays where it is in the file, and keeps its append-only triggers."""
    older = make_older(5)
    with closing(open_file(older)) as file:
        before = file.execute(READ_ROOT_PAGE).fetchone()
    run(run(SqliteStore.open(older, create=False)).close())
    with closing(open_file(older)) as file:
        assert file.execute(READ_ROOT_PAGE).fetchone() == before
        for statement in ("UPDATE transactions SET amount = 1", "DELETE FROM transactions"):
            with pytest.raises(sqlite3.IntegrityError, match="a ledger row is never"):
                file.execute(statement)


@pytest.mark.parametrize("version", OLDER_VERSIONS)
def test_a_rolled_back_edit_leaves_no_trace(make_older: Callable[[int], Path], version: int) -> None:
    """Inside the block the file takes ends of rounds. After it, file and connection have the old schema again."""
    older = make_older(version)
    with closing(open_file(older)) as file:
        before, content = file.execute(READ_SCHEMA).fetchall(), older.read_bytes()
        with current_schema(file, older):
            add_entry(file, "round_end", len(SCRIPTS))
        assert file.execute(READ_SCHEMA).fetchall() == before
        assert older.read_bytes() == content
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed: kind"):
            add_entry(file, "round_end", version)
        with pytest.raises(sqlite3.OperationalError, match="may not be modified"):
            file.execute("UPDATE sqlite_schema SET sql = sql")


def test_another_connection_sees_the_edit(make_older: Callable[[int], Path]) -> None:
    """A connection that has read the old schema before reads the new one at its next statement."""
    older = make_older(5)
    with closing(open_file(older)) as file, closing(open_file(older)) as other:
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed: kind"):
            add_entry(other, "adjustment", 5)
        migrate(file, older)
        add_entry(other, "adjustment", len(SCRIPTS))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 cannot set the defensive mode before Python 3.12")
def test_the_defensive_mode_of_sqlite_does_not_prevent_the_edit(make_older: Callable[[int], Path]) -> None:
    """Apple's SQLite has this mode by default. It protects the schema from all edits."""
    older = make_older(5)
    with closing(open_file(older)) as file:
        file.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)  # type: ignore[attr-defined, unused-ignore]  # exists from Python 3.12 on
        migrate(file, older)
        add_entry(file, "adjustment", len(SCRIPTS))


def test_a_forbidden_edit_is_not_reported_as_damage(make_older: Callable[[int], Path]) -> None:
    """The error names the cause. The file stays as it is, and another Python can migrate it."""
    older = make_older(5)

    def edit_without_permission(file: sqlite3.Connection) -> None:
        file.execute("UPDATE sqlite_schema SET sql = sql")

    shutil.copy(older, older.with_name("before.db"))
    with (
        closing(open_file(older)) as file,
        pytest.raises(DatabaseUnusable, match="this Python's SQLite forbids") as raised,
    ):
        translate_errors(edit_without_permission, older)(file)
    assert not isinstance(raised.value, DatabaseCorrupt)
    assert older.read_bytes() == older.with_name("before.db").read_bytes()
