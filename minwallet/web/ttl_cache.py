"""What takes a while to read: read anew only so often, however many ask."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class AsyncTTLCache(Generic[T]):
    """What `read` said, no longer than `ttl_s` ago. Whoever asks meanwhile waits for the same reading."""

    def __init__(self, load: Callable[[], Awaitable[T]], ttl_s: float) -> None:
        self._load = load
        self._ttl_s = ttl_s
        self._value: T | None = None
        self._loaded_at_s = 0.0
        self._lock = asyncio.Lock()

    async def get(self) -> T:
        """May raise what `read` raises."""
        async with self._lock:
            if self._value is None or monotonic() - self._loaded_at_s > self._ttl_s:
                self._value = await self._load()
                self._loaded_at_s = monotonic()
            return self._value
