"""A listening socket from systemd: the server is replaced without any effect on callers."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from minwallet.storage.file_lock import read_control_endpoint
from tests.cli.cli_assertions import assert_error_line
from tests.faults.load_clients import HttpConnection
from tests.support import TIMEOUT_S, CommandResult, InProcessCli, clean_environment

pytestmark = [pytest.mark.long, pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")]

PASS_SOCKET = """
import os, sys
number, count = int(sys.argv[1]), sys.argv[2]
os.dup2(number, 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count)
os.execv(sys.executable, [sys.executable, "-m", "minwallet", *sys.argv[3:]])
"""
"""The program that does what systemd does between fork and exec."""

CLIENTS, RESTARTS = 8, 2


def start_with_socket(passed: socket.socket, db: Path, count: int = 1, **settings: str) -> "subprocess.Popen[str]":
    """Start a server with this socket."""
    options = ["--db", str(db), "serve", "--host", "192.0.2.1"]
    return subprocess.Popen(
        [sys.executable, "-c", PASS_SOCKET, str(passed.fileno()), str(count), *options],
        pass_fds=[passed.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(**settings),
    )


def stop(server: "subprocess.Popen[str]") -> CommandResult:
    server.terminate()
    _, err = server.communicate(timeout=TIMEOUT_S)
    return CommandResult(server.returncode, "", err)


@contextmanager
def open_socket(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """Open the parent's socket, which stays open while servers change."""
    with socket.create_server((host, 0), backlog=2048) as held:
        yield held


@pytest.mark.anyio
async def test_a_restart_refuses_and_loses_no_call(db: Path) -> None:
    """Under load, with and without new connections, calls during a restart wait for the next server. Each bet is
    answered, and applied once."""
    cli = InProcessCli(db)
    players = [cli.add_player(balance="1000000") for _ in range(CLIENTS)]
    tokens = [cli.open_session(player) for player in players]
    with open_socket() as held:
        answered = await _restart_under_load(held, db, tokens)
    cli.assert_ledger_valid()
    bets = [entry["id"] for player in players for entry in cli.read_entries(player) if entry["kind"] == "bet"]
    assert sorted(bets, key=int) == [str(number) for number in range(1, answered + 1)]


async def _restart_under_load(held: socket.socket, db: Path, tokens: list[str]) -> int:
    """Restart the server under load, and return the number of answered bets. Each bet must be answered."""
    url = f"http://127.0.0.1:{held.getsockname()[1]}"
    answered, is_over, more = 0, False, asyncio.Condition()
    last_id = 0

    async def bet(token: str, keeps_alive: bool) -> None:
        nonlocal answered, last_id
        line = HttpConnection(url)
        while not is_over:
            last_id += 1
            body = f'{{"code":"{token}","type":"bet","bet":1,"id":{last_id},"game":1}}'.encode()
            head = b"POST /wallet HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
            _, reply = await line.send_raw(head + body)
            assert b'"result":1' in reply, reply
            if not keeps_alive:
                line.close()
            async with more:
                answered += 1
                more.notify_all()
        line.close()

    async def wait_for_bets(number: int) -> None:
        async with more:
            enough = answered + number
            await more.wait_for(lambda: answered >= enough)

    server = start_with_socket(held, db)
    async with asyncio.TaskGroup() as group:
        for number, token in enumerate(tokens):
            group.create_task(bet(token, keeps_alive=number % 2 == 0))
        for _ in range(RESTARTS):
            await wait_for_bets(200)
            assert (await asyncio.to_thread(stop, server)).code == 0
            server = start_with_socket(held, db)
        await wait_for_bets(200)
        is_over = True
    assert (await asyncio.to_thread(stop, server)).code == 0
    return answered


def test_a_passed_socket_determines_the_address(db: Path) -> None:
    """`--host` is ignored: a public address of the socket requires the same protection as a configured one."""
    with open_socket("0.0.0.0") as held:
        server = start_with_socket(held, db)
        _, err = server.communicate(timeout=TIMEOUT_S)
        assert_error_line(CommandResult(server.returncode, "", err), 2, "0.0.0.0", "MINWALLET_CALLBACK_KEY")
        server = start_with_socket(held, db, MINWALLET_CALLBACK_KEY="k")
        while (desk := read_control_endpoint(db)) is None:
            assert server.poll() is None
            time.sleep(0.01)
        assert desk.serves == f"http://0.0.0.0:{held.getsockname()[1]}"
        assert stop(server).code == 0


def test_sockets_that_do_not_listen_are_rejected(db: Path, tmp_path: Path) -> None:
    """Connected sockets, local sockets, and more than one socket are rejected."""
    one, other = socket.socketpair()
    with one, other, open_socket() as held, socket.socket() as unbound, socket.socket(socket.AF_UNIX) as local:
        local.bind(os.fspath(tmp_path / "s"))
        local.listen()
        for passed, count, word in ((one, 1, "TCP"), (unbound, 1, "TCP"), (local, 1, "TCP"), (held, 2, "2 sockets")):
            server = start_with_socket(passed, db, count)
            _, err = server.communicate(timeout=TIMEOUT_S)
            assert_error_line(CommandResult(server.returncode, "", err), 3, word, "ListenStream=")


def test_sockets_of_another_process_are_ignored(cli: InProcessCli) -> None:
    """Sockets for a parent process are not used."""
    refused = cli.run("serve", "--host", "192.0.2.1", LISTEN_PID="1", LISTEN_FDS="1", MINWALLET_CALLBACK_KEY="k")
    assert_error_line(refused, 3, "192.0.2.1")
