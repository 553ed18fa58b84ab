"""A missing wallet file that has automatic backups is lost, not new: it is restored, never replaced by an empty one."""

from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_unchanged
from tests.support import InProcessCli

CREATING = (
    *("serve --port 0", "player add ann --currency USD", "agent add brand2", "seed players.csv", "demo --no-browser"),
    "import ledger.csv players.csv",
)


@pytest.fixture
def newest(cli: InProcessCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lose a wallet file that has two automatic backups, and return the newer one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "players.csv").write_text("player_id,currency,balance\nbob,USD,1\n")
    cli("player", "add", "ann", "--currency", "USD", "--balance", "10")
    (folder := tmp_path / "copies").mkdir()
    older, newer = (folder / f"{cli.db.stem}-auto-2026010{day}T000000Z.db" for day in (1, 2))
    for each in (older, newer):
        cli.run("backup", each)
    cli.db.unlink()
    (tmp_path / "minwallet.toml").write_text('backup_to = "copies"')
    return newer


@pytest.mark.parametrize("command", CREATING)
def test_no_command_creates_a_lost_wallet_anew(cli: InProcessCli, newest: Path, command: str) -> None:
    """The error names the folder of the backups and the command that restores the newest."""
    with assert_unchanged(cli.db.parent):
        words = (f"no wallet file at {cli.db}", f"are in {newest.parent};", f"--db {cli.db} restore {newest} ", "move")
        assert_error_line(cli.run(*command.split()), 3, *words)


def test_the_doctor_reports_a_lost_wallet(cli: InProcessCli, newest: Path) -> None:
    """It is a failure, not the state before the first start."""
    result = cli.run("doctor")
    assert result.code == 1
    assert f"fail  wallet        no wallet file at {cli.db}, but" in result.out
    assert str(newest) in result.out


def test_a_lost_wallet_is_restored_or_given_up(cli: InProcessCli, newest: Path) -> None:
    """`restore` works on it. Without backups in the folder, a new wallet is possible."""
    cli("restore", newest)
    assert cli.read_balances("ann") == (1000, 0)
    cli.db.unlink()
    newest.parent.rename("kept")
    cli("player", "add", "bob", "--currency", "USD")


def test_a_wallet_is_not_replaced_by_another_one(cli: InProcessCli, tmp_path: Path) -> None:
    """A backup without any ledger entry of the wallet file needs an option, and the error counts the accounts."""
    cli.add_player()
    cli.add_player()
    other = InProcessCli(tmp_path / "other.db")
    stranger = other.add_player()
    other.run("backup", copy := tmp_path / "other-backup.db")
    with assert_unchanged(tmp_path):
        words = ("another wallet", "2 accounts in the wallet file, 1 account in the backup", "--other-wallet")
        assert_error_line(cli.run("restore", copy), 1, *words)
        assert_error_line(cli.run("restore", copy, "--as-it-was"), 1, *words)
    cli("restore", copy, "--other-wallet")
    assert cli.read_balances(stranger) == (10_000, 0)
