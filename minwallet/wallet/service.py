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
from minwallet.wallet.admission import MAX_IN_FLIGHT, ConcurrencyLimiter
from minwallet.wallet.batch import BatchWriter, OnCommit
from minwallet.wallet.disk_space import DiskSpaceMonitor
from minwallet.wallet.feed import CommitNotifier, LedgerFeed
from minwallet.wallet.locks import PlayerLocks
from minwallet.wallet.sessions import SessionCache


def clock_ms() -> int:
    """Now, in ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


class Unavailable(StoreError):
    """The wallet takes no such call at the moment. Nothing of it is kept, and the same call may succeed later."""


class Wallet:
    """The one door to the money. Every method may raise StoreError: then nobody knows more than that it failed.

    Within an `async with` it is open; in the end what was submitted is decided, and the store is closed. `on_commit` is
    told of every commit.
    """

    def __init__(
        self,
        store: Store,
        clock_ms: Callable[[], int] = clock_ms,
        *,
        min_free_bytes: int = 0,
        on_commit: OnCommit = lambda orders, seconds: None,
    ) -> None:
        self.store = store
        self.clock_ms = clock_ms
        self.locks = PlayerLocks()
        self._limiter = ConcurrencyLimiter()
        self.disk_space = DiskSpaceMonitor(store, min_free_bytes)
        self._session_cache = SessionCache(store)
        self.commit_notifier = CommitNotifier()
        self.feed = LedgerFeed(store, self.commit_notifier)
        self._on_commit = on_commit
        self._batch_writer = BatchWriter(store, clock_ms, self._handle_commit)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()
        await self.store.close()

    @property
    def calls_in_flight(self) -> int:
        """How many providers' calls are begun and not yet answered."""
        return self._limiter.in_flight

    async def execute(
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

        With `wallet_token`, only that agent's sessions are known. `journal` as in AccountCommand. Raise Unavailable
        where too many calls are in flight, or for a new bet where the disk runs low.
        """
        limiter = self._limiter
        if limiter.in_flight >= MAX_IN_FLIGHT:
            raise Unavailable("too many calls at once")
        limiter.in_flight += 1
        try:
            holder = await self._session_cache.find(token)
            if holder is None or wallet_token not in (None, holder.wallet_token):
                return SessionUnknown(), None
            account_command = AccountCommand(
                command, protocol, holder.account_id, holder.session_id, ids_per_currency, journal
            )
            if not limiter.try_acquire(holder.player_key):
                raise Unavailable("too many calls of one player at once")
            try:
                return await self._execute_admitted(account_command, holder.player_key), holder
            finally:
                limiter.release(holder.player_key)
        finally:
            limiter.in_flight -= 1

    async def _execute_admitted(self, account_command: AccountCommand, player_key: int) -> Outcome:
        if isinstance(account_command.command, Query):
            return await self.store.dry_run(account_command, self.clock_ms())
        if self.disk_space.shortage and isinstance(account_command.command, (Bet, BetWin)):
            return await self._replay_only(account_command)
        return await self.submit(account_command, player_key)

    async def _replay_only(self, account_command: AccountCommand) -> Outcome:
        """Return the outcome of a command that writes nothing, such as a retry. Raise Unavailable for any other."""
        outcome = await self.store.dry_run(account_command, self.clock_ms())
        if isinstance(outcome, (Applied, Refused)) and outcome.entry:
            raise Unavailable(self.disk_space.shortage)
        return outcome

    async def submit(self, account_command: AccountCommand, player_key: int) -> Outcome:
        """Apply one order of this player after those before it. The order goes on if the caller is cancelled."""
        await self.locks.acquire(player_key)
        return await self._batch_writer.submit(account_command, partial(self.locks.release, player_key))

    def _handle_commit(self, commands: int, seconds: float) -> None:
        self.commit_notifier.notify()
        self._on_commit(commands, seconds)

    def clear_session_cache(self) -> None:
        """To be called when an agent's wallet token has changed, which a remembered bearer has as it was."""
        self._session_cache.clear()

    async def drain(self) -> None:
        """Wait until every order that was submitted, or waits for its player's lock, is decided."""
        while len(self.locks):
            await self._batch_writer.drain()
            await asyncio.sleep(0)
