"""One asyncio lock per player, kept only as long as somebody holds it or waits for it."""

import asyncio


class PlayerLocks:
    """`await acquire(player)`, later `release(player)`, by whomever: a lock may outlive the request that took it.

    Waiters are served in the order in which they came.
    """

    def __init__(self) -> None:
        self._locks: dict[int, asyncio.Lock] = {}
        self._users: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._locks)

    async def acquire(self, player_key: int) -> None:
        """Wait for the player's turn. A waiter that is cancelled leaves nothing behind."""
        lock = self._locks.setdefault(player_key, asyncio.Lock())
        self._users[player_key] = self._users.get(player_key, 0) + 1
        try:
            await lock.acquire()
        except BaseException:
            self._forget(player_key)
            raise

    def release(self, player_key: int) -> None:
        """The next waiter's turn."""
        self._locks[player_key].release()
        self._forget(player_key)

    def _forget(self, player_key: int) -> None:
        self._users[player_key] -= 1
        if not self._users[player_key]:
            del self._users[player_key], self._locks[player_key]
