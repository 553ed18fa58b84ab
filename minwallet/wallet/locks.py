"""Asyncio locks per player, which exist only while they are held or waited for."""

import asyncio


class _CountedLock(asyncio.Lock):
    user_count = 0


class PlayerLocks:
    """A lock per player. Any task may release it, so a lock can outlive the request that acquired it.

    Waiters get the lock in order of arrival.
    """

    def __init__(self) -> None:
        self._locks: dict[int, _CountedLock] = {}

    def __len__(self) -> int:
        return len(self._locks)

    async def acquire(self, player_key: int) -> None:
        """Wait until the player's lock is free and take it. A cancelled waiter leaves nothing in memory."""
        lock = self._locks.get(player_key)
        if lock is None:
            lock = self._locks[player_key] = _CountedLock()
        lock.user_count += 1
        try:
            await lock.acquire()
        except BaseException:  # a cancellation too, which is not an Exception
            self._drop_user(player_key, lock)
            raise

    def release(self, player_key: int) -> None:
        """Release the player's lock to the next waiter."""
        lock = self._locks[player_key]
        lock.release()
        self._drop_user(player_key, lock)

    def _drop_user(self, player_key: int, lock: _CountedLock) -> None:
        lock.user_count -= 1
        if not lock.user_count:
            del self._locks[player_key]
