"""Locks per player, which exist only while they are used."""

import asyncio
from contextlib import suppress

from minwallet.wallet.locks import PlayerLocks


def test_waiters_are_served_in_the_order_they_came() -> None:
    """Another player's lock does not block them."""

    async def run() -> None:
        locks, served = PlayerLocks(), list[int]()

        async def take_turn(number: int) -> None:
            await locks.acquire(1)
            served.append(number)
            await asyncio.sleep(0)
            locks.release(1)

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(take_turn(number))
            await locks.acquire(2)
            locks.release(2)
        assert served == list(range(20))

    asyncio.run(run())


def test_an_idle_lock_is_forgotten() -> None:
    """Players who are no longer served use no memory."""

    async def run() -> None:
        locks = PlayerLocks()
        for player in range(100):
            await locks.acquire(player)
        assert len(locks) == 100
        for player in range(100):
            locks.release(player)
        assert len(locks) == 0

    asyncio.run(run())


def test_a_waiter_that_is_cancelled_leaves_no_trace() -> None:
    """The next waiter gets the lock, and afterwards the lock is removed."""

    async def run() -> None:
        locks = PlayerLocks()
        await locks.acquire(1)
        gone, next_ = asyncio.ensure_future(locks.acquire(1)), asyncio.ensure_future(locks.acquire(1))
        await asyncio.sleep(0)
        gone.cancel()
        locks.release(1)
        await next_
        with suppress(asyncio.CancelledError):
            await gone
        locks.release(1)
        assert len(locks) == 0

    asyncio.run(run())
