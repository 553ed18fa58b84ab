"""Execution of commands: admission, session, player's lock, batch, answer after the commit.

Theory of operation. A provider call takes these steps, and each may end it:

1. Admission: above the limit of calls in flight it is rejected (`Unavailable`).
2. Session: the token identifies the account. An unknown token is an outcome, `SessionUnknown`.
3. Disk: while free space is low, a new bet is rejected. A retry is still answered, by a dry run of the decision.
4. Lock: the command waits for the earlier ones of its player.
5. Batch: it joins the next transaction. The store reads the snapshot, decides and writes in that transaction, so no
   decision depends on something read before.
6. Answer: the outcome is returned after the commit.

A query takes no lock and no batch. It is decided by a dry run on a committed state.

Invariants kept here:

- The player's lock is held until the commit resolves, even if the request that took it is gone.
- A batch holds at most one command per player, because a command is submitted under its player's lock.
- `drain` ends only when every submitted command is decided, so a stopping server leaves none undecided.
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
from minwallet.wallet.backup_status import BackupStatus
from minwallet.wallet.batch import BatchWriter, OnCommit
from minwallet.wallet.callback_keys import CallbackKeys
from minwallet.wallet.disk_space import DiskSpaceMonitor
from minwallet.wallet.feed import CommitNotifier, LedgerFeed
from minwallet.wallet.locks import PlayerLocks
from minwallet.wallet.sessions import SessionCache


def clock_ms() -> int:
    """Return the current time in ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


class Unavailable(StoreError):
    """The call was rejected, nothing was written, and the same call may succeed later."""


class Wallet:
    """The only way to move money.

    Every method may raise StoreError. The outcome is then unknown, except after Unavailable, which writes nothing.

    Leaving its `async with` waits until all submitted commands are decided, and closes the store. `on_commit` is called
    after every commit. `settle_ms` is the time after a session's end in which a win without a standing bet is paid.
    """

    def __init__(
        self,
        store: Store,
        clock_ms: Callable[[], int] = clock_ms,
        *,
        min_free_bytes: int = 0,
        settle_ms: int = 0,
        on_commit: OnCommit = lambda commands, seconds: None,
    ) -> None:
        self.store = store
        self.clock_ms = clock_ms
        self.locks = PlayerLocks()
        self._limiter = ConcurrencyLimiter()
        self._settle_ms = settle_ms
        self.disk_space = DiskSpaceMonitor(store, min_free_bytes)
        self.backup_status = BackupStatus(clock_ms)
        self._session_cache = SessionCache(store)
        self.callback_keys = CallbackKeys(store)
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
        """The number of provider calls that have started and are not answered yet."""
        return self._limiter.in_flight

    async def execute(
        self,
        token: str,
        command: Command,
        protocol: str,
        *,
        ids_per_currency: bool,
        wallet_token: str | None = None,
        agent_id: int | None = None,
        journal: Callable[[Outcome], tuple[str, str]] | None = None,
    ) -> tuple[Outcome | SessionUnknown, SessionHolder | None]:
        """Execute a provider's command for the holder of `token`. Return the outcome and the holder.

        With `wallet_token` or `agent_id`, only that agent's sessions are known. `journal` is as in AccountCommand.
        Raise Unavailable if too many calls are in flight, or for a new bet while disk space is low.
        """
        limiter = self._limiter
        if limiter.in_flight >= MAX_IN_FLIGHT:
            raise Unavailable("too many calls in flight")
        limiter.in_flight += 1
        try:
            holder = await self._session_cache.find(token)
            if (
                holder is None
                or wallet_token not in (None, holder.wallet_token)
                or agent_id not in (None, holder.agent_id)
            ):
                return SessionUnknown(), None
            account_command = AccountCommand(
                command, protocol, holder.account_id, holder.session_id, ids_per_currency, journal, self._settle_ms
            )
            if not limiter.try_acquire(holder.player_key):
                raise Unavailable("too many calls in flight for one player")
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
        """Apply one command of this player after the earlier ones. Cancelling the caller does not stop it."""
        # The lock is released by the batch writer once the command is decided, not by this coroutine.
        await self.locks.acquire(player_key)
        return await self._batch_writer.submit(account_command, partial(self.locks.release, player_key))

    def _handle_commit(self, commands: int, seconds: float) -> None:
        self.commit_notifier.notify()
        self._on_commit(commands, seconds)

    def clear_session_cache(self) -> None:
        """Forget all cached session holders. Call this after a change of a wallet token, which holders contain."""
        self._session_cache.clear()

    async def drain(self) -> None:
        """Wait until every command that was submitted, or waits for its player's lock, is decided."""
        while len(self.locks):
            await self._batch_writer.drain()
            await asyncio.sleep(0)
