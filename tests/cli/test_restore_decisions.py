"""`minwallet restore`: decisions that were made after the backup stay in force."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.cli_assertions import assert_unchanged
from tests.protocol_package import add_secret, write_protocol_package
from tests.storage.older_schema import SCRIPTS, copy_to_older_schema
from tests.support import InProcessCli, Server

ADD_ADMIN = "INSERT INTO admins (name, password, created_at_ms) VALUES ('{}', 'old', 1700000000000)"

ADD_ADMIN_SESSION = """
    INSERT INTO admin_sessions (token_hash, admin, is_link, created_at_ms, expires_at_ms)
    VALUES (randomblob(32), 'boss', 0, 1, 9000000000000)
"""

NOTHING: dict[str, Any] = {"carried_over": {}, "dropped": {}, "problem": None}


@pytest.fixture
def cli(tmp_path: Path) -> InProcessCli:
    """Return the command line on a wallet of its own, with players, keys and an admin, and the backup `copy.db`."""
    (tmp_path / "wallet").mkdir()
    cli = InProcessCli(tmp_path / "wallet" / "minwallet.db")
    for name in ("ann", "bob", "eve"):
        cli("player", "add", name, "--currency", "USD", "--balance", "100")
    cli("session", "open", "bob")
    cli("seed", _write_seed(tmp_path))
    for name in ("leaked", "good"):
        cli("key", "add", name, "--scope", "read")
    cli("agent", "add", "brand2", "--wallet-token", "old_token")
    packages = write_protocol_package(tmp_path / "packages")
    for secret in ("the-leaked-secret", "the-good-secret"):
        cli("agent", "callback-key", "add", "brand2")
        add_secret(cli, packages, secret, "brand2")
    _execute(cli.db, ADD_ADMIN.format("boss"))
    _execute(cli.db, ADD_ADMIN_SESSION)
    cli("backup", tmp_path / "copy.db")
    return cli


def _write_seed(folder: Path) -> Path:
    file = folder / "seed.csv"
    file.write_text("player_id,currency,balance,bonus,token,agent\ncarl,USD,100,,token_of_carl_which_is_long,\n")
    return file


def _execute(file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        return db.execute(statement).fetchall()


def _list_callback_keys(cli: InProcessCli) -> list[str]:
    return [each["callback_key"] for each in cli("agent", "callback-key", "list", "brand2")["callback_keys"]]


def _list_secrets(cli: InProcessCli) -> list[str]:
    secrets = cli("agent", "secret", "list", "brand2")["protocol_secrets"]
    return [f"signed {each['fingerprint']} of agent brand2" for each in secrets]


def _revoke_secret(cli: InProcessCli, secret: str) -> None:
    cli("agent", "secret", "revoke", "brand2", *secret.split()[:2])


def _decide(cli: InProcessCli) -> None:
    """Take back everything that can be taken back."""
    cli("key", "revoke", "leaked")
    cli("agent", "callback-key", "revoke", "brand2", _list_callback_keys(cli)[0])
    _revoke_secret(cli, _list_secrets(cli)[0])
    cli("session", "revoke", "token_of_carl_which_is_long")
    cli("player", "block", "ann")
    cli("player", "exclude", "bob", "--until", "7d")
    cli("limit", "set", "eve", "loss", "day", "5")
    cli("agent", "set", "brand2", "--wallet-token", "new_token")
    cli("admin", "reset", "boss")


def _restore(cli: InProcessCli, source: Path, *options: str) -> dict[str, Any]:
    reply: dict[str, Any] = cli("restore", source, *options)
    assert _execute(cli.db, "PRAGMA integrity_check") == [("ok",)]
    cli.assert_ledger_valid()
    return reply


def _access(cli: InProcessCli) -> dict[str, Any]:
    """Return what the wallet grants and refuses."""
    return {
        "keys": [key["name"] for key in cli("key", "list")["keys"] if not key["revoked_at"]],
        "callback keys": _execute(cli.db, "SELECT count(*) FROM callback_keys WHERE revoked_at_ms IS NULL"),
        "secrets": _execute(cli.db, "SELECT secret FROM protocol_secrets WHERE secret IS NOT NULL ORDER BY secret"),
        "revoked": _execute(cli.db, "SELECT count(*) FROM sessions WHERE revoked_at_ms IS NOT NULL")[0][0],
        "ann": cli("player", "show", "ann")["status"],
        "bob": _execute(cli.db, "SELECT count(*) FROM exclusions")[0][0],
        "eve": _execute(cli.db, "SELECT cents FROM limits"),
        "token": cli("agent", "show", "brand2")["wallet_token"],
        "password": _execute(cli.db, "SELECT password FROM admins")[0][0],
        "admin sessions": _execute(cli.db, "SELECT count(*) FROM admin_sessions")[0][0],
    }


AFTER_DECISIONS = {
    "keys": ["good"],
    "callback keys": [(1,)],
    "secrets": [("the-good-secret",)],
    "revoked": 1,
    "ann": "blocked",
    "bob": 1,
    "eve": [(500,)],
    "token": "new_token",
    "password": None,
    "admin sessions": 0,
}


def test_decisions_after_the_backup_stay_in_force(cli: InProcessCli, tmp_path: Path) -> None:
    """Revocations, blocks, exclusions, limits, tokens and passwords are carried over; the backup stays unchanged."""
    _decide(cli)
    revoked, live = _list_callback_keys(cli)
    revoked_secret, live_secret = _list_secrets(cli)
    with assert_unchanged(tmp_path):
        reply = _restore(cli, tmp_path / "copy.db")
    assert _access(cli) == AFTER_DECISIONS
    assert reply["carried_over"] == {
        "revoked API keys": ["leaked"],
        "revoked callback keys": [f"{revoked} of agent brand2"],
        "revoked protocol secrets": [revoked_secret],
        "revoked sessions": ["token_…"],
        "blocked players": ["ann of agent default"],
        "exclusions": ["bob of agent default"],
        "limits": ["loss per day of eve of agent default in USD"],
        "wallet tokens of agents": ["brand2"],
        "passwords of admins": ["boss"],
    }
    assert (reply["dropped"], reply["problem"]) == ({}, None)
    assert (reply["api_keys"], reply["admins"]) == (["good"], ["boss"])
    assert reply["callback_keys"] == [f"{live} of agent brand2"]
    assert reply["protocol_secrets"] == [live_secret]
    assert b"the-leaked-secret" not in cli.db.read_bytes()
    again = _restore(cli, tmp_path / "copy.db")
    assert again["carried_over"] == reply["carried_over"]


def test_a_literal_restore_is_possible(cli: InProcessCli, tmp_path: Path) -> None:
    """`--as-it-was` brings everything back, and still lists who has access."""
    before = _access(cli)
    assert before != AFTER_DECISIONS
    _decide(cli)
    reply = _restore(cli, tmp_path / "copy.db", "--as-it-was")
    assert _access(cli) == before
    assert reply.items() >= {**NOTHING, "api_keys": ["good", "leaked"], "admins": ["boss"]}.items()


def test_decisions_in_the_log_of_a_killed_server_stay_in_force(cli: InProcessCli, tmp_path: Path) -> None:
    """The replaced file is read with its write-ahead log, which stays unchanged."""
    server = Server(cli.db)
    _decide(cli)
    server.process.kill()
    server.process.wait()
    server.http.close()
    log = cli.db.with_name("minwallet.db-wal").read_bytes()
    assert log
    reply = _restore(cli, tmp_path / "copy.db")
    assert _access(cli) == AFTER_DECISIONS
    assert Path(f"{reply['kept']}-wal").read_bytes() == log


def test_decisions_survive_an_interrupted_restore(cli: InProcessCli, tmp_path: Path) -> None:
    """The second attempt reads the log under the second name."""
    server = Server(cli.db)
    _decide(cli)
    server.process.kill()
    server.process.wait()
    server.http.close()
    for suffix in ("", "-wal", "-shm"):
        cli.db.with_name(f"minwallet-before-20260101T000000Z.db{suffix}").hardlink_to(f"{cli.db}{suffix}")
    for suffix in ("-wal", "-shm"):
        Path(f"{cli.db}{suffix}").unlink()
    assert _restore(cli, tmp_path / "copy.db")["problem"] is None
    assert _access(cli) == AFTER_DECISIONS


def test_what_the_backup_lacks_is_named(cli: InProcessCli, tmp_path: Path) -> None:
    """New keys, admins, agents and restricted players are listed, and not added."""
    cli("key", "add", "newer", "--scope", "write")
    _execute(cli.db, ADD_ADMIN.format("clerk"))
    cli("agent", "add", "brand3")
    live = ", ".join(f"{hint} of agent brand2" for hint in sorted(_list_callback_keys(cli)))
    newer = cli("agent", "callback-key", "add", "brand3")["callback_key"][:12]
    secrets = ", ".join(sorted(_list_secrets(cli)))
    newer_secret = add_secret(cli, tmp_path / "packages", "a-newer-secret", "brand2")
    for name in ("new1", "new2", "new3"):
        cli("player", "add", name, "--currency", "USD")
    cli("player", "block", "new1")
    cli("player", "exclude", "new2", "--until", "7d")
    cli("limit", "set", "new3", "deposit", "day", "5")
    cli("player", "add", "ann", "--currency", "EUR")
    cli("limit", "set", "ann", "deposit", "day", "5", "--currency", "EUR")
    result = cli.run("restore", tmp_path / "copy.db")
    assert "only in the previous file, and not carried over: API keys: newer\n" in result.out
    keys = f"live API keys: good, leaked\nlive callback keys: {live}\n"
    assert f"{keys}live protocol secrets: {secrets}\nadmins: boss\n" in result.out
    for line in (
        f"callback keys: {newer}… of agent brand3",
        f"protocol secrets: signed {newer_secret} of agent brand2",
        "admins: clerk",
        "agents: brand3",
        "blocked players: new1 of agent default",
        "excluded players: new2 of agent default",
        "players with limits: ann of agent default, new3 of agent default",
    ):
        assert f"not carried over: {line}\n" in result.out


def test_a_secret_that_was_added_after_its_revocation_stays(cli: InProcessCli, tmp_path: Path) -> None:
    """The replaced file may be older than the backup. A secret that only it has as live is listed."""
    first, second = _list_secrets(cli)
    _revoke_secret(cli, first)
    older = InProcessCli(tmp_path / "older.db")
    cli("backup", older.db)
    add_secret(cli, tmp_path / "packages", "the-leaked-secret", "brand2")
    _revoke_secret(cli, second)
    cli("backup", tmp_path / "second.db")
    reply = _restore(older, tmp_path / "second.db")
    assert (reply["carried_over"], reply["dropped"]) == ({}, {"protocol secrets": [second]})
    assert reply["protocol_secrets"] == [first]


def test_a_limit_counts_what_the_backup_has_used(cli: InProcessCli, tmp_path: Path) -> None:
    """A limit that the backup lacks counts the restored bets and deposits, as a first limit does."""
    cli("limit", "set", "ann", "deposit", "day", "150")
    _restore(cli, tmp_path / "copy.db")
    assert _execute(cli.db, "SELECT deposited_low, lost_low FROM limit_usage") == [(10000, 0)]


def test_looser_values_replace_stricter_ones_of_the_backup(cli: InProcessCli, tmp_path: Path) -> None:
    """A limit has the state of the replaced file, with its waiting change. A block of the backup stays."""
    cli("limit", "set", "eve", "loss", "day", "5")
    cli("player", "block", "ann")
    cli("backup", tmp_path / "second.db")
    cli("limit", "set", "eve", "loss", "day", "9")
    cli("player", "unblock", "ann")
    _restore(cli, tmp_path / "second.db")
    assert _execute(cli.db, "SELECT cents, next_cents FROM limits") == [(500, 900)]
    assert cli("player", "show", "ann")["status"] == "blocked"


def test_another_wallets_file_changes_nothing(cli: InProcessCli, tmp_path: Path) -> None:
    """A backup of another wallet keeps its own tokens and players, although names are the same."""
    _decide(cli)
    _execute(cli.db, "UPDATE agents SET created_at_ms = created_at_ms - 5000, wallet_token = wallet_token || 'x'")
    _execute(cli.db, "UPDATE players SET created_at_ms = created_at_ms - 5000")
    _execute(cli.db, "UPDATE api_keys SET key_hash = randomblob(32)")
    _execute(cli.db, "UPDATE sessions SET token_hash = randomblob(32)")
    _execute(cli.db, "UPDATE callback_keys SET key_hash = randomblob(32)")
    _execute(cli.db, "UPDATE admins SET created_at_ms = created_at_ms - 5000")
    reply = _restore(cli, tmp_path / "copy.db")
    assert reply["carried_over"] == {}
    assert reply["dropped"]["agents"] == ["brand2", "default"]
    assert reply["dropped"]["excluded players"] == ["bob of agent default"]
    assert cli("agent", "show", "brand2")["wallet_token"] == "old_token"


def test_a_token_that_another_agent_has_is_named(cli: InProcessCli, tmp_path: Path) -> None:
    """Tokens are unique, so one that the backup gave to another agent is not carried over."""
    cli("agent", "add", "brand3", "--wallet-token", "third")
    cli("backup", tmp_path / "second.db")
    for agent, token in (("brand2", "other"), ("brand3", "old_token"), ("brand2", "third")):
        cli("agent", "set", agent, "--wallet-token", token)
    reply = _restore(cli, tmp_path / "second.db")
    assert reply["dropped"] == {"wallet tokens of agents": ["brand2", "brand3"]}


@pytest.mark.parametrize("version", range(1, len(SCRIPTS)))
def test_older_files_are_read(cli: InProcessCli, tmp_path: Path, version: int) -> None:
    """The backup, the replaced file, or both may have an older schema. Subjects that it lacks are skipped."""
    copy_to_older_schema(tmp_path / "copy.db", tmp_path / "old-copy.db", version)
    cli("session", "revoke", "token_of_carl_which_is_long")
    cli("player", "block", "ann")
    expected = {"revoked sessions": ["token_…"], "blocked players": ["ann of agent default"]}
    older = InProcessCli(tmp_path / "older.db")
    copy_to_older_schema(cli.db, older.db, version)
    assert _restore(cli, tmp_path / "old-copy.db")["carried_over"] == expected
    reply = _restore(older, tmp_path / "copy.db")
    assert (reply["carried_over"], reply["problem"]) == (expected, None)
    with closing(sqlite3.connect(reply["kept"])) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (version,)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("not a wallet", "is not a wallet file"),
        ("PRAGMA user_version = 99", "was written by a newer minwallet"),
        ("DROP TRIGGER transactions_are_never_removed", "trigger 'transactions_are_never_removed' is missing"),
        ("damaged", "is damaged"),
    ],
)
def test_an_unusable_file_is_replaced_all_the_same(cli: InProcessCli, tmp_path: Path, damage: str, words: str) -> None:
    """The output says that nothing was carried over, and what to check."""
    _decide(cli)
    if damage == "not a wallet":
        cli.db.write_bytes(b"something else" * 100)
    elif damage == "damaged":
        content = cli.db.read_bytes()
        cli.db.write_bytes(content[:8192] + b"\xff" * len(content[8192:]))
    else:
        _execute(cli.db, damage)
    result = cli.run("restore", tmp_path / "copy.db")
    assert result.code == 0, result
    assert "nothing was carried over from the previous file:" in result.out
    assert words in result.out
    assert "check keys, admins, sessions" in result.out
    assert _access(cli)["admin sessions"] == 0


def test_a_restore_without_a_previous_file_ends_admin_sessions(cli: InProcessCli, tmp_path: Path) -> None:
    """The backup does not know which sessions were ended since."""
    other = InProcessCli(tmp_path / "other.db")
    assert _restore(other, tmp_path / "copy.db").items() >= NOTHING.items()
    assert _access(other)["admin sessions"] == 0
