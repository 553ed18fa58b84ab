"""Clients that leave: in the midst of a request, after it, while they wait, in the midst of the answer, with several
calls under way; and they go by closing, by a reset, or by ending only their own half of the connection.
"""

import asyncio
import random
import socket
import struct
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.faults.clients import Asked, Client, Fleet, Line, NoAnswer, connect, packet, read_message
from tests.faults.history import now_s
from tests.faults.trial import assert_nothing_lost, seats
from tests.support import Here, Server, serving

PLAYERS, CLIENTS = 24, 16

PATIENCE_S = 5.0

LONGEST_WAIT_S = 0.004
"""About as long as a call takes when some others are under way."""

POINTS = ("in_request", "in_request", "after_request", "while_waiting", "in_answer")

WAYS = ("closed", "reset", "half_closed")

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def depart(size: int, seed: int, file: Path) -> Counter[str]:
    """`size` departures from one server, and as many calls of clients who stay."""
    fleet = Leavers(seats(Here(file), PLAYERS), seed, clients=CLIENTS)
    fleet.departures_left = size
    with serving(file) as server:
        server.http.get("/healthz")
        before = handles(server)
        asyncio.run(fleet.play(server.url))
        asyncio.run(fleet.settle(server.url))
        _assert_no_more_handles(server, before)
        assert server.http.get("/readyz").status_code == 200
        assert server.stop() == 0
    log = server.log.read_text()
    assert "Traceback" not in log, log
    assert not fleet.complaints, fleet.complaints[:5]
    for way in WAYS:
        for point in set(POINTS):
            assert fleet.counts[f"{way}_{point}"] >= size // 50, f"hardly anybody {way} {point}"
    return fleet.counts + assert_nothing_lost(file, fleet.history)


def handles(server: Server) -> int:
    """How many files and connections the server has open."""
    return sum(1 for _ in Path(f"/proc/{server.process.pid}/fd").iterdir())


def _assert_no_more_handles(server: Server, before: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (now := handles(server)) > before:
        assert time.monotonic() < deadline, f"all clients have gone, but {now} handles are open instead of {before}"
        time.sleep(0.02)


class Leavers(Fleet):
    """Clients of whom each leaves every other call behind; `complaints` are what nobody may meet with."""

    departures_left = 0

    def __init__(self, *given: object, **options: object) -> None:
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []
        super().__init__(*given, **options)  # type: ignore[arg-type]  # they are handed on as they came

    def make_client(self, chance: random.Random, number: int) -> Client:
        return Leaver(self, chance, number)


class Leaver(Client):
    """Leaves, and comes back for the same players."""

    def __init__(self, fleet: Leavers, chance: random.Random, number: int) -> None:
        super().__init__(fleet, chance, number)
        self._leavers = fleet

    async def ask(self, line: Line, asked: Asked) -> None:
        """Stay for the answer, which has to come soon whoever has left, or leave."""
        if self._leavers.departures_left and self._chance.random() < 0.5:
            self._leavers.departures_left -= 1
            if not self._leavers.departures_left:
                self._leavers.stop()
            await self.leave(line.url, asked)
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                await super().ask(line, asked)
        except (NoAnswer, TimeoutError) as error:
            self._leavers.complaints.append(f"{asked} had no answer in {PATIENCE_S} s: {error!r}")

    async def leave(self, url: str, asked: Asked) -> None:
        """What was sent whole may have been carried out, and is written down; the rest must have had no effect."""
        chance = self._chance
        way, point = chance.choice(WAYS), chance.choice(POINTS)
        calls = [asked, *(self.choose() for _ in range(chance.choice((0, 0, 0, 1, 3))))]
        packets = [packet(each.exchange) for each in calls]
        request = b"".join(packets)
        if point == "in_request":
            request = request[: len(request) - chance.randint(1, len(packets[-1]))]
        self._leavers.counts[f"{way}_{point}"] += 1
        self._leavers.counts["several_calls"] += len(calls) > 1
        sent_at = now_s()
        answers: list[tuple[int, bytes]] = []
        reader, writer = await connect(url)
        try:
            await self._send(request, writer)
            async with asyncio.timeout(PATIENCE_S):
                received = await self._stay(reader, point)
                answers = await self._go(reader, writer, way, received)
        except TimeoutError:
            self._leavers.complaints.append(f"{way} {point}: the server neither answered nor closed in {PATIENCE_S} s")
        except OSError:
            self._leavers.counts["closed_by_server"] += 1
        finally:
            writer.transport.abort()
        whole = calls[:-1] if point == "in_request" else calls
        if way == "half_closed" and point != "in_request" and len(answers) < len(whole):
            self._leavers.complaints.append(f"half closed {point}: {len(answers)} answers to {len(whole)} calls")
        self._note(calls, whole, answers, sent_at)

    async def _send(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        """In one piece, or in two."""
        middle = self._chance.randrange(len(request) + 1) if self._chance.random() < 0.3 else 0
        writer.write(request[:middle])
        await asyncio.sleep(0)
        writer.write(request[middle:])

    async def _stay(self, reader: asyncio.StreamReader, point: str) -> bytes:
        if point == "while_waiting":
            await asyncio.sleep(self._chance.random() * LONGEST_WAIT_S)
        return await reader.read(self._chance.randint(1, 100)) if point == "in_answer" else b""

    async def _go(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str, received: bytes
    ) -> list[tuple[int, bytes]]:
        """Who only ends the own half still reads whatever comes, until the server ends the other."""
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

    def _note(self, calls: list[Asked], whole: list[Asked], answers: list[tuple[int, bytes]], sent_at: float) -> None:
        for place, asked in enumerate(calls):
            is_answered = place < min(len(answers), len(whole))
            status, body = answers[place] if is_answered else (0, b"")
            said = asked.said(sent_at, status, body)
            if place < len(whole):
                self._fleet.note(said)
            if is_answered and said.code is not None:
                self._leavers.counts["answered_though_half_closed"] += 1
                self.learn(asked, said)
            elif self._chance.random() < 0.8:
                self._unanswered.append(asked)
