"""Locks per player, which exist only while they are used."""

import asyncio
from contextlib import suppress

import pytest

from minwallet.wallet.locks import PlayerLocks

pytestmark = pytest.mark.anyio


async def test_waiters_are_served_in_the_order_they_came() -> None:
    """Another player's lock does not block them."""
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


async def test_an_idle_lock_is_forgotten() -> None:
    """A million players who played once cost nothing."""
    locks = PlayerLocks()
    for player in range(100):
        await locks.acquire(player)
    assert len(locks) == 100
    for player in range(100):
        locks.release(player)
    assert len(locks) == 0


async def test_a_waiter_that_is_cancelled_leaves_no_trace() -> None:
    """The one behind it gets the lock, and in the end it is forgotten."""
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
