"""The live feed: what was committed, read from the file itself, so that it never shows what is not durable.

Whoever follows is told only that there is news, and looks for it; so a slow or a gone reader costs a bet nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from minwallet.storage.base import Store
from minwallet.storage.views import Filter, Listed

AT_ONCE = 200
"""How many rows are read at once."""

EYE_S, POLL_S, QUIET_S = 0.1, 0.2, 15


class News:
    """Wakes whoever waits for the next commit of this process."""

    def __init__(self) -> None:
        self.told = 0
        self.readers = 0
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

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count a reader for as long as the block lasts."""
        self.readers += 1
        try:
            yield
        finally:
            self.readers -= 1

    async def wait(self, told: int) -> None:
        """Until something was committed since `told`, or nothing for a while; not more often than the eye sees."""
        if self.told == told:
            if self._next is None:
                self._next = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._next}, timeout=QUIET_S)
        if not self.is_over:
            await asyncio.sleep(EYE_S)


class Polling:
    """The same for a process that only reads the file: it looks again and again."""

    told = 0
    is_over = False

    async def wait(self, told: int) -> None:
        del told
        await asyncio.sleep(POLL_S)


class Heard(NamedTuple):
    """New rows, oldest first; `seq` is how far was looked, `missed` how many rows were passed over before them."""

    rows: list[Listed]
    seq: int
    missed: int = 0


async def follow(
    store: Store, news: News | Polling, wanted: Filter, after: int, most_behind: int | None = None
) -> AsyncIterator[Heard]:
    """What is committed after the row `after`, until the news are over.

    Whoever falls behind by more than `most_behind` rows goes on with the newest. Yields without rows too, now and then,
    so that the caller can see whether anybody still listens.
    """
    while not news.is_over:
        told, newest, missed = news.told, await store.count_entries(), 0
        if most_behind is not None and newest - after > most_behind:
            missed, after = newest - AT_ONCE - after, newest - AT_ONCE
        if newest > after:
            page = await store.read_news(wanted, after, AT_ONCE)
            assert page.next is not None
            after = page.next
            yield Heard(page.rows, after, missed)
        else:
            await news.wait(told)
            yield Heard([], after)
