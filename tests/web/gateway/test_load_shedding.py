"""Load shedding: too many connections, and slow or idle ones."""

import asyncio
import re
import socket
import subprocess
import sys
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn import Server

from minwallet.app import start_server
from minwallet.storage.file_lock import read_control_endpoint
from minwallet.web.gateway.bounded_reads import BoundedReadProtocol
from minwallet.web.gateway.connection_budget import (
    HAS_CONTROL_KEY,
    MAX_CONTROL_CONNECTIONS,
    MAX_REJECTED,
    RESERVED_FILES,
    ControlPort,
    LimitedServerConfig,
)
from minwallet.web.gateway.http_protocol import REQUEST_TIMEOUT_S, UNREAD_TIMEOUT_S, LimitedHttpProtocol
from minwallet.web.listeners import open_listener
from tests.support import TIMEOUT_S, InProcessCli, clean_environment, running_server

CONNECTION_LIMIT = 40

HEAD = b"POST /wallet HTTP/1.1\r\nhost: x\r\n"


@contextmanager
def limited_server(db: Path) -> Iterator[tuple[str, int]]:
    """Run a server whose limit of open files allows 40 connections."""
    log = db.with_name("small.log")
    limits = f'ulimit -n {RESERVED_FILES + CONNECTION_LIMIT}; exec "$@"'
    command = ["sh", "-c", limits, "sh", sys.executable, "-m", "minwallet", "--db", str(db), "serve", "--port", "0"]
    with log.open("w") as stderr, subprocess.Popen(command, stderr=stderr, env=clean_environment()) as process:
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not (found := re.search(r" at http://(\S+):(\d+)", log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield found[1], int(found[2])
        finally:
            process.terminate()
    assert process.returncode == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def build_bet(token: str, id_: int) -> bytes:
    body = b'{"code":"%s","type":"bet","bet":1,"id":%d,"game":1}' % (token.encode(), id_)
    return HEAD + b"content-length: %d\r\n\r\n%s" % (len(body), body)


def exchange_once(connection: socket.socket, payload: bytes) -> bytes:
    """Send the bytes, and return the start of the answer, or b"" if there is none."""
    try:
        connection.sendall(payload)
        return connection.recv(65536)
    except ConnectionError:
        return b""


def test_connections_are_bounded(db: Path) -> None:
    """Accepted connections stay. The next ones get 503 in the form of the protocol, and more are closed. Operator's
    commands still work, and afterwards new connections are accepted again."""
    cli = InProcessCli(db)
    player = cli.add_player()
    token = cli.open_session(player)
    with limited_server(db) as address:
        with ExitStack() as connections:

            def connect() -> socket.socket:
                return connections.enter_context(socket.create_connection(address, TIMEOUT_S))

            accepted = [connect() for _ in range(CONNECTION_LIMIT)]
            assert all(
                b" 200 OK" in exchange_once(each, build_bet(token, number)) for number, each in enumerate(accepted)
            )
            rejected = [connect() for _ in range(MAX_REJECTED + 50)]
            for each in rejected[:3]:
                answer = exchange_once(each, build_bet(token, 1000))
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b'"err_code":500' in answer
                assert b"connection: close" in answer
            answer = exchange_once(rejected[3], b"GET /admin HTTP/1.1\r\nhost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert exchange_once(rejected[-1], build_bet(token, 1000)) == b""
            cli("deposit", player, "1")
            assert b" 200 OK" in exchange_once(accepted[0], build_bet(token, 2000))
        deadline = time.monotonic() + TIMEOUT_S
        answer = b""
        while b" 200 OK" not in answer:
            assert time.monotonic() < deadline
            with socket.create_connection(address, TIMEOUT_S) as again:
                answer = exchange_once(again, build_bet(token, 3000))
    assert cli.read_balances(player) == (10_100 - CONNECTION_LIMIT - 2, 0)


HELLO = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"

PAGE = b"hello" * 6_000_000


@asynccontextmanager
async def open_timed_connection(
    *, is_control: bool = False
) -> AsyncIterator[tuple[StreamReader, StreamWriter, Callable[[float], None]]]:
    """Open a connection to a server, and yield its two ends and a function that makes it seconds older.

    On the control port, the header `authorization` is the key, and such a request gets no answer.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if "authorization" in Headers(scope=scope):
            scope[HAS_CONTROL_KEY] = True
            await asyncio.sleep(TIMEOUT_S)
        body = PAGE if scope["path"] == "/page" else b"hello"
        await PlainTextResponse(body)(scope, receive, send)

    with open_listener("127.0.0.1", 0) as listener:
        config = LimitedServerConfig(app, http=BoundedReadProtocol, log_config=None, lifespan="off", ws="none")
        if is_control:
            config.control = ControlPort(listener.getsockname()[1], app)
        server = Server(config)
        serving = await start_server(server, [listener])
        reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=4096)

        def check_timeout(seconds: float) -> None:
            (connection,) = server.server_state.connections
            assert isinstance(connection, LimitedHttpProtocol)
            connection.check_timeout(seconds)

        try:
            async with asyncio.timeout(TIMEOUT_S):
                yield reader, writer, check_timeout
        finally:
            writer.transport.abort()
            server.should_exit = server.force_exit = True
            await serving


async def wait_for_arrival() -> None:
    """Wait until the server has read the sent bytes: on loopback it does so in the next turns of the shared event
    loop."""
    for _ in range(20):
        await asyncio.sleep(0.001)


@pytest.mark.anyio
@pytest.mark.parametrize("begun", [HEAD, HEAD + b"content-length: 100\r\n\r\n{", b"POST /"])
@pytest.mark.parametrize("is_first", [True, False])
async def test_an_incomplete_request_times_out(begun: bytes, is_first: bool) -> None:
    """This holds for head and body, for the first and later requests of a connection, and for slow bytes."""
    async with open_timed_connection() as (reader, writer, grow_older):
        if not is_first:
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        writer.write(begun)
        await wait_for_arrival()
        grow_older(REQUEST_TIMEOUT_S / 2)
        writer.write(b"x")
        await wait_for_arrival()
        grow_older(REQUEST_TIMEOUT_S / 2)
        assert not reader.at_eof()
        grow_older(1)
        with suppress(ConnectionError):
            while piece := await reader.read(65536):
                assert b"hello" in piece  # the app answers without waiting for the body


@pytest.mark.anyio
async def test_an_idle_connection_is_kept() -> None:
    """It is kept as long as uvicorn allows, and each request has its own timeout."""
    async with open_timed_connection() as (reader, writer, grow_older):
        grow_older(4)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
            await wait_for_arrival()
            grow_older(REQUEST_TIMEOUT_S)
            writer.write(b"\r\n")
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
            grow_older(1000)


async def assert_reset(reader: StreamReader) -> None:
    """Check that the server ends the connection."""
    with suppress(ConnectionError):
        while await reader.read(65536):
            pass


@pytest.mark.anyio
async def test_empty_lines_do_not_keep_a_connection() -> None:
    """Bytes before a request line are no request, so the idle timeout applies, after an answer too."""
    async with open_timed_connection() as (reader, writer, grow_older):
        writer.write(HELLO)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        for _ in range(2):
            writer.write(b"\r\n")
            await wait_for_arrival()
            grow_older(3)
        await assert_reset(reader)


@pytest.mark.anyio
async def test_a_client_must_read_its_answers() -> None:
    """A client that reads nothing for a while is reset; one that reads slowly is not."""
    async with open_timed_connection() as (reader, writer, grow_older):
        writer.write(HELLO.replace(b" / ", b" /page "))
        for _ in range(5):
            assert len(await reader.readexactly(3_000_000)) == 3_000_000
            await wait_for_arrival()
            grow_older(UNREAD_TIMEOUT_S * 0.6)
        for _ in range(2):
            grow_older(UNREAD_TIMEOUT_S * 0.6)
        await assert_reset(reader)


@pytest.mark.anyio
@pytest.mark.parametrize("sent", [b"", HEAD, HELLO, b"\r\n"])
async def test_the_control_port_resets_a_connection_without_the_key(sent: bytes) -> None:
    """Whatever it sends instead, it has as long as a request."""
    async with open_timed_connection(is_control=True) as (reader, writer, grow_older):
        writer.write(sent)
        await wait_for_arrival()
        grow_older(REQUEST_TIMEOUT_S)
        grow_older(1)
        await assert_reset(reader)


@pytest.mark.anyio
async def test_the_control_port_does_not_reset_a_long_command() -> None:
    """A request with the key has no time limit, and no stranger displaces it."""
    async with open_timed_connection(is_control=True) as (reader, writer, grow_older):
        writer.write(HELLO.replace(b"host", b"authorization"))
        await wait_for_arrival()
        grow_older(10_000)
        port = writer.get_extra_info("peername")
        strangers = [await asyncio.open_connection(*port) for _ in range(MAX_CONTROL_CONNECTIONS + 10)]
        await wait_for_arrival()
        assert not reader.at_eof()
        await assert_reset(strangers[0][0])
        assert not strangers[-1][0].at_eof()
        for _, stranger in strangers:
            stranger.transport.abort()


def test_commands_and_calls_work_beside_strangers_on_the_control_port(db: Path) -> None:
    """Strangers there use neither up the connections of commands nor those of the public port."""
    with running_server(db) as server, ExitStack() as connections:
        endpoint = read_control_endpoint(db)
        assert endpoint is not None
        address = urlsplit(endpoint.url)

        def connect() -> socket.socket:
            return connections.enter_context(socket.create_connection((address.hostname, address.port), TIMEOUT_S))

        strangers = [connect() for _ in range(MAX_CONTROL_CONNECTIONS * 3)]
        player = server.cli.add_player()
        assert server.http.get("/healthz").status_code == 200
        assert exchange_once(strangers[0], HELLO) == b""
        answer = exchange_once(strangers[-1], HEAD.replace(b"/wallet", b"/control") + b"content-length: 0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b"connection: close" in answer
        assert exchange_once(connect(), HELLO.replace(b" / ", b" /admin/sign-in ")).startswith(b"HTTP/1.1 404 ")
        assert server.cli.read_balances(player) == (10_000, 0)
