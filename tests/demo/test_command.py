"""`minwallet demo-provider`."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.console import Here, assert_complaint, assert_usage
from tests.demo.provider import providing
from tests.support import PATIENCE_S, serving

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def here(db: Path) -> Here:
    """The quick command line."""
    return Here(db)


def session(db: Path) -> str:
    """A new player's token."""
    here = Here(db)
    return here.session(here.player())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end it with 0 and without a word of complaint."""
    with providing(NOBODY, tmp_path) as provider:
        assert provider.http.get("/").status_code == 200
        assert provider.stop(number) == 0
    assert "Traceback" not in provider.log.read_text()


def test_it_does_not_wait_for_thousands_of_rounds(db: Path) -> None:
    """A run that is interrupted ends with the round in hand, and its summary is true."""
    with serving(db) as server, providing(server.url, db.parent) as provider, ThreadPoolExecutor() as threads:
        here = Here(db)
        player = here.player()
        wanted = {"protocol": "vela", "game": "fish", "token": here.session(player), "rounds": 10_000}
        playing = threads.submit(provider.play, **wanted)
        while len(provider.rounds()["rounds"]) < 20:
            pass
        provider.process.send_signal(signal.SIGTERM)
        summary = playing.result()
        assert provider.process.wait(PATIENCE_S) == 0
        assert 20 <= summary["rounds"] < 10_000
        assert here.account(player) == (10_000 + summary["net"], 0)
    assert "Traceback" not in provider.log.read_text()


def test_a_wallet_may_come_later(db: Path) -> None:
    """It starts without one and says so once; a round cannot be begun until there is one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with providing(f"http://127.0.0.1:{port}", db.parent) as provider:
        provider.wait_until_it_says(f"no wallet answers (ConnectError) at 127.0.0.1:{port}")
        wanted = {"protocol": "vela", "game": "slot", "token": "t"}
        assert provider.http.post("/demo/play", json=wanted).status_code == 502
        with serving(db, "--port", port):
            wanted["token"] = session(db)
            assert provider.http.post("/demo/play", json=wanted).status_code == 200
        assert provider.log.read_text().count("no wallet answers") == 1


def test_the_secrets_of_a_wallets_address_are_not_said(db: Path) -> None:
    """Nor a token, nor what was asked: neither the callback key nor a session's token is ever in its log."""
    with serving(db, MINWALLET_CALLBACK_KEY="callbackkey") as server:
        token = session(db)
        with providing(f"{server.url}/callbackkey", db.parent, "--misbehave", "all") as provider:
            for protocol in ("vela", "wallet-v2"):
                assert provider.play(protocol=protocol, game="fish", token=token, rounds=20)["pending"] == 0
            assert provider.http.get(f"/play/slot?host_id=demo&access_token={token}").status_code == 200
            server.stop()
            assert provider.http.get(f"/play/slot?host_id=demo&access_token={token}").status_code == 502
            provider.stop()
    for secret in (token, "callbackkey"):
        assert secret not in provider.log.read_text()


def test_a_port_that_is_taken_is_named(here: Here) -> None:
    """Code 3, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert_complaint(here.run("demo-provider", "--wallet", NOBODY, "--port", port), 3, str(port), "--port")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--wallet", "nonsense"], ["--wallet", "http://127.0.0.1:8000"]),
        (["--wallet", "ftp://x"], ["--wallet"]),
        (["--wallet", "http://x?y=z"], ["--wallet"]),
        (["--wallet", NOBODY, "--misbehave", "nonsense"], ["--misbehave", "nonsense", "lost-reply"]),
        (["--wallet", NOBODY, "--misbehave", "delay=7"], ["--misbehave", "delay"]),
        (["--wallet", NOBODY, "--timeout", "2"], ["--timeout", "2s"]),
        (["--wallet", NOBODY, "--timeout", "0s"], ["--timeout"]),
    ],
)
def test_a_bad_option_is_named(here: Here, options: list[str], words: list[str]) -> None:
    """Code 2, the option and what is wrong with it."""
    assert_complaint(here.run("demo-provider", *options), 2, *words)


def test_the_wallet_has_to_be_said(here: Here) -> None:
    """A provider of nobody's is no use."""
    assert_usage(here.run("demo-provider"), "--wallet")
