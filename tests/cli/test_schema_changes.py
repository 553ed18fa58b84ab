"""Wallet files whose schema another program changed: no command uses them, and each names the change."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_unchanged
from tests.storage.older_schema import SCRIPTS, copy_to_older_schema
from tests.support import InProcessCli, running_server

CHANGES = [
    ("DROP TRIGGER transactions_are_never_changed", "trigger 'transactions_are_never_changed' is missing"),
    ("DROP TRIGGER audit_log_is_never_removed", "trigger 'audit_log_is_never_removed' is missing"),
    ("DROP INDEX transactions_of_round", "index 'transactions_of_round' is missing"),
    ("CREATE INDEX mine ON sessions (hint)", "index 'mine' is added"),
    ("CREATE VIEW mine AS SELECT * FROM accounts", "view 'mine' is added"),
    ("ALTER TABLE players ADD COLUMN note TEXT", "table 'players' is changed"),
    (
        "CREATE TRIGGER gift AFTER INSERT ON sessions BEGIN UPDATE accounts SET cash = cash + 1; END",
        "trigger 'gift' is added",
    ),
    (
        "DROP TRIGGER transactions_are_never_removed; CREATE TRIGGER transactions_are_never_removed"
        " BEFORE DELETE ON transactions BEGIN SELECT 1; END",
        "trigger 'transactions_are_never_removed' is changed",
    ),
    ("PRAGMA user_version = 0", "its version is 0"),
    ("PRAGMA user_version = 5", "index 'players_by_name_in_any_case' is added"),
]


@pytest.fixture
def cli(tmp_path: Path) -> InProcessCli:
    """Return the command line on a wallet in a folder of its own."""
    (tmp_path / "wallet").mkdir()
    cli = InProcessCli(tmp_path / "wallet" / "minwallet.db")
    cli.add_player()
    return cli


def _change(file: Path, statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.executescript(statements)


@pytest.mark.parametrize(("statements", "change"), CHANGES)
def test_a_changed_schema_is_named_and_refused(cli: InProcessCli, tmp_path: Path, statements: str, change: str) -> None:
    """A backup is not restored, a wallet not used, and `verify` and `doctor` report each change."""
    assert cli.run("backup", tmp_path / "backup.db").code == 0
    _change(tmp_path / "backup.db", statements)
    with assert_unchanged(tmp_path):
        refused = cli.run("restore", tmp_path / "backup.db")
        assert (refused.code, refused.out) == (1, "")
        assert change in refused.err
    _change(cli.db, statements)
    for command in (("serve", "--port", "0"), ("player", "list"), ("backup", tmp_path / "new.db")):
        assert_error_line(cli.run(*command), 3, "schema", change, "restore it from a backup")
    verified = cli.run("verify", "--json")
    assert verified.code == 1
    assert verified.json["ok"] is False
    assert change in verified.json["problems"][0]
    found = cli.run("doctor")
    assert found.code == 1
    assert change in found.out


def test_a_change_during_service_is_found(cli: InProcessCli) -> None:
    """`verify` compares the schema of a served file too."""
    with running_server(cli.db):
        _change(cli.db, "CREATE VIEW mine AS SELECT 1")
        verified = cli.run("verify")
        assert verified.code == 1
        assert "view 'mine' is added" in verified.out


@pytest.mark.parametrize("version", range(1, len(SCRIPTS)))
def test_older_schemas_are_compared_with_their_own_version(cli: InProcessCli, tmp_path: Path, version: int) -> None:
    """An old backup is restored, an old wallet is used, and a changed one is refused before its triggers can run."""
    older = tmp_path / "older.db"
    copy_to_older_schema(cli.db, older, version)
    assert cli.run("restore", older).code == 0
    InProcessCli(older).assert_ledger_valid()
    (tmp_path / "again.db").unlink(missing_ok=True)
    copy_to_older_schema(cli.db, tmp_path / "again.db", version)
    _change(tmp_path / "again.db", "DROP TRIGGER transactions_are_never_changed")
    with assert_unchanged(tmp_path):
        refused = cli.run("restore", tmp_path / "again.db")
    assert refused.code == 1
    assert "trigger 'transactions_are_never_changed' is missing" in refused.err


def test_statistics_of_sqlite_are_no_change(cli: InProcessCli) -> None:
    """ANALYZE of any program only adds SQLite's own tables."""
    _change(cli.db, "ANALYZE")
    cli.assert_ledger_valid()


def test_doctor_lists_who_has_access(cli: InProcessCli) -> None:
    """Only a person can tell a secretly added key from a right one."""
    cli("key", "add", "reports", "--scope", "read")
    cli("key", "add", "old", "--scope", "read")
    cli("key", "revoke", "old")
    key, revoked = (cli("agent", "callback-key", "add", "default")["callback_key"] for _ in range(2))
    cli("agent", "callback-key", "revoke", "default", revoked)
    _change(cli.db, "INSERT INTO admins (name, created_at_ms) VALUES ('eve', 1)")
    found = cli.run("doctor").out
    assert f"admins: eve; live API keys: reports; live callback keys: {key[:12]}… of agent default;" in found
