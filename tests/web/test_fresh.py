"""What takes a while to read is not read more often than it must be."""

import asyncio
from itertools import count

import pytest

from minwallet.web import fresh
from minwallet.web.fresh import Fresh


def test_it_is_read_anew_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who ask together wait for one reading, and it serves until it is too old; one that failed serves nobody."""
    now_s, numbers = 1000.0, count(1)
    monkeypatch.setattr(fresh, "monotonic", lambda: now_s)

    async def read() -> int:
        await asyncio.sleep(0)
        number = next(numbers)
        if number == 3:
            raise OSError("gone")
        return number

    async def run() -> None:
        nonlocal now_s
        figures = Fresh(read, 10)
        assert await asyncio.gather(*(figures.get() for _ in range(5))) == [1] * 5
        now_s += 9
        assert await figures.get() == 1
        now_s += 2
        assert await figures.get() == 2
        now_s += 11
        with pytest.raises(OSError, match="gone"):
            await figures.get()
        assert await figures.get() == 4

    asyncio.run(run())
