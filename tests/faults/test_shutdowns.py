"""Clients that disconnect, servers that stop, and servers that start on one file."""

import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from minwallet.storage.file_lock import ControlEndpoint, lock_file_path, read_control_endpoint
from tests.faults.harness import run_torture
from tests.support import TIMEOUT_S, Server, running_server


@pytest.mark.long
def test_disconnects_and_shutdowns_lose_nothing(tmp_path: Path) -> None:
    """A call whose client disconnects is applied completely or not at all, and blocks no other. A server that is
    stopped answers the calls it has started. A command whose server died can be repeated. One server at a time has
    the file."""
    run_torture("leaving", 500, tmp_path)


@contextmanager
def lose_replies(server: Server, *, after_commit: bool) -> Iterator[None]:
    """Put a faulty connection in front of the control endpoint, which breaks before the request or the reply
    arrives."""
    lock_file = lock_file_path(server.db)
    endpoint = read_control_endpoint(server.db)
    assert endpoint is not None
    with socket.create_server(("127.0.0.1", 0)) as listening:
        relay = threading.Thread(target=_lose_reply, args=(listening, endpoint, after_commit))
        relay.start()
        relayed_endpoint = endpoint._replace(url=f"http://127.0.0.1:{listening.getsockname()[1]}")
        _write_endpoint(lock_file, relayed_endpoint)
        yield
        _write_endpoint(lock_file, endpoint)
        relay.join(TIMEOUT_S)


def _write_endpoint(lock_file: Path, endpoint: ControlEndpoint) -> None:
    with lock_file.open("r+") as opened:
        opened.write(json.dumps(endpoint._asdict()))
        opened.truncate()


def _lose_reply(listening: socket.socket, endpoint: ControlEndpoint, after_commit: bool) -> None:
    address = urlsplit(endpoint.url)
    caller, _ = listening.accept()
    with caller, socket.create_connection((address.hostname, address.port), TIMEOUT_S) as upstream:
        caller.settimeout(TIMEOUT_S)
        request = caller.recv(65536)
        while not request.endswith(b"}"):
            request += caller.recv(65536)
        if after_commit:
            upstream.sendall(request)
            assert upstream.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("after_commit", [True, False], ids=["done", "not done"])
def test_a_command_without_an_answer_can_be_repeated(db: Path, after_commit: bool) -> None:
    """It exits with code 3, because it may have been applied; with the same reference it is applied once."""
    with running_server(db) as server:
        player = server.cli.add_player()
        with lose_replies(server, after_commit=after_commit):
            lost = server.cli.run("deposit", player, "5", "--reference", "once")
        assert lost.code == 3
        assert "may have made the change" in lost.err
        assert lost.err.count("\n") == 1
        assert server.cli.read_balances(player) == (10_500 if after_commit else 10_000, 0)
        for _ in range(2):
            assert server.cli("deposit", player, "5", "--reference", "once")["cash"] == 10_500
        assert server.cli.read_balances(player) == (10_500, 0)


def test_the_lock_file_of_a_dead_server_is_ignored(db: Path) -> None:
    """Commands and the next server start immediately, whatever a killed server left, and under any name of the file."""
    with running_server(db) as server:
        player = server.cli.add_player()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(TIMEOUT_S)
        assert read_control_endpoint(db) is not None
        assert server.cli("deposit", player, "5")["cash"] == 10_500
    lock_file_path(db).write_text('{"pid": 1, "url": "http://127.0.0.1:1", "key": "k", "serves": "nobody"}')
    other = db.with_name("other.db")
    other.symlink_to(db.name)
    with running_server(other) as server:
        assert server.cli("deposit", player, "5")["cash"] == 11_000
        assert not lock_file_path(other).exists()
