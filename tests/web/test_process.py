"""The server as a process: start, shutdown, kill, and the lock of the file."""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import httpx2
import pytest

from minwallet.web.listeners import MAX_UNSENT_BYTES, limit_unsent_bytes
from tests.forkserver import FRESH_PROCESS
from tests.support import NO_AUTHORITIES, TIMEOUT_S, InProcessCli, Server, clean_environment, running_server

CLIENTS = 16


def test_serve_creates_the_database_and_cleans_up(db: Path) -> None:
    """`serve` creates the file with mode 0600; a stopped server leaves no companion files and no lock file."""
    with running_server(db, **FRESH_PROCESS) as server:
        assert db.stat().st_mode & 0o777 == 0o600
        assert db.with_name("wallet.db.owner").stat().st_mode & 0o777 == 0o600
        assert server.stop() == 0
    assert sorted(path.name for path in db.parent.glob("wallet.db*") if path.suffix != ".log") == ["wallet.db"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a thread choose its processor")
def test_call_threads_share_a_cpu(db: Path) -> None:
    """The event loop, the writer and the reader of calls share a CPU; the reader of pages may run on any."""
    allowed = len(os.sched_getaffinity(0))
    with running_server(db, **FRESH_PROCESS) as server:
        tasks = Path(f"/proc/{server.process.pid}/task")
        counts: list[int] = []
        deadline = time.monotonic() + TIMEOUT_S
        # A new thread is pinned for a moment, like the one that starts it.
        while set(counts[3:]) != {allowed} and time.monotonic() < deadline:
            counts = sorted(len(os.sched_getaffinity(int(task.name))) for task in tasks.iterdir())
        assert len(os.sched_getaffinity(server.process.pid)) == 1
    assert counts[:3] == [1, 1, 1]
    assert counts[3:]
    assert set(counts[3:]) == {allowed}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server(db: Path, number: signal.Signals) -> None:
    """After SIGTERM or Ctrl-C the exit code is 0, and no traceback is printed."""
    with running_server(db, **FRESH_PROCESS) as server:
        server.http.get("/healthz")
        assert server.stop(number) == 0
    assert "Traceback" not in server.log.read_text()


def test_shutdown_does_not_wait_for_an_incomplete_request(db: Path) -> None:
    """An endless body does not delay a shutdown, and nothing is logged about it."""
    with running_server(db) as server, server.connect() as connection:
        connection.sendall(b"POST /wallet HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        assert server.http.get("/healthz").status_code == 200
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 5
    assert "Traceback" not in server.log.read_text()


@contextmanager
def sending_without_reading(server: Server, calls: bytes, max_bytes: int) -> Iterator[None]:
    """Run a client that sends these calls as long as the server accepts them, and never reads an answer."""
    sent = 0
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((server.http.base_url.host, server.http.base_url.port))
        connection.settimeout(1)
        with suppress(TimeoutError, ConnectionError):
            while sent < max_bytes:
                sent += connection.send(calls)
        yield


def test_shutdown_does_not_wait_for_a_client_that_does_not_read(db: Path) -> None:
    """A client that never reads its answers does not delay a shutdown, and nothing is logged about it."""
    pages = b"GET /admin/api/v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 30
    with running_server(db) as server, sending_without_reading(server, pages, len(pages)):
        assert server.http.get("/healthz").status_code == 200
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 8
    assert "Traceback" not in server.log.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's memory in a file")
def test_pipelined_calls_do_not_fill_the_memory(server: Server) -> None:
    """A client that sends faster than the server answers is reset, so memory does not grow."""
    status = Path(f"/proc/{server.process.pid}/status")

    def memory_kib() -> int:
        return int(status.read_text().partition("VmRSS:")[2].split()[0])

    before = memory_kib()
    with sending_without_reading(server, b"GET /api/bet HTTP/1.1\r\nhost: x\r\n\r\n" * 1000, 50_000_000):
        assert memory_kib() - before < 50_000
    assert server.http.get("/healthz").status_code == 200
    assert "Traceback" not in server.log.read_text()


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no such limit")
def test_unread_answers_do_not_fill_the_kernel() -> None:
    """Accepted connections have the limit of their listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        limit_unsent_bytes(listener)
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            limit = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
    assert limit == MAX_UNSENT_BYTES


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_startup_stops_the_server(db: Path, number: signal.Signals) -> None:
    """A signal before the server is ready is not lost."""
    lock_file = db.with_name("wallet.db.owner")
    command = [sys.executable, "-m", "minwallet", "--db", str(db), "serve", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment()
    ) as process:
        while not lock_file.exists():
            assert process.poll() is None
        process.send_signal(number)
        try:
            process.wait(TIMEOUT_S)
        finally:
            process.kill()
    InProcessCli(db).add_player()


def test_a_second_server_names_the_lock_holder(db: Path) -> None:
    """The second of two servers on one file reports the first one, and stops."""
    with running_server(db) as server:
        result = server.cli.run("serve", "--port", 0)
        assert result.code == 3
        assert result.err.count("\n") == 1
        assert str(server.process.pid) in result.err
        assert server.url in result.err


def test_a_change_by_command_goes_through_the_server(db: Path) -> None:
    """A deposit during a server's run is visible in the next call, and the command has no option for that."""
    with running_server(db) as server:
        player = server.cli.add_player()
        token = server.cli.open_session(player)
        server.cli("deposit", player, "50")
        assert server.wallet_v2(code=token, type="credit")["credit"] == 15_000
        server.cli("player", "block", player)
        assert server.wallet_v2(code=token, type="bet", bet=1, id=1, game=1)["err_code"] == 104
        server.cli("session", "revoke", token)
        assert server.wallet_v2(code=token, type="credit")["err_code"] == 102
    assert server.cli.read_balances(player) == (15_000, 0)


def test_the_control_endpoint_requires_its_key(db: Path) -> None:
    """The URL in the lock file requires the key, and has its own port on loopback."""
    with running_server(db) as server:
        desk = json.loads(db.with_name("wallet.db.owner").read_text())
        request = {"actor": "a test", "request": {"operation": "agent_list"}}
        assert httpx2.post(f"{desk['url']}/control", json=request).status_code == 404
        wrong = {"authorization": "Bearer wrong"}
        assert httpx2.post(f"{desk['url']}/control", json=request, headers=wrong).status_code == 404
        right = {"authorization": f"Bearer {desk['key']}"}
        assert httpx2.post(f"{desk['url']}/control", json=request, headers=right).status_code == 200
        assert server.http.post("/control", json=request, headers=right).status_code == 404
        assert httpx2.post(f"{desk['url']}/control", content=b"[]", headers=right).status_code == 422
        assert desk["key"] not in server.log.read_text()


def test_a_command_that_is_stopped_within_its_request_is_no_fault(db: Path) -> None:
    """The request is logged without a traceback."""
    with running_server(db) as server:
        endpoint = json.loads(db.with_name("wallet.db.owner").read_text())
        port = int(endpoint["url"].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as command:
            head = f"POST /control HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {endpoint['key']}\r\n"
            command.sendall(f"{head}content-length: 100\r\n\r\n".encode())
        deadline = time.monotonic() + TIMEOUT_S
        while '"path":"/control","status":400' not in (log := server.read_log()):
            assert time.monotonic() < deadline
        assert "Traceback" not in log


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets limits of a running process")
async def test_a_commit_that_fails_stops_the_server(db: Path) -> None:
    """Waiting and later calls get 503, never a refusal. The server stops and reports why, once. After a restart the
    same call gets its true outcome."""
    cli = InProcessCli(db)
    tokens = [cli.open_session(cli.add_player()) for _ in range(8)]
    with running_server(db) as server:
        assert server.wallet_v2(code=tokens[0], type="bet", bet=1, id=1, game=1)["result"] == 1
        beyond = db.with_name("wallet.db-wal").stat().st_size
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (beyond, beyond))
        answers = await _bet_concurrently(server, tokens)
        assert answers
        assert {(answer.status_code, answer.json()["err_code"]) for answer in answers} == {(503, 500)}
        assert server.process.wait(TIMEOUT_S) == 3
        log = server.log.read_text()
        messages = [line for line in log.splitlines() if not line.startswith('{"at":"') or '"message"' in line]
        assert sum("a commit failed" in line and "only a restart finds out" in line for line in messages) == 1
        assert "Traceback" not in log
    with running_server(db) as server:
        assert server.wallet_v2(code=tokens[0], type="bet", bet=1, id=1, game=1)["credit"] == 9_999
        for number, token in enumerate(tokens):
            assert server.wallet_v2(code=token, type="bet", bet=2, id=100 + number, game=1)["result"] == 1
    cli.assert_ledger_valid()


async def _bet_concurrently(server: Server, tokens: list[str]) -> list[httpx2.Response]:
    """Send bets concurrently, and return the answers that arrive."""
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, verify=NO_AUTHORITIES) as client:
        calls = [
            client.post("/wallet", json={"code": token, "type": "bet", "bet": 2, "id": 100 + number, "game": 1})
            for number, token in enumerate(tokens)
        ]
        ended = await asyncio.gather(*calls, return_exceptions=True)
    return [answer for answer in ended if isinstance(answer, httpx2.Response)]


@pytest.mark.anyio
@pytest.mark.long
async def test_a_killed_server_has_lost_nothing_it_answered(db: Path) -> None:
    """After kill -9 under load each acknowledged bet is in the ledger once, and the ledger verifies."""
    cli = InProcessCli(db)
    players = [cli.add_player(balance="1000000") for _ in range(4)]
    tokens = [cli.open_session(player) for player in players]
    acknowledged: dict[str, int] = {}
    ids = count(1)
    for _ in range(3):
        server = Server(db)
        enough = len(acknowledged) + 300
        await _bet_until_killed(server, tokens, ids, acknowledged, enough)
        server.stop()
        cli.assert_ledger_valid()
    bets = [entry for player in players for entry in cli.read_entries(player) if entry["kind"] == "bet"]
    after = {entry["id"]: entry["cash_after"] for entry in bets}
    assert len(after) == len(bets)
    assert {id_: after.get(id_) for id_ in acknowledged} == acknowledged


async def _bet_until_killed(
    server: Server, tokens: list[str], ids: "count[int]", acknowledged: dict[str, int], enough: int
) -> None:
    async def bet_on(client: httpx2.AsyncClient, number: int) -> None:
        while True:
            id_ = next(ids)
            call = {"code": tokens[number % len(tokens)], "type": "bet", "bet": 1, "id": id_, "game": 1}
            try:
                answer = (await client.post("/wallet", json=call)).json()
            except httpx2.HTTPError:
                return
            assert answer["result"] == 1
            acknowledged[str(id_)] = answer["credit"]
            if len(acknowledged) == enough:
                server.process.send_signal(signal.SIGKILL)

    async with (
        httpx2.AsyncClient(base_url=server.url, trust_env=False, verify=NO_AUTHORITIES) as client,
        asyncio.TaskGroup() as group,
    ):
        for number in range(CLIENTS):
            group.create_task(bet_on(client, number))
