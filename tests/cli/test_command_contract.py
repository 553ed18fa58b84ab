"""The contract of all commands, with and without a running server; some run as processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from minwallet import __version__
from tests.cli.cli_assertions import MINWALLET_SCRIPT
from tests.forkserver import FRESH_PROCESS
from tests.support import Cli, InProcessCli, run_minwallet

COMMANDS = {
    "agent add new": ["name", "wallet_token", "host_id"],
    "agent list": ["agents"],
    "player add new --currency USD --balance 5": ["player_id", "agent", "status", "excluded_until", "accounts"],
    "player list": ["players"],
    "player show PLAYER": ["player_id", "agent", "status", "excluded_until", "accounts"],
    "player block PLAYER": ["player_id", "agent", "status", "excluded_until", "accounts"],
    "player unblock PLAYER": ["player_id", "agent", "status", "excluded_until", "accounts"],
    "deposit PLAYER 1.50": ["player_id", "currency", "cash", "bonus", "seq"],
    "withdraw PLAYER 1.50": ["player_id", "currency", "cash", "bonus", "seq"],
    "session open PLAYER --ttl 30m": ["token", "player_id", "currency", "expires_at"],
    "session list PLAYER": ["sessions"],
    "session revoke TOKEN": ["revoked"],
    "seed FILE": ["rows", "players_added", "accounts_added"],
    "ledger PLAYER --limit 5": ["entries"],
    "verify": ["ok", "accounts", "entries", "problems"],
}


@pytest.mark.parametrize("words", COMMANDS)
def test_json_output_is_one_document(wallet: InProcessCli, tmp_path: Path, words: str) -> None:
    """With `--json`, stdout is one document and nothing else, stderr is empty, and the code is 0."""
    player = wallet.add_player()
    file = tmp_path / "players.csv"
    file.write_text("player_id,currency,balance\nseeded,USD,10\n")
    stand_ins = {"PLAYER": player, "TOKEN": wallet.open_session(player), "FILE": str(file)}
    done = wallet.run(*(stand_ins.get(word, word) for word in words.split()), "--json")
    assert (done.code, done.err) == (0, ""), done
    assert list(done.json) == COMMANDS[words]


def test_a_process_prints_the_same_json(wallet: InProcessCli) -> None:
    """One command changes something, and one only reads."""
    done = Cli(wallet.db).run("deposit", wallet.add_player(), "1.50", "--json")
    assert (done.code, done.err, done.json["cash"]) == (0, "", 10_150)
    looked = Cli(wallet.db).run("verify", "--json")
    assert (looked.code, looked.err, looked.json["ok"]) == (0, "", True)


def test_a_refusal_leaves_stdout_empty(wallet: InProcessCli) -> None:
    """A refusal is code 1 and one line on stderr, in a process too."""
    refused = Cli(wallet.db).run("player", "show", "nobody", "--json")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "minwallet: unknown player 'nobody' (agent default); see: minwallet player list --agent default\n"
    )


def test_the_version_is_printed(tmp_path: Path) -> None:
    """`python -m minwallet` and the installed command print it, in any folder."""
    assert run_minwallet("--version", cwd=tmp_path, **FRESH_PROCESS) == (0, f"minwallet {__version__}\n", "")
    assert MINWALLET_SCRIPT.exists()
    assert list(tmp_path.iterdir()) == []


def test_the_wallet_file_is_the_option_then_the_setting_then_the_folder(tmp_path: Path) -> None:
    """The order is `--db`, MINWALLET_DB, ./minwallet.db."""
    add = ("agent", "add", "x")
    assert run_minwallet(*add, cwd=tmp_path, **FRESH_PROCESS).code == 0
    assert run_minwallet(*add, cwd=tmp_path, MINWALLET_DB="set.db").code == 0
    assert run_minwallet("--db", "named.db", *add, cwd=tmp_path, MINWALLET_DB="other.db").code == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["minwallet.db", "named.db", "set.db"]


def test_heavy_libraries_are_not_loaded_at_the_start() -> None:
    """Only the commands that need a library import it, so `--help` starts quickly."""
    heavy = {
        "aiosqlite",
        "dotenv",
        "httpx2",
        "jinja2",
        "pydantic",
        "rich",
        "sqlite3",
        "starlette",
        "uvicorn",
    }
    code = "import sys, minwallet.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert heavy & set(done.stdout.split()) == set()
