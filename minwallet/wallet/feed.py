"""The live feed: what was committed, read from the file itself, so that it never shows what is not durable.

Whoever follows is told only that there is news, and looks for it; so a slow or a gone reader costs a bet nothing. In a
server one task looks for all readers, some times a second, and each takes what it wants of that.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import NamedTuple

from minwallet.storage.errors import StoreError
from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.storage.store import Store

AT_ONCE = 500
"""How many rows are read at once. Of more, the newest are."""

EVERYTHING = Filter()

LOOK_BACK = 20_000
"""How far back somebody is shown what was committed meanwhile."""

EYE_S, POLL_S, QUIET_S = 0.25, 0.2, 2


class News:
    """Wakes whoever waits for the next commit of this process."""

    def __init__(self) -> None:
        self.told = 0
        self.is_over = False
        self._next: asyncio.Future[None] | None = None

    def tell(self) -> None:
        """Something was committed. This costs next to nothing while nobody waits."""
        self.told += 1
        if self._next is not None:
            self._next.set_result(None)
            self._next = None

    def end(self) -> None:
        """There will be no more; whoever reads is let go."""
        self.is_over = True
        self.tell()

    async def wait(self, told: int) -> None:
        """Until something was committed since `told`, or nothing for a while."""
        if self.told == told and not self.is_over:
            if self._next is None:
                self._next = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._next}, timeout=QUIET_S)


class Polling:
    """The same for a process that only reads the file: it looks again and again."""

    told = 0
    is_over = False

    async def wait(self, told: int) -> None:
        del told
        await asyncio.sleep(POLL_S)


class Heard(NamedTuple):
    """New rows, oldest first; `seq` is how far was looked, `missed` how many rows were passed over before them."""

    rows: list[OwnedEntry]
    seq: int
    missed: int = 0


async def follow(store: Store, news: Polling, wanted: Filter, after: int) -> AsyncIterator[Heard]:
    """All that is committed after the row `after`, until the news are over. Yields without rows too, now and then, so
    that the caller can see whether anybody still listens.
    """
    while not news.is_over:
        told, newest = news.told, await store.count_entries()
        if newest > after:
            page = await store.read_entries_after(wanted, after, AT_ONCE)
            assert page.next_seq is not None
            after = page.next_seq
            yield Heard(page.rows, after)
        else:
            await news.wait(told)
            yield Heard([], after)


class Feed:
    """What a server's readers hear. The newest rows are read once, however many listen, and only while anybody does.

    `readers` counts those who listen, by who they are.
    """

    def __init__(self, store: Store, news: News) -> None:
        self.readers: Counter[str] = Counter()
        self._store = store
        self._news = news
        self._pages = News()
        self._rows: list[OwnedEntry] = []
        self._seq = 0
        self._beginning = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def listen(
        self, wanted: Filter, after: int, most: int = AT_ONCE, reader: str = ""
    ) -> AsyncGenerator[Heard, None]:
        """What is committed after the row `after`, the newest `most` at a time, until the news are over.

        Yields without rows too, now and then. Whoever falls behind, or comes back after very long, is told how many
        rows of the ledger were passed over.
        """
        self.readers[reader] += 1
        try:
            reading = await self._begin(after)
            async with aclosing(self._catch_up(wanted, after, most)) as catching_up:
                async for heard in catching_up:
                    after = heard.seq
                    yield heard
            while not (self._news.is_over or reading.done()):
                told, heard = self._pages.told, self._since(wanted, after, most)
                if not heard.rows and not heard.missed:
                    await self._pages.wait(told)
                    heard = self._since(wanted, after, most)
                after = heard.seq
                yield heard
        finally:
            self.readers[reader] -= 1

    async def _begin(self, after: int) -> "asyncio.Task[None]":
        """The task that reads, which the first reader starts."""
        async with self._beginning:
            if self._task is None or self._task.done():
                self._rows, self._seq = [], max(after, await self._store.count_entries() - AT_ONCE)
                self._task = asyncio.create_task(self._read())
            return self._task

    def _since(self, wanted: Filter, after: int, most: int) -> Heard:
        """What a reader has not heard of what was read. Its rows are as the ledger's, one number after another."""
        first = self._seq - len(self._rows) + 1
        rows = self._rows[max(0, after + 1 - first) :]
        if wanted != EVERYTHING:
            rows = [row for row in rows if wanted.matches(*row)]
        passed = max(0, first - 1 - after) if self._seq > after else 0
        return Heard(rows[-most:], max(self._seq, after), passed + len(rows[:-most]))

    async def _catch_up(self, wanted: Filter, after: int, most: int) -> AsyncGenerator[Heard, None]:
        """What was committed while a reader was away, or before anybody listened."""
        until, begin = self._seq, max(after, self._seq - LOOK_BACK)
        missed = begin - after
        while begin < until and not self._news.is_over:
            page = await self._store.read_entries_after(wanted, begin, AT_ONCE)
            assert page.next_seq is not None
            begin = page.next_seq
            yield Heard(page.rows[-most:], begin, missed + len(page.rows[:-most]))
            missed = 0

    async def _read(self) -> None:
        """Read the newest rows again and again, and tell everybody; until nobody listens, or the file cannot be."""
        with suppress(StoreError):
            await self._read_on()
        self._pages.tell()

    async def _read_on(self) -> None:
        while self.readers.total() and not self._news.is_over:
            told, newest = self._news.told, await self._store.count_entries()
            if newest > self._seq:
                page = await self._store.read_entries_after(EVERYTHING, max(self._seq, newest - AT_ONCE), AT_ONCE)
                assert page.next_seq is not None
                # A reader who is a little late shall find these as well, but not if rows between were passed over.
                kept = self._rows if page.rows[0].entry.seq == self._seq + 1 else []
                self._rows, self._seq = [*kept, *page.rows][-4 * AT_ONCE :], page.next_seq
                self._pages.tell()
                await asyncio.sleep(EYE_S)
            else:
                await self._news.wait(told)
