"""The cache of slow reads."""

import asyncio
from itertools import count

import pytest

from minwallet.web import ttl_cache
from minwallet.web.ttl_cache import AsyncTTLCache


@pytest.mark.anyio
async def test_a_value_is_loaded_once_per_ttl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent callers share one read. Its value is used until it expires, and a failed read is not cached."""
    now_s, numbers = 1000.0, count(1)
    monkeypatch.setattr(ttl_cache, "monotonic", lambda: now_s)

    async def read() -> int:
        await asyncio.sleep(0)
        number = next(numbers)
        if number == 3:
            raise OSError("gone")
        return number

    cache = AsyncTTLCache(read, 10)
    assert await asyncio.gather(*(cache.get() for _ in range(5))) == [1] * 5
    now_s += 9
    assert await cache.get() == 1
    now_s += 2
    assert await cache.get() == 2
    now_s += 11
    with pytest.raises(OSError, match="gone"):
        await cache.get()
    assert await cache.get() == 4
