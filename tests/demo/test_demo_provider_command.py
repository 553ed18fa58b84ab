"""The command `minwallet demo-provider`."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_usage_error
from tests.demo.in_process_client import PROTOCOLS
from tests.demo.provider_process import run_provider
from tests.support import TIMEOUT_S, InProcessCli, running_server

UNUSED_URL = "http://127.0.0.1:9"


pytestmark = pytest.mark.long


@pytest.fixture
def cli(db: Path) -> InProcessCli:
    """Return the in-process command line."""
    return InProcessCli(db)


def test_ctrl_c_stops_the_provider(tmp_path: Path) -> None:
    """The exit code is 0, and no traceback is printed."""
    with run_provider(UNUSED_URL, tmp_path) as provider:
        assert provider.http.get("/").status_code == 200
        assert provider.stop(signal.SIGINT) == 0
    assert "Traceback" not in provider.log.read_text()


def test_sigterm_stops_after_the_round_in_progress(db: Path) -> None:
    """An interrupted run completes the current round, and its summary is correct."""
    with running_server(db) as server, run_provider(server.url, db.parent) as provider, ThreadPoolExecutor() as threads:
        cli = InProcessCli(db)
        player = cli.add_player()
        wanted = {"protocol": "vela", "game": "fish", "token": cli.open_session(player), "rounds": 10_000}
        playing = threads.submit(provider.play_rounds, **wanted)
        provider.wait_until(lambda told: len(told["rounds"]) >= 20)
        provider.process.send_signal(signal.SIGTERM)
        summary = playing.result()
        assert provider.process.wait(TIMEOUT_S) == 0
        assert 20 <= summary["rounds"] < 10_000
        assert cli.read_balances(player) == (10_000 + summary["net"], 0)
    assert "Traceback" not in provider.log.read_text()


def test_the_provider_starts_before_its_wallet(db: Path) -> None:
    """It starts without a wallet and logs that once; a round cannot start until the wallet answers. The log contains
    neither the key in the wallet's URL nor a session's token."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with run_provider(f"http://127.0.0.1:{port}/callbackkey", db.parent, "--faults", "all") as provider:
        provider.wait_for_output(f"no wallet answers (ConnectError) at 127.0.0.1:{port}")
        nobody = {"protocol": "vela", "game": "slot", "token": "sometoken"}
        assert provider.http.post("/demo/play", json=nobody).status_code == 502
        with running_server(db, "--port", port, MINWALLET_CALLBACK_KEY="callbackkey"):
            cli = InProcessCli(db)
            token = cli.open_session(cli.add_player())
            for protocol in PROTOCOLS:
                assert provider.play_rounds(protocol=protocol, game="fish", token=token, rounds=20)["pending"] == 0
            launch = f"/play/slot?host_id=demo&access_token={token}"
            assert provider.http.get(launch).status_code == 200
        assert provider.http.get(launch).status_code == 502
        provider.stop()
    said = provider.log.read_text()
    assert said.count("no wallet answers") == 1
    assert not any(secret in said for secret in (token, "sometoken", "callbackkey"))


def test_a_port_in_use_is_an_error(cli: InProcessCli) -> None:
    """The exit code is 3, and the message has the port and the option to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert_error_line(cli.run("demo-provider", "--wallet", UNUSED_URL, "--port", port), 3, str(port), "--port")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--wallet", "nonsense"], ["--wallet", "http://127.0.0.1:8000"]),
        (["--wallet", "ftp://x"], ["--wallet"]),
        (["--wallet", "http://x?y=z"], ["--wallet"]),
        (["--wallet", UNUSED_URL, "--faults", "nonsense"], ["--faults", "nonsense", "lost-reply"]),
        (["--wallet", UNUSED_URL, "--faults", "delay=7"], ["--faults", "delay"]),
        (["--wallet", UNUSED_URL, "--timeout", "2"], ["--timeout", "10s"]),
        (["--wallet", UNUSED_URL, "--timeout", "0s"], ["--timeout"]),
    ],
)
def test_an_invalid_option_is_an_error(cli: InProcessCli, options: list[str], words: list[str]) -> None:
    """The exit code is 2, and the message names the option and the problem."""
    assert_error_line(cli.run("demo-provider", *options), 2, *words)


def test_the_wallet_option_is_required(cli: InProcessCli) -> None:
    """A provider needs a wallet to call."""
    assert_usage_error(cli.run("demo-provider"), "--wallet")
