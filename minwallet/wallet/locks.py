"""One asyncio lock per player, kept only as long as somebody holds it or waits for it."""

import asyncio


class _CountedLock(asyncio.Lock):
    user_count = 0


class PlayerLocks:
    """`await acquire(player)`, later `release(player)`, by whomever: a lock may outlive the request that took it.

    Waiters are served in the order in which they came.
    """

    def __init__(self) -> None:
        self._locks: dict[int, _CountedLock] = {}

    def __len__(self) -> int:
        return len(self._locks)

    async def acquire(self, player_key: int) -> None:
        """Wait for the player's turn. A waiter that is cancelled leaves nothing behind."""
        lock = self._locks.get(player_key)
        if lock is None:
            lock = self._locks[player_key] = _CountedLock()
        lock.user_count += 1
        try:
            await lock.acquire()
        except BaseException:
            self._drop_user(player_key, lock)
            raise

    def release(self, player_key: int) -> None:
        """The next waiter's turn."""
        lock = self._locks[player_key]
        lock.release()
        self._drop_user(player_key, lock)

    def _drop_user(self, player_key: int, lock: _CountedLock) -> None:
        lock.user_count -= 1
        if not lock.user_count:
            del self._locks[player_key]
