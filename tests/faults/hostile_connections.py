"""Hostile connections: many of one kind, which are opened again as soon as the server closes them.

Each kind tries to make the server hold memory, or its time. `measure_memory` returns what one connection costs, and
`torture` compares the p99 of normal calls beside 500 connections of each kind with the p99 without them.
"""

import asyncio
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.faults.slow_clients import MIN_TURNS, compare_p99, server_with_clients
from tests.support import ROOT, Server

CONNECTIONS = 500

MIN_P99_S, MAX_SLOWDOWN = 0.1, 5
"""A kind that stops the server makes the p99 many times as long. The attack itself needs processor time too."""

OPENING_INTERVAL_S, DRIP_INTERVAL_S = 0.005, 0.5
"""Time between two new connections, and between two pieces of one connection."""

REOPEN_PAUSE_S = 10.0
"""Time after which a closed connection is opened again. A faster client would only measure its own processor time."""

MEASURED_CONNECTIONS, MAX_MEMORY_KB = 60, 200
"""The number of connections whose memory is measured, and the memory that one of them may take."""

HOLD_S = 1.0
"""Time for which connections are held while their memory is measured."""

LARGE_PAGE = b"GET /admin/api/v1/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"

POST = b"POST /wallet HTTP/1.1\r\nhost: x\r\n"

CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"


class HostileKind(NamedTuple):
    """What a connection sends first, and then again after each DRIP_INTERVAL_S. It never reads."""

    payload: bytes
    drip: bytes = b"x"


HOSTILE_KINDS: Mapping[str, HostileKind] = {
    "requests behind unread answers": HostileKind(LARGE_PAGE * 60 + b"GET / HTTP/1.1\r\n\r\n" * 13_000),
    "pipelined requests": HostileKind(b"GET / HTTP/1.1\r\n\r\n" * 14_000),
    "pipelined requests with headers": HostileKind((b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 99 + b"\r\n") * 600),
    "pipelined calls": HostileKind((POST + b"content-length: 400\r\n\r\n" + b"x" * 400) * 500),
    "header lines": HostileKind(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 12_400, b"a:b\r\n"),
    "long header": HostileKind(b"GET / HTTP/1.1\r\nx: " + b"y" * 250_000, b"y"),
    "long path": HostileKind(b"GET /" + b"y" * 250_000, b"y"),
    "slow head": HostileKind(b"POST /wallet HTTP/1.1\r\nhost: x\r\nx-slow: ", b"y"),
    "empty lines": HostileKind(b"\r\n" * 100_000, b"\r\n"),
    "waiting requests at the limits": HostileKind(LARGE_PAGE, (LARGE_PAGE[:-2] + b"a:\r\n" * 15 + b"\r\n") * 31),
    "unread answers": HostileKind(LARGE_PAGE * 32, LARGE_PAGE),
    "body behind unread answers": HostileKind(LARGE_PAGE * 30 + CHUNKED + b"3e800\r\n" + b"x" * 256_000),
    "WebSocket offer": HostileKind(
        b"GET /demo HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n" + b"\x81\xfe" * 60_000,
        b"x",
    ),
    "large chunked body": HostileKind(CHUNKED + b"100000\r\n" + b"x" * 250_000, b"x"),
    "tiny chunks": HostileKind(CHUNKED + b"1\r\nx\r\n" * 40_000, b"1\r\nx\r\n"),
    "chunk extension": HostileKind(CHUNKED + b"1;" + b"e" * 250_000, b"e"),
    "trailers": HostileKind(CHUNKED + b"0\r\n" + b"a:b\r\n" * 50_000, b"a:b\r\n"),
    "long trailer": HostileKind(CHUNKED + b"0\r\na: " + b"y" * 250_000, b"y"),
}


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Compare `size` times for each kind. Print the p99 of normal calls beside it, and check it."""
    counts: Counter[str] = Counter()
    with server_with_clients(folder, seed, counts) as (server, fleet):
        for _ in range(size):
            for name in HOSTILE_KINDS:
                open_hostile = partial(hostile_connections, server, name, CONNECTIONS)
                alone, beside, turns = asyncio.run(compare_p99(server, fleet, open_hostile, max_turns=MIN_TURNS))
                print(f"{name}: p99 {beside * 1000:.1f} ms, {alone * 1000:.1f} ms without", flush=True)
                assert beside < MAX_SLOWDOWN * max(alone, MIN_P99_S), name
                counts += Counter({"comparisons": 1, "hostile connections": CONNECTIONS * turns})
    return counts


def measure_memory(server: Server, name: str) -> float:
    """Return the memory of one connection in kB: the growth of the server's peak, divided by their number."""
    return asyncio.run(_measure_memory(server, name))


async def _measure_memory(server: Server, name: str) -> float:
    # What one connection leaves behind, such as a page that is built once, does not count.
    async with hostile_connections(server, name, 1):
        await asyncio.sleep(HOLD_S / 2)
    before = _reset_peak(server.process.pid)
    async with hostile_connections(server, name, MEASURED_CONNECTIONS):
        await asyncio.sleep(HOLD_S)
        return (_read_memory_kb(server.process.pid, "VmHWM") - before) / MEASURED_CONNECTIONS


@asynccontextmanager
async def hostile_connections(server: Server, name: str, number: int) -> AsyncIterator[None]:
    """Hold this number of connections until the end of the block. Another process holds them, with a low priority, so
    that it does not delay the normal clients of this process."""
    command = [
        "nice",
        "-n",
        "10",
        sys.executable,
        "-m",
        "tests.faults.hostile_connections",
        server.url,
        name,
        str(number),
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"open\n"
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def _attack_forever(url: str, kind: HostileKind, number: int) -> None:
    first_ones = [asyncio.Event() for _ in range(number)]
    async with asyncio.TaskGroup() as attack:
        for is_open in first_ones:
            attack.create_task(_attack(url, kind, is_open))
            await asyncio.sleep(OPENING_INTERVAL_S)
        for is_open in first_ones:
            await is_open.wait()
        print("open", flush=True)


async def _attack(url: str, kind: HostileKind, is_open: asyncio.Event) -> None:
    """Send the bytes of the kind on a connection, and open it again after the server has closed it."""
    loop, address = asyncio.get_running_loop(), urlsplit(url)
    while True:
        with socket.socket() as connection, suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setblocking(False)
            await loop.sock_connect(connection, (address.hostname, address.port))
            is_open.set()
            await loop.sock_sendall(connection, kind.payload)
            while True:
                await asyncio.sleep(DRIP_INTERVAL_S)
                await loop.sock_sendall(connection, kind.drip)
        await asyncio.sleep(REOPEN_PAUSE_S)


def _reset_peak(pid: int) -> int:
    """Set the process's peak memory to its present memory. Return this in kB."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _read_memory_kb(pid, "VmRSS")


def _read_memory_kb(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0])


if __name__ == "__main__":
    _url, _name, _number = sys.argv[1:]
    asyncio.run(_attack_forever(_url, HOSTILE_KINDS[_name], int(_number)))
