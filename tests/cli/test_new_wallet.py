"""Commands without a wallet file: a new file is announced, and its absolute path is always named."""

from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_unchanged
from tests.support import InProcessCli, running_server

DB = Path("my.db")

CREATING = (
    "agent add brand2",
    "player add ann --currency USD",
    "seed ../players.csv",
    "import ../ledger.csv ../exported.csv",
    "restore ../backup.db",
)

REFUSING = (
    *("key add website --scope read", "agent callback-key add default", "session open ann", "deposit ann 1"),
    *("withdraw ann 1", "adjust ann 1 --reason test", "launch ann --protocol vela --game slot", "admin link"),
    *("limit set ann deposit week 5", "agent set default --host-id h", "player block ann", "key revoke website"),
    *("agent show default", "export players -", "backup copy.db", "verify", "tail", "trigger bet --player ann"),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change into an empty folder."""
    (folder := tmp_path / "here").mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_new_wallet_is_announced(folder: Path) -> None:
    """Each command that creates a file says where, on stderr, and only when it does: stdout is for data."""
    other = InProcessCli(folder.parent / "other.db")
    other("player", "add", "bob", "--currency", "USD")
    other.run("export", "ledger", "../ledger.csv")
    other.run("export", "players", "../exported.csv")
    other("backup", "../backup.db")
    Path("../players.csv").write_text("player_id,currency,balance\ncarol,EUR,1\n")
    cli = InProcessCli(DB)
    for command in CREATING:
        created = cli.run(*command.split(), "--json")
        assert (created.code, created.err) == (0, f"created new wallet {folder}/my.db\n"), created
        assert created.json
        DB.unlink()
    assert cli.run("agent", "add", "brand2").err == f"created new wallet {folder}/my.db\n"
    assert cli.run("agent", "add", "brand3").err == ""


def test_a_server_announces_a_new_wallet(folder: Path) -> None:
    """It does so before the line with its address."""
    for expected in ([f"created new wallet {folder}/my.db"], []):
        with running_server(folder / DB) as server:
            lines = server.read_log().splitlines()
        assert [line for line in lines if line.startswith("created")] == expected
        assert lines[0].startswith(("created", "minwallet"))


@pytest.mark.parametrize("command", REFUSING)
def test_a_command_that_needs_a_wallet_creates_none(folder: Path, command: str) -> None:
    """A key, a session or a deposit makes no sense in a new wallet. So the folder is probably the wrong one."""
    with assert_unchanged(folder):
        refused = InProcessCli(DB).run(*command.split())
    assert_error_line(refused, 3, f"no wallet file at {folder}/my.db", f"minwallet --db {folder}/my.db serve")
