"""Tests of the migrations: schema 5 renamed tables and columns, schemas 6 and 7 added columns."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from minwallet.ledger.commands import Bet, Win
from minwallet.ledger.entries import Refusal
from minwallet.ledger.limits import DailyUsage, EffectiveValue, LimitKind
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.outcomes import Applied, Refused
from minwallet.ledger.time_units import DAY_MS
from minwallet.storage.admin_store import AdminSession, EndedAccess
from minwallet.storage.models import ReportCursor
from minwallet.storage.queries import OrphanWins
from minwallet.storage.sqlite import SqliteStore
from tests.storage.older_schema import copy_to_older_schema
from tests.storage.store_helpers import NOW, Run, create_players, make_command, make_new_account

TODAY = NOW // DAY_MS

COOKIE = bytes(32)


@pytest.fixture
def older_file(db: Path, run: Run) -> Path:
    """Return a file of schema 4 with rows in every renamed table; ann has lost 30 of a loss limit of 40."""
    store = run(SqliteStore.open(db, create=True))
    run(create_players(store, make_new_account("ann", 100)))
    run(store.apply([make_command(Bet("1", 30, "1"), 1)], NOW))
    run(store.close())
    older = db.with_name("older.db")
    copy_to_older_schema(db, older, version=4)
    with closing(sqlite3.connect(older, isolation_level=None)) as file:
        file.execute("INSERT INTO limits VALUES (1, 'loss', 'day', 40, NULL, NULL)")
        file.execute("INSERT INTO spent VALUES (1, ?, 0, 100, 0, 30)", (TODAY,))
        file.execute("INSERT INTO admins VALUES ('eve', NULL, ?)", (NOW,))
        file.execute("INSERT INTO sign_ins VALUES (?, 'eve', 0, ?, ?)", (COOKIE, NOW, NOW + 1))
        file.execute("INSERT INTO actions (at_ms, actor, action, detail) VALUES (?, 'eve', 'limit_set', '{}')", (NOW,))
        file.execute("INSERT INTO report_marks VALUES (1, 'key', ?)", (NOW,))
        file.execute("UPDATE summed_up SET last_seq = 2")
        file.execute("INSERT INTO moved VALUES ('USD', '70')")
    return older


def test_rows_of_renamed_tables_stay(older_file: Path, run: Run) -> None:
    """The renamed tables have the rows that they had before."""
    store = run(SqliteStore.open(older_file, create=False, check=True))
    restrictions = run(store.limits.find_restrictions(1, NOW))
    assert [(each.kind, each.amount) for each in restrictions.limits] == [(LimitKind.LOSS, EffectiveValue(40))]
    assert restrictions.daily_usage == (DailyUsage(TODAY, 100, 30),)
    assert run(store.admin.find_admin_session(COOKIE, NOW)) == AdminSession("eve", NOW + 1)
    assert [record.event.actor for record in run(store.admin.list_audit_records(None, 10))] == ["eve"]
    assert run(store.reports.find_report_cursor(1)) == ReportCursor("key", NOW)
    assert run(store.totals.aggregate_totals(10)) == 0
    assert [balance.is_consistent for balance in run(store.totals.read_currency_balances())] == [True]
    run(store.close())


def test_wins_without_a_bet_of_an_older_file_are_counted(db: Path, run: Run) -> None:
    """The totals of entries that were aggregated before the migration get them, whatever their sum."""
    store = run(SqliteStore.open(db, create=True))
    run(create_players(store, make_new_account("ann", 100), make_new_account("bob", currency="EUR")))
    late = NOW + DAY_MS
    entries: list[tuple[Bet | Win, int, int]] = [
        (Win("1", 7, "x", "fish"), 1, NOW),
        (Win("2", 8, "x"), 1, NOW),
        (Win("3", 9, "x"), 1, NOW),
        (Bet("4", 1, "4"), 1, NOW),
        (Win("5", 1, "4"), 1, NOW),
        (Win("6", MAX_CENTS, "x"), 2, NOW),
        (Bet("7", MAX_CENTS, "7"), 2, NOW),
        (Win("8", MAX_CENTS, "x"), 2, NOW),
        (Win("9", 10, "x"), 1, late),
        (Win("10", 11, "x"), 1, late),
    ]
    for command, account_id, now_ms in entries:
        run(store.apply([make_command(command, account_id)], now_ms))
    newest = run(store.ledger.count_entries())
    run(store.totals.aggregate_totals(newest - 1))
    before = run(store.totals.read_totals(0, TODAY + 9, None))
    run(store.close())
    older = db.with_name("older.db")
    copy_to_older_schema(db, older, version=5)
    with closing(sqlite3.connect(older, isolation_level=None)) as file:
        file.execute("ATTACH ? AS current", (str(db),))
        columns = ", ".join(row[1] for row in file.execute("PRAGMA main.table_info(totals)"))
        file.execute(f"INSERT INTO totals ({columns}) SELECT {columns} FROM current.totals")
        file.execute("UPDATE totals_progress SET last_seq = ?", (newest - 1,))
    store = run(SqliteStore.open(older, create=False, check=True))
    assert run(store.totals.read_totals(0, TODAY + 9, None)) == before
    assert run(store.totals.aggregate_totals(10)) == 1
    assert run(store.totals.read_orphan_wins()) == [OrphanWins("EUR", 2, 2 * MAX_CENTS), OrphanWins("USD", 5, 45)]
    run(store.close())


def test_triggers_of_renamed_tables_work(older_file: Path, run: Run) -> None:
    """Bets count against a limit set before the migration, and the audit log stays append-only."""
    store = run(SqliteStore.open(older_file, create=False))
    (first,) = run(store.apply([make_command(Bet("2", 10, "2"), 1)], NOW))
    (second,) = run(store.apply([make_command(Bet("3", 1, "3"), 1)], NOW))
    assert isinstance(first, Applied)
    assert isinstance(second, Refused)
    assert second.refusal is Refusal.LOSS_LIMIT
    assert run(store.limits.find_restrictions(1, NOW)).daily_usage == (DailyUsage(TODAY, 100, 40),)
    run(store.close())
    with closing(sqlite3.connect(older_file, isolation_level=None)) as file:
        for statement in ("UPDATE audit_log SET actor = 'bob'", "DELETE FROM audit_log"):
            with pytest.raises(sqlite3.IntegrityError, match="the audit log is never"):
                file.execute(statement)


def test_a_migrated_file_has_the_schema_of_a_new_one(older_file: Path, db: Path, run: Run) -> None:
    """Tables, indexes and triggers are equal, whether the renamed tables had rows or not."""
    run(run(SqliteStore.open(older_file, create=False)).close())
    schemas = []
    for path in (older_file, db):
        with closing(sqlite3.connect(path)) as file:
            schemas.append(file.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall())
    assert schemas[0] == schemas[1]


def test_constraints_of_renamed_tables_stay(older_file: Path, run: Run) -> None:
    """Foreign keys from and to the renamed tables hold."""
    run(run(SqliteStore.open(older_file, create=False)).close())
    with closing(sqlite3.connect(older_file, isolation_level=None)) as file:
        file.execute("PRAGMA foreign_keys = 1")
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
        for statement in (
            "INSERT INTO id_scopes (agent_id, protocol, currency) VALUES (9, 'vela', '')",
            "INSERT INTO admin_sessions VALUES (randomblob(32), 'bob', 0, 1, 2, NULL)",
            "INSERT INTO limit_usage VALUES (9, 1, 0, 0, 0, 0)",
            "INSERT INTO report_cursors VALUES (9, '', NULL)",
            "DELETE FROM id_scopes",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
                file.execute(statement)


def test_makers_of_older_keys_come_from_the_audit_log(db: Path, run: Run) -> None:
    """A key and an admin get the actor of their row. Without a row the maker stays unknown."""
    older = db.with_name("older.db")
    run(run(SqliteStore.open(db, create=True)).close())
    copy_to_older_schema(db, older, version=5)
    with closing(sqlite3.connect(older, isolation_level=None)) as file:
        for name in ("known", "lost"):
            file.execute("INSERT INTO api_keys VALUES (?, randomblob(32), '', 'read', NULL, ?, NULL)", (name, NOW))
        file.executemany("INSERT INTO admins VALUES (?, NULL, ?)", [("eve", NOW), ("uma", NOW)])
        for actor, action, subject in (
            ("admin eve", "key_add", "known"),
            ("admin uma", "key_revoke", "lost"),
            ("admin eve", "admin_link", "uma"),
            ("command line", "admin_link", "uma"),
        ):
            file.execute(
                "INSERT INTO audit_log (at_ms, actor, action, subject, detail) VALUES (?, ?, ?, ?, '{}')",
                (NOW, actor, action, subject),
            )
    store = run(SqliteStore.open(older, create=False))
    assert {key.name: key.created_by for key in run(store.admin.list_keys())} == {"known": "admin eve", "lost": None}
    assert run(store.admin.reset_admin("eve", NOW)) == EndedAccess(0, (), ("known",), (), (), 0, ("uma",), ("lost",))
    run(store.close())
