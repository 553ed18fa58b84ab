"""`minwallet serve`, and commands while a server runs, after it was killed, or before it may start."""

import signal
import socket
import sys
import time
from pathlib import Path

import httpx2
import pytest

from minwallet.storage.file_lock import read_control_endpoint
from tests.cli.cli_assertions import assert_error_line, assert_unchanged, assert_usage_error
from tests.forkserver import start_minwallet
from tests.support import TIMEOUT_S, Cli, InProcessCli, Server, clean_environment, run_minwallet, running_server


def test_two_servers_never_share_a_file(db: Path) -> None:
    """The second one names the first, and the first continues."""
    with running_server(db) as server:
        refused = Cli(db).run("serve", "--port", 0)
        assert_error_line(refused, 3, str(db), f"process {server.process.pid}", server.url)
        assert InProcessCli(db).read_balances(InProcessCli(db).add_player()) == (10_000, 0)
        assert server.http.get("/readyz").status_code == 200


def test_a_port_in_use_is_named(tmp_path: Path, db: Path) -> None:
    """Nothing is left behind, not even an empty wallet."""
    with socket.create_server(("127.0.0.1", 0)) as taken, assert_unchanged(tmp_path):
        port = taken.getsockname()[1]
        assert_error_line(Cli(db).run("serve", "--port", port), 3, str(port), "in use", "--port")


def test_an_unavailable_address_is_named(db: Path) -> None:
    """This holds for an address of another machine and for an unknown name."""
    for host in ("192.0.2.1", "nobody.invalid"):
        refused = run_minwallet("--db", db, "serve", "--port", 0, "--host", host, MINWALLET_CALLBACK_KEY="k")
        assert_error_line(refused, 3, host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_public_server_needs_protection(tmp_path: Path, db: Path, host: str) -> None:
    """Without protection it does not start, and says what to set."""
    with assert_unchanged(tmp_path):
        refused = Cli(db).run("serve", "--host", host, "--port", 0)
        assert_error_line(refused, 2, host, "MINWALLET_CALLBACK_KEY", "MINWALLET_CALLBACK_ALLOW")


@pytest.mark.parametrize(
    "settings",
    [{"MINWALLET_CALLBACK_KEY": "long-random-word"}, {"MINWALLET_CALLBACK_ALLOW": "203.0.113.0/24, ::1/128"}],
)
def test_a_protected_server_can_listen_publicly(db: Path, settings: dict[str, str]) -> None:
    """Either protection is sufficient."""
    with running_server(db, "--host", "0.0.0.0", **settings) as server:
        assert server.http.get(f"http://127.0.0.1:{server.http.base_url.port}/readyz").status_code == 200
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"MINWALLET_CALLBACK_ALLOW": "nonsense"}, ["MINWALLET_CALLBACK_ALLOW", "nonsense"]),
        ({"MINWALLET_CALLBACK_ALLOW": "10.0.0.0/8,300.0.0.1"}, ["MINWALLET_CALLBACK_ALLOW", "300.0.0.1"]),
        ({"MINWALLET_CALLBACK_ALLOW": "10.0.0.1/8"}, ["MINWALLET_CALLBACK_ALLOW", "10.0.0.1/8"]),
        ({"MINWALLET_PORT": "abc"}, ["MINWALLET_PORT", "must be an integer"]),
        ({"MINWALLET_PORT": "70000"}, ["MINWALLET_PORT", "65535"]),
        ({"MINWALLET_CALLBACK_KEY": "a/b"}, ["MINWALLET_CALLBACK_KEY"]),
        *(
            (
                {"MINWALLET_CALLBACK_ALLOW": "10.0.0.0/8", "MINWALLET_FORWARDED_ALLOW": anybody},
                ["MINWALLET_FORWARDED_ALLOW", "MINWALLET_CALLBACK_ALLOW"],
            )
            for anybody in ("*", "127.0.0.1, 0.0.0.0/0", "::/0,127.0.0.1", "10.0.0.1/0", "0.0.0.0/0.0.0.0", "10.*")
        ),
    ],
)
def test_a_bad_setting_is_named(db: Path, settings: dict[str, str], words: list[str]) -> None:
    """The code is 2, the error names the setting and the reason, and no server starts."""
    assert_error_line(InProcessCli(db).run("serve", **settings), 2, *words)
    assert not db.exists()


def test_a_bad_port_is_a_usage_error(cli: InProcessCli) -> None:
    """The option is checked like the setting."""
    assert_usage_error(cli.run("serve", "--port", "http"), "--port")
    assert_error_line(cli.run("serve", "--port", 70_000), 2, "65535")


def test_commands_work_after_a_server_was_killed(db: Path) -> None:
    """Its files block no one: commands and the next server continue with all commits."""
    server, cli = Server(db), InProcessCli(db)
    player = cli.add_player(balance="10")
    token = cli.open_session(player)
    assert server.wallet_v2(code=token, type="bet", bet=100, id=1, game=1)["credit"] == 900
    server.stop(signal.SIGKILL)
    assert db.with_name("wallet.db.owner").exists()
    assert InProcessCli(db).read_balances(player) == (900, 0)
    assert InProcessCli(db)("deposit", player, "1")["cash"] == 1000
    cli.assert_ledger_valid()
    assert not db.with_name("wallet.db.owner").exists()
    with running_server(db):
        assert cli("deposit", player, "1")["cash"] == 1100


def test_only_the_owner_can_read_the_lock_file(db: Path) -> None:
    """It has the key of the control endpoint, and is removed when the server stops."""
    side_file = db.with_name("wallet.db.owner")
    with running_server(db) as server:
        assert side_file.stat().st_mode & 0o777 == 0o600
        assert server.stop() == 0
        assert not side_file.exists()


def test_changes_go_through_the_server(db: Path) -> None:
    """A blocked player cannot bet from then on, and a revoked session is invalid."""
    cli = InProcessCli(db)
    with running_server(db) as server:
        player = cli.add_player(balance="10")
        token, other = cli.open_session(player), cli.open_session(player)
        assert server.wallet_v2(code=token, type="bet", bet=1, id=1, game=1)["result"] == 1
        cli("player", "block", player)
        assert server.wallet_v2(code=token, type="bet", bet=1, id=2, game=1)["err_code"] == 104
        cli("player", "unblock", player)
        cli("deposit", player, "5")
        assert server.wallet_v2(code=token, type="bet", bet=1499, id=3, game=1)["credit"] == 0
        cli("session", "revoke", other)
        assert server.wallet_v2(code=other, type="credit")["err_code"] == 102


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a file that is always full")
def test_a_server_needs_no_log(db: Path) -> None:
    """With its log on a full disk, the server works and ends with the right exit code."""
    with Path("/dev/full").open("w") as full:
        with start_minwallet(["--db", db, "serve", "--port", 0], stderr=full, env=clean_environment()) as server:
            while (desk := read_control_endpoint(db)) is None:
                assert server.poll() is None
                time.sleep(0.01)
            assert httpx2.get(f"{desk.serves}/readyz", trust_env=False).status_code == 200
            server.terminate()
            assert server.wait(TIMEOUT_S) == 0
        with start_minwallet(["--db", db.parent, "serve"], stderr=full, env=clean_environment()) as refused:
            assert refused.wait(TIMEOUT_S) == 3
