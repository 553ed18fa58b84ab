"""Clients that disconnect: during a request, after it, while they wait, during the answer, and with several calls in
flight. They close the connection, reset it, or shut down only their own half."""

import asyncio
import random
import socket
import struct
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.faults.harness import assert_nothing_lost, create_players
from tests.faults.history import monotonic_s
from tests.faults.load_clients import (
    HttpConnection,
    LoadClient,
    LoadClients,
    NoResponse,
    PlannedCall,
    connect,
    encode_request,
    read_message,
)
from tests.support import InProcessCli, Server, running_server

PLAYERS, CLIENTS = 24, 16

TIMEOUT_S = 5.0

MAX_WAIT_S = 0.004
"""About the duration of a call while some others are in flight."""

DISCONNECT_POINTS = ("in_request", "in_request", "after_request", "while_waiting", "in_answer")

DISCONNECT_WAYS = ("closed", "reset", "half_closed")

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def run_disconnects(size: int, seed: int, file: Path) -> Counter[str]:
    """Run `size` disconnects on one server, with as many calls of clients that stay."""
    fleet = DisconnectingClients(create_players(InProcessCli(file), PLAYERS), seed, clients=CLIENTS)
    fleet.disconnects_left = size
    with running_server(file) as server:
        server.http.get("/healthz")
        before = count_open_files(server)
        asyncio.run(fleet.play(server.url))
        asyncio.run(fleet.settle(server.url))
        _assert_no_file_leak(server, before)
        assert server.http.get("/readyz").status_code == 200
        assert server.stop() == 0
    log = server.log.read_text()
    assert "Traceback" not in log, log
    assert not fleet.complaints, fleet.complaints[:5]
    for way in DISCONNECT_WAYS:
        for point in set(DISCONNECT_POINTS):
            assert fleet.counts[f"{way}_{point}"] >= size // 50, f"too few clients {way} {point}"
    return fleet.counts + assert_nothing_lost(file, fleet.history)


def count_open_files(server: Server) -> int:
    """Return the number of files and connections that the server has open."""
    return sum(1 for _ in Path(f"/proc/{server.process.pid}/fd").iterdir())


def _assert_no_file_leak(server: Server, before: int) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while (now := count_open_files(server)) > before:
        assert time.monotonic() < deadline, (
            f"all clients have disconnected, but {now} handles are open instead of {before}"
        )
        time.sleep(0.02)


class DisconnectingClients(LoadClients):
    """Clients that disconnect in every second call. `problems` are observations that must not occur."""

    disconnects_left = 0

    def __init__(self, *given: object, **options: object) -> None:
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []
        super().__init__(*given, **options)  # type: ignore[arg-type]  # they are handed on as they came

    def make_client(self, chance: random.Random, number: int) -> LoadClient:
        return DisconnectingClient(self, chance, number)


class DisconnectingClient(LoadClient):
    """A client that disconnects, and returns for the same players."""

    def __init__(self, fleet: DisconnectingClients, chance: random.Random, number: int) -> None:
        super().__init__(fleet, chance, number)
        self._group = fleet

    async def send_call(self, line: HttpConnection, asked: PlannedCall) -> None:
        """Wait for the answer, which must come soon despite the disconnects of others, or disconnect."""
        if self._group.disconnects_left and self._chance.random() < 0.5:
            self._group.disconnects_left -= 1
            if not self._group.disconnects_left:
                self._group.stop()
            await self.disconnect(line.url, asked)
            return
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await super().send_call(line, asked)
        except (NoResponse, TimeoutError) as error:
            self._group.complaints.append(f"{asked} had no answer in {TIMEOUT_S} s: {error!r}")

    async def disconnect(self, url: str, asked: PlannedCall) -> None:
        """Disconnect during a call. A call that was sent completely may have been executed, and is recorded; any
        other must have no effect."""
        chance = self._chance
        way, point = chance.choice(DISCONNECT_WAYS), chance.choice(DISCONNECT_POINTS)
        calls = [asked, *(self.choose_call() for _ in range(chance.choice((0, 0, 0, 1, 3))))]
        packets = [encode_request(each.exchange) for each in calls]
        request = b"".join(packets)
        if point == "in_request":
            request = request[: len(request) - chance.randint(1, len(packets[-1]))]
        self._group.counts[f"{way}_{point}"] += 1
        self._group.counts["several_calls"] += len(calls) > 1
        sent_at = monotonic_s()
        answers: list[tuple[int, bytes]] = []
        reader, writer = await connect(url)
        try:
            await self._send(request, writer)
            async with asyncio.timeout(TIMEOUT_S):
                received = await self._wait_at_point(reader, point)
                answers = await self._disconnect(reader, writer, way, received)
        except TimeoutError:
            self._group.complaints.append(f"{way} {point}: the server neither answered nor closed in {TIMEOUT_S} s")
        except OSError:
            self._group.counts["closed_by_server"] += 1
        finally:
            writer.transport.abort()
        whole = calls[:-1] if point == "in_request" else calls
        if way == "half_closed" and point != "in_request" and len(answers) < len(whole):
            self._group.complaints.append(f"half closed {point}: {len(answers)} answers to {len(whole)} calls")
        self._record_attempts(calls, whole, answers, sent_at)

    async def _send(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        """Send the bytes in one or two pieces."""
        middle = self._chance.randrange(len(request) + 1) if self._chance.random() < 0.3 else 0
        writer.write(request[:middle])
        await asyncio.sleep(0)
        writer.write(request[middle:])

    async def _wait_at_point(self, reader: asyncio.StreamReader, point: str) -> bytes:
        if point == "while_waiting":
            await asyncio.sleep(self._chance.random() * MAX_WAIT_S)
        return await reader.read(self._chance.randint(1, 100)) if point == "in_answer" else b""

    async def _disconnect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str, received: bytes
    ) -> list[tuple[int, bytes]]:
        """Close the connection. If only the own half is shut down, read until the server closes the other half."""
        if way == "closed":
            writer.close()
            await writer.wait_closed()
            return []
        if way == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            return []
        writer.write_eof()
        answers, stream = [], asyncio.StreamReader()
        stream.feed_data(received + await reader.read())
        stream.feed_eof()
        with suppress(asyncio.IncompleteReadError):
            while True:
                head, body = await read_message(stream)
                answers.append((int(head[9:12]), body))
        return answers

    def _record_attempts(
        self, calls: list[PlannedCall], whole: list[PlannedCall], answers: list[tuple[int, bytes]], sent_at: float
    ) -> None:
        for place, asked in enumerate(calls):
            is_answered = place < min(len(answers), len(whole))
            status, body = answers[place] if is_answered else (0, b"")
            said = asked.to_attempt(sent_at, status, body)
            if place < len(whole):
                self._clients.record(said)
            if is_answered and said.code is not None:
                self._group.counts["answered_though_half_closed"] += 1
                self.remember_result(asked, said)
            elif self._chance.random() < 0.8:
                self._unanswered.append(asked)
