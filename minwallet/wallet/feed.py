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

BATCH_SIZE = 500
"""How many rows are read at once. Of more, the newest are."""

NO_FILTER = Filter()

MAX_BACKLOG = 20_000
"""How far back somebody is shown what was committed meanwhile."""

MIN_REFRESH_S, POLL_INTERVAL_S, HEARTBEAT_S = 0.25, 0.2, 2


class CommitNotifier:
    """Wakes whoever waits for the next commit of this process."""

    def __init__(self) -> None:
        self.version = 0
        self.is_closed = False
        self._waiter: asyncio.Future[None] | None = None

    def notify(self) -> None:
        """Something was committed. This costs next to nothing while nobody waits."""
        self.version += 1
        if self._waiter is not None:
            self._waiter.set_result(None)
            self._waiter = None

    def close(self) -> None:
        """There will be no more; whoever reads is let go."""
        self.is_closed = True
        self.notify()

    async def wait(self, version: int) -> None:
        """Until something was committed since `version`, or nothing for a while."""
        if self.version == version and not self.is_closed:
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._waiter}, timeout=HEARTBEAT_S)


class PollingNotifier:
    """The same for a process that only reads the file: it looks again and again."""

    version = 0
    is_closed = False

    async def wait(self, version: int) -> None:
        del version
        await asyncio.sleep(POLL_INTERVAL_S)


class FeedBatch(NamedTuple):
    """New rows, oldest first; `seq` is how far was looked, `missed` how many rows were passed over before them."""

    rows: list[OwnedEntry]
    seq: int
    missed: int = 0


async def follow(store: Store, notifier: PollingNotifier, row_filter: Filter, after: int) -> AsyncIterator[FeedBatch]:
    """All that is committed after the row `after`, until the news are over. Yields without rows too, now and then, so
    that the caller can see whether anybody still listens.
    """
    while not notifier.is_closed:
        version, newest = notifier.version, await store.ledger.count_entries()
        if newest > after:
            page = await store.ledger.read_entries_after(row_filter, after, BATCH_SIZE)
            assert page.next_seq is not None
            after = page.next_seq
            yield FeedBatch(page.rows, after)
        else:
            await notifier.wait(version)
            yield FeedBatch([], after)


class LedgerFeed:
    """What a server's readers hear. The newest rows are read once, however many listen, and only while anybody does.

    `subscribers` counts those who listen, by who they are.
    """

    def __init__(self, store: Store, notifier: CommitNotifier) -> None:
        self.subscribers: Counter[str] = Counter()
        self._store = store
        self._notifier = notifier
        self._batch_notifier = CommitNotifier()
        self._rows: list[OwnedEntry] = []
        self._seq = 0
        self._start_lock = asyncio.Lock()
        self._reader_task: asyncio.Task[None] | None = None

    async def subscribe(
        self, row_filter: Filter, after: int, max_rows: int = BATCH_SIZE, subscriber: str = ""
    ) -> AsyncGenerator[FeedBatch, None]:
        """What is committed after the row `after`, the newest `most` at a time, until the news are over.

        Yields without rows too, now and then. Whoever falls behind, or comes back after very long, is told how many
        rows of the ledger were passed over.
        """
        self.subscribers[subscriber] += 1
        try:
            reader_task = await self._ensure_reader_task(after)
            async with aclosing(self._read_backlog(row_filter, after, max_rows)) as backlog:
                async for batch in backlog:
                    after = batch.seq
                    yield batch
            while not (self._notifier.is_closed or reader_task.done()):
                version, batch = self._batch_notifier.version, self._select_rows_after(row_filter, after, max_rows)
                if not batch.rows and not batch.missed:
                    await self._batch_notifier.wait(version)
                    batch = self._select_rows_after(row_filter, after, max_rows)
                after = batch.seq
                yield batch
        finally:
            self.subscribers[subscriber] -= 1

    async def _ensure_reader_task(self, after: int) -> "asyncio.Task[None]":
        """The task that reads, which the first reader starts."""
        async with self._start_lock:
            if self._reader_task is None or self._reader_task.done():
                self._rows, self._seq = [], max(after, await self._store.ledger.count_entries() - BATCH_SIZE)
                self._reader_task = asyncio.create_task(self._run_reader())
            return self._reader_task

    def _select_rows_after(self, row_filter: Filter, after: int, max_rows: int) -> FeedBatch:
        """What a reader has not heard of what was read. Its rows are as the ledger's, one number after another."""
        first = self._seq - len(self._rows) + 1
        rows = self._rows[max(0, after + 1 - first) :]
        if row_filter != NO_FILTER:
            rows = [row for row in rows if row_filter.matches(*row)]
        skipped = max(0, first - 1 - after) if self._seq > after else 0
        return FeedBatch(rows[-max_rows:], max(self._seq, after), skipped + len(rows[:-max_rows]))

    async def _read_backlog(self, row_filter: Filter, after: int, max_rows: int) -> AsyncGenerator[FeedBatch, None]:
        """What was committed while a reader was away, or before anybody listened."""
        until, position = self._seq, max(after, self._seq - MAX_BACKLOG)
        missed = position - after
        while position < until and not self._notifier.is_closed:
            page = await self._store.ledger.read_entries_after(row_filter, position, BATCH_SIZE)
            assert page.next_seq is not None
            position = page.next_seq
            yield FeedBatch(page.rows[-max_rows:], position, missed + len(page.rows[:-max_rows]))
            missed = 0

    async def _run_reader(self) -> None:
        """Read the newest rows again and again, and tell everybody; until nobody listens, or the file cannot be."""
        with suppress(StoreError):
            await self._poll_new_rows()
        self._batch_notifier.notify()

    async def _poll_new_rows(self) -> None:
        while self.subscribers.total() and not self._notifier.is_closed:
            version, newest = self._notifier.version, await self._store.ledger.count_entries()
            if newest > self._seq:
                page = await self._store.ledger.read_entries_after(
                    NO_FILTER, max(self._seq, newest - BATCH_SIZE), BATCH_SIZE
                )
                assert page.next_seq is not None
                # A reader who is a little late shall find these as well, but not if rows between were passed over.
                kept = self._rows if page.rows[0].entry.seq == self._seq + 1 else []
                self._rows, self._seq = [*kept, *page.rows][-4 * BATCH_SIZE :], page.next_seq
                self._batch_notifier.notify()
                await asyncio.sleep(MIN_REFRESH_S)
            else:
                await self._notifier.wait(version)
