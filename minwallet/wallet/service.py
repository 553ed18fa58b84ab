"""Execute a command: find who asks, wait for the player's lock, join a batch, answer after the commit.

The invariants that live here:

- the player's lock is held until the commit resolves, even if the request that took it is gone;
- a batch holds at most one order per player, because each order is submitted under its player's lock.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Self

from minwallet.ledger.commands import Bet, BetWin, Command, Query
from minwallet.ledger.outcomes import Applied, Outcome, Refused, SessionUnknown
from minwallet.storage.errors import StoreError
from minwallet.storage.models import AccountCommand, SessionHolder
from minwallet.storage.store import Store
from minwallet.wallet.batch import BatchWriter, Committed
from minwallet.wallet.crowd import MOST, Crowd
from minwallet.wallet.feed import Feed, News
from minwallet.wallet.locks import PlayerLocks
from minwallet.wallet.room import Room
from minwallet.wallet.sessions import Sessions


def clock_ms() -> int:
    """Now, in ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


class NotNow(StoreError):
    """The wallet takes no such call at the moment. Nothing of it is kept, and the same call may succeed later."""


class Wallet:
    """The one door to the money. Every method may raise StoreError: then nobody knows more than that it failed.

    Within an `async with` it is open; in the end what was submitted is decided, and the store is closed. `watch` is
    told of every commit.
    """

    def __init__(
        self,
        store: Store,
        clock_ms: Callable[[], int] = clock_ms,
        *,
        least_free_bytes: int = 0,
        watch: Committed = lambda orders, seconds: None,
    ) -> None:
        self.store = store
        self.clock_ms = clock_ms
        self.locks = PlayerLocks()
        self._crowd = Crowd()
        self.room = Room(store, least_free_bytes)
        self._sessions = Sessions(store)
        self.news = News()
        self.feed = Feed(store, self.news)
        self._watch = watch
        self._batch = BatchWriter(store, clock_ms, self._tell_of_commit)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()
        await self.store.close()

    @property
    def calls_in_hand(self) -> int:
        """How many providers' calls are begun and not yet answered."""
        return self._crowd.size

    async def call(
        self,
        token: str,
        command: Command,
        protocol: str,
        *,
        ids_per_currency: bool,
        wallet_token: str | None = None,
        journal: Callable[[Outcome], tuple[str, str]] | None = None,
    ) -> tuple[Outcome | SessionUnknown, SessionHolder | None]:
        """What comes of a provider's command for the bearer of `token`, and who that is.

        With `wallet_token`, only that agent's sessions are known. `journal` as in an Order. NotNow where too many calls
        are in hand already, or for a new bet where the disk runs low.
        """
        crowd = self._crowd
        if crowd.size >= MOST:
            raise NotNow("too many calls at once")
        crowd.size += 1
        try:
            bearer = await self._sessions.find(token)
            if bearer is None or wallet_token not in (None, bearer.wallet_token):
                return SessionUnknown(), None
            order = AccountCommand(command, protocol, bearer.account_id, bearer.session_id, ids_per_currency, journal)
            if not crowd.admit(bearer.player_key):
                raise NotNow("too many calls of one player at once")
            try:
                return await self._carry_out(order, bearer.player_key), bearer
            finally:
                crowd.leave(bearer.player_key)
        finally:
            crowd.size -= 1

    async def _carry_out(self, order: AccountCommand, player_key: int) -> Outcome:
        if isinstance(order.command, Query):
            return await self.store.dry_run(order, self.clock_ms())
        if self.room.shortage and isinstance(order.command, (Bet, BetWin)):
            return await self._repeat(order)
        return await self.move(order, player_key)

    async def _repeat(self, order: AccountCommand) -> Outcome:
        """The outcome of an order that writes nothing, such as one that was decided before. NotNow for any other."""
        outcome = await self.store.dry_run(order, self.clock_ms())
        if isinstance(outcome, (Applied, Refused)) and outcome.entry:
            raise NotNow(self.room.shortage)
        return outcome

    async def move(self, order: AccountCommand, player_key: int) -> Outcome:
        """Apply one order of this player after those before it. The order goes on if the caller is cancelled."""
        await self.locks.acquire(player_key)
        return await self._batch.submit(order, partial(self.locks.release, player_key))

    def _tell_of_commit(self, orders: int, seconds: float) -> None:
        self.news.tell()
        self._watch(orders, seconds)

    def forget_bearers(self) -> None:
        """To be called when an agent's wallet token has changed, which a remembered bearer has as it was."""
        self._sessions.forget()

    async def drain(self) -> None:
        """Wait until every order that was submitted, or waits for its player's lock, is decided."""
        while len(self.locks):
            await self._batch.drain()
            await asyncio.sleep(0)
