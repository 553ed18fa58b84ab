"""What takes a while to read: read anew only so often, however many ask."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class Fresh(Generic[T]):
    """What `read` said, no longer than `fresh_s` ago. Whoever asks meanwhile waits for the same reading."""

    def __init__(self, read: Callable[[], Awaitable[T]], fresh_s: float) -> None:
        self._read = read
        self._fresh_s = fresh_s
        self._found: T | None = None
        self._read_at_s = 0.0
        self._reading = asyncio.Lock()

    async def get(self) -> T:
        """May raise what `read` raises."""
        async with self._reading:
            if self._found is None or monotonic() - self._read_at_s > self._fresh_s:
                self._found = await self._read()
                self._read_at_s = monotonic()
            return self._found
