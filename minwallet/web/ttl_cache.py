"""Cache for the result of a slow async read, for a fixed time."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class AsyncTTLCache(Generic[T]):
    """The result of `load`, up to `ttl_s` seconds old.

    Concurrent callers of an expired value wait for one common load. A failed load is not cached.
    """

    def __init__(self, load: Callable[[], Awaitable[T]], ttl_s: float) -> None:
        self._load = load
        self._ttl_s = ttl_s
        self._value: T | None = None
        self._loaded_at_s = 0.0
        self._lock = asyncio.Lock()

    async def get(self) -> T:
        """Return the cached value, loaded again if it is too old. Raise what `load` raises."""
        async with self._lock:
            if self._value is None or monotonic() - self._loaded_at_s > self._ttl_s:
                self._value = await self._load()
                self._loaded_at_s = monotonic()
            return self._value
