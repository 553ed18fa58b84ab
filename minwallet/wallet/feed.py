"""The live feed of committed ledger entries.

Theory of operation. A commit only increments a version and wakes waiters (`CommitNotifier.notify`). Rows are read from
the store afterwards. So the feed never shows a row that is not durable, and a slow or vanished subscriber costs a bet
nothing.

Notify or poll. In the process that writes, `CommitNotifier` ends a wait at the next commit. Another process, such as
`minwallet tail` beside a server, cannot be notified; its `PollingNotifier` simply sleeps, and the loop reads again. A
wait also ends after HEARTBEAT_S without a commit. The feed then yields an empty batch, which gives the caller the
chance to see that its client has gone. A reader takes the version before it reads, so a commit during the read ends
the next wait immediately and is not lost.

One reader for all subscribers. In a server (`LedgerFeed`) one task reads the newest rows at most once per MIN_REFRESH_S
and keeps them in a window. Each subscriber filters that window for itself. The task runs only while there are
subscribers. It ends at a StoreError; its subscriptions then end too, and clients connect again.

Order. Rows are delivered in order of `seq`, each at most once per subscription. `FeedBatch.seq` is the position: all
rows up to it were delivered, filtered out or counted as missed. A client that reconnects passes it as `after`.

Missed rows. Nothing is buffered per subscriber. If more than BATCH_SIZE rows are committed between two reads, only the
newest BATCH_SIZE are read. A subscriber behind the window, or with more than `max_rows` new rows, gets only the newest.
A subscriber that comes back gets at most the newest MAX_BACKLOG rows. In each case `FeedBatch.missed` has the number of
rows passed over. Rows that were never looked at count too, although the filter might not match them.
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
"""How many rows one read returns. If there are more, the newest are read."""

NO_FILTER = Filter()

MAX_BACKLOG = 20_000
"""How many of the newest rows a returning subscriber can still get."""

MIN_REFRESH_S, POLL_INTERVAL_S, HEARTBEAT_S = 0.25, 0.2, 2


class CommitNotifier:
    """Wakes all tasks that wait for the next commit of this process."""

    def __init__(self) -> None:
        self.version = 0
        self.is_closed = False
        self._waiter: asyncio.Future[None] | None = None

    def notify(self) -> None:
        """Increment the version and wake the waiters. This runs after every commit, so it does next to nothing."""
        self.version += 1
        if self._waiter is not None:
            self._waiter.set_result(None)
            self._waiter = None

    def close(self) -> None:
        """End all feeds: a stopping server waits for its responses, and an open feed never ends otherwise."""
        self.is_closed = True
        self.notify()

    async def wait(self, version: int) -> None:
        """Wait for a commit after `version`, up to HEARTBEAT_S."""
        if self.version == version and not self.is_closed:
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._waiter}, timeout=HEARTBEAT_S)


class PollingNotifier:
    """The counterpart of CommitNotifier in a process that only reads: it waits for a fixed time."""

    version = 0
    is_closed = False

    async def wait(self, version: int) -> None:
        del version
        await asyncio.sleep(POLL_INTERVAL_S)


class FeedBatch(NamedTuple):
    """New rows, oldest first. `seq` is the position after them, `missed` the number of rows passed over before them."""

    rows: list[OwnedEntry]
    seq: int
    missed: int = 0


async def follow(store: Store, notifier: PollingNotifier, row_filter: Filter, after: int) -> AsyncIterator[FeedBatch]:
    """Yield all matching rows committed after row `after`, until the notifier is closed.

    Yield empty batches too, so that the caller can check whether its client is still connected.
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
    """The feed of a server: the newest rows are read once for all subscribers, and only while there are any.

    `open_streams` counts the streams by name of their subscriber, for the limit of `web/sse.py`.
    """

    def __init__(self, store: Store, notifier: CommitNotifier) -> None:
        self.open_streams: Counter[str] = Counter()
        self._subscriptions = 0
        self._store = store
        self._notifier = notifier
        self._batch_notifier = CommitNotifier()
        self._rows: list[OwnedEntry] = []
        self._seq = 0
        self._start_lock = asyncio.Lock()
        self._reader_task: asyncio.Task[None] | None = None

    async def subscribe(
        self, row_filter: Filter, after: int, max_rows: int = BATCH_SIZE
    ) -> AsyncGenerator[FeedBatch, None]:
        """Yield matching rows committed after row `after`, up to `max_rows` per batch, until the notifier is closed.

        Yield empty batches too. A subscriber that is too slow, or comes back late, gets the number of missed rows.
        """
        self._subscriptions += 1
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
            self._subscriptions -= 1

    async def _ensure_reader_task(self, after: int) -> "asyncio.Task[None]":
        """Return the task that reads. The first subscriber starts it."""
        async with self._start_lock:
            if self._reader_task is None or self._reader_task.done():
                self._rows, self._seq = [], max(after, await self._store.ledger.count_entries() - BATCH_SIZE)
                self._reader_task = asyncio.create_task(self._run_reader())
            return self._reader_task

    def _select_rows_after(self, row_filter: Filter, after: int, max_rows: int) -> FeedBatch:
        """Return the rows of the window after row `after` that match, the newest `max_rows` of them."""
        # The rows of the window have consecutive numbers, so the position in the list follows from the number.
        first = self._seq - len(self._rows) + 1
        rows = self._rows[max(0, after + 1 - first) :]
        if row_filter != NO_FILTER:
            rows = [row for row in rows if row_filter.matches(*row)]
        skipped = max(0, first - 1 - after) if self._seq > after else 0
        return FeedBatch(rows[-max_rows:], max(self._seq, after), skipped + len(rows[:-max_rows]))

    async def _read_backlog(self, row_filter: Filter, after: int, max_rows: int) -> AsyncGenerator[FeedBatch, None]:
        """Yield the rows between `after` and the window, in pages from the store."""
        until, position = self._seq, max(after, self._seq - MAX_BACKLOG)
        missed = position - after
        while position < until and not self._notifier.is_closed:
            page = await self._store.ledger.read_entries_after(row_filter, position, BATCH_SIZE)
            assert page.next_seq is not None
            position = page.next_seq
            yield FeedBatch(page.rows[-max_rows:], position, missed + len(page.rows[:-max_rows]))
            missed = 0

    async def _run_reader(self) -> None:
        """Read the newest rows into the window until there are no subscribers, or the store fails."""
        with suppress(StoreError):
            await self._poll_new_rows()
        self._batch_notifier.notify()

    async def _poll_new_rows(self) -> None:
        while self._subscriptions and not self._notifier.is_closed:
            version, newest = self._notifier.version, await self._store.ledger.count_entries()
            if newest > self._seq:
                page = await self._store.ledger.read_entries_after(
                    NO_FILTER, max(self._seq, newest - BATCH_SIZE), BATCH_SIZE
                )
                assert page.next_seq is not None
                # Older rows stay for subscribers that are a little late. After a gap they must go, because the
                # window has to be without gaps.
                kept = self._rows if page.rows[0].entry.seq == self._seq + 1 else []
                self._rows, self._seq = [*kept, *page.rows][-4 * BATCH_SIZE :], page.next_seq
                self._batch_notifier.notify()
                await asyncio.sleep(MIN_REFRESH_S)
            else:
                await self._notifier.wait(version)
