"""A proxy between provider and wallet that delays, resets, truncates, drops, repeats and reorders calls.

The fault of a request depends on the seed, on its first line and body, and on the number of its deliveries. It does not
depend on time: the headers, which may have the time of a signature, do not count.
"""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count
from typing import NamedTuple, Self

from tests.faults.load_clients import HttpConnection, NoResponse, connect, read_message

DELIVERY_FAULTS = {
    "passed": 70,
    "delayed": 4,
    "in_pieces": 3,
    "overtaken": 4,
    "doubled": 3,
    "repeated_late": 3,
    "held_until_late": 3,
    "lost": 3,
    "cut": 3,
    "reply_lost": 3,
    "reply_cut": 2,
    "silent": 1,
}
"""The faults of a request, with their shares."""

MAX_DELAY_S, MAX_OVERTAKING_S = 0.02, 0.05

MAX_REQUESTS_BEFORE_LATE = 2_000
"""The maximum number of other requests before a late one is delivered."""

MAX_HALF_OPEN = 16


class ClientReset(Exception):
    """The connection to the client ends here."""


class ClientStream(NamedTuple):
    """The connection to the client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, reply: bytes) -> None:
        if self.writer.is_closing():
            raise ClientReset
        self.writer.write(reply)


class FaultyProxy:
    """A proxy that accepts calls at `url` inside its context, and counts its faults."""

    def __init__(self, upstream: str, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._upstream = upstream
        self._seed = seed
        self._seen: Counter[int] = Counter()
        self._idle: list[HttpConnection] = []
        self._late: list[tuple[int, int, bytes]] = []
        self._passing: list[tuple[int, int, asyncio.Event]] = []
        self._half_open: list[asyncio.StreamWriter] = []
        self._numbers = count()
        self._request_count = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.gather(*self._tasks)
        for writer in self._half_open:
            writer.transport.abort()
        for line in self._idle:
            line.close()

    async def deliver_late(self, requests: int | None = None) -> None:
        """Deliver this number of the late requests, or all of them."""
        await asyncio.gather(*self._tasks)
        for _ in range(len(self._late) if requests is None else requests):
            await self._deliver(heapq.heappop(self._late)[-1])

    @property
    def late_count(self) -> int:
        """Return the number of undelivered late requests."""
        return len(self._late)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._start_task(self._serve(reader, writer))

    def _start_task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = ClientStream(reader, writer)
        try:
            while True:
                head, body = await read_message(reader)
                self._release_due()
                request = head + body
                fate, chance = self._choose_fault(request)
                self.counts[fate] += 1
                work: Callable[[bytes, ClientStream, random.Random], Awaitable[None]]
                work = getattr(self, f"_{fate}")
                await work(request, client, chance)
        except (OSError, asyncio.IncompleteReadError, NoResponse, ClientReset):
            pass
        finally:
            writer.transport.abort()

    def _choose_fault(self, request: bytes) -> tuple[str, random.Random]:
        head, _, body = request.partition(b"\r\n\r\n")
        content = head.partition(b"\r\n")[0] + body
        key = hash(content)
        self._seen[key] += 1
        chance = random.Random(f"{self._seed}/{self._seen[key]}/{content!r}")
        return chance.choices(list(DELIVERY_FAULTS), list(DELIVERY_FAULTS.values()))[0], chance

    def _release_due(self) -> None:
        self._request_count += 1
        while self._late and self._late[0][0] <= self._request_count:
            self._start_task(self._deliver(heapq.heappop(self._late)[-1]))
        while self._passing and self._passing[0][0] <= self._request_count:
            heapq.heappop(self._passing)[-1].set()

    async def _deliver(self, request: bytes) -> None:
        """Deliver the request, and drop the answer."""
        await self._forward(request)
        self.counts["arrived_late"] += 1

    async def _forward(self, request: bytes) -> bytes:
        line = self._idle.pop() if self._idle else HttpConnection(self._upstream)
        head, body = await line.send_raw(request)
        self._idle.append(line)
        return head + body

    async def _passed(self, request: bytes, client: ClientStream, _: random.Random) -> None:
        client.send(await self._forward(request))

    async def _delayed(self, request: bytes, client: ClientStream, chance: random.Random) -> None:
        await asyncio.sleep(chance.random() * MAX_DELAY_S)
        reply = await self._forward(request)
        await asyncio.sleep(chance.random() * MAX_DELAY_S)
        client.send(reply)

    async def _in_pieces(self, request: bytes, client: ClientStream, chance: random.Random) -> None:
        """Deliver the request and its answer in pieces."""
        reader, upstream = await connect(self._upstream)
        try:
            await _send_in_pieces(request, upstream.write, chance)
            head, body = await read_message(reader)
        finally:
            upstream.transport.abort()
        await _send_in_pieces(head + body, client.send, chance)

    async def _overtaken(self, request: bytes, client: ClientStream, chance: random.Random) -> None:
        """Deliver the request after later ones."""
        passed = asyncio.Event()
        heapq.heappush(self._passing, (self._request_count + chance.randint(1, 12), next(self._numbers), passed))
        try:
            async with asyncio.timeout(MAX_OVERTAKING_S):
                await passed.wait()
        except TimeoutError:
            self.counts["overtaken_by_few"] += 1
        client.send(await self._forward(request))

    async def _doubled(self, request: bytes, client: ClientStream, chance: random.Random) -> None:
        """Deliver the request twice concurrently, and return one of the answers."""
        client.send(chance.choice(await asyncio.gather(self._forward(request), self._forward(request))))

    async def _repeated_late(self, request: bytes, client: ClientStream, chance: random.Random) -> None:
        self._hold_back(request, chance)
        client.send(await self._forward(request))

    async def _held_until_late(self, request: bytes, _: ClientStream, chance: random.Random) -> None:
        """Reset the client's connection, and deliver the request much later."""
        self._hold_back(request, chance)
        raise ClientReset

    def _hold_back(self, request: bytes, chance: random.Random) -> None:
        until = self._request_count + int(MAX_REQUESTS_BEFORE_LATE ** chance.random())
        heapq.heappush(self._late, (until, next(self._numbers), request))

    async def _lost(self, _: bytes, __: ClientStream, ___: random.Random) -> None:
        raise ClientReset

    async def _cut(self, request: bytes, _: ClientStream, chance: random.Random) -> None:
        """Deliver half of the request, then end or abandon the connection in one of several ways."""
        upstream = (await connect(self._upstream))[1]
        upstream.write(request[: chance.randrange(len(request))])
        match chance.randrange(3):
            case 0:
                upstream.transport.abort()
            case 1:
                upstream.close()
            case _:
                self._half_open.append(upstream)
                if len(self._half_open) > MAX_HALF_OPEN:
                    oldest = self._half_open.pop(0)
                    oldest.transport.abort()
        raise ClientReset

    async def _reply_lost(self, request: bytes, _: ClientStream, __: random.Random) -> None:
        await self._forward(request)
        raise ClientReset

    async def _reply_cut(self, request: bytes, client: ClientStream, chance: random.Random) -> None:
        reply = await self._forward(request)
        client.send(reply[: chance.randrange(1, len(reply))])
        client.writer.close()
        await client.writer.wait_closed()
        raise ClientReset

    async def _silent(self, request: bytes, client: ClientStream, chance: random.Random) -> None:
        """Keep the connection open without an answer, with or without delivery of the request."""
        if chance.random() < 0.5:
            await self._forward(request)
        await client.reader.read()


async def _send_in_pieces(data: bytes, send: Callable[[bytes], None], chance: random.Random) -> None:
    at = 0
    while at < len(data):
        length = chance.randint(1, 60)
        send(data[at : at + length])
        at += length
        await asyncio.sleep(0)
