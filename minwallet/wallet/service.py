"""Execution of commands: admission, session, player's lock, batch, answer after the commit.

Theory of operation. A provider call takes these steps, and each may end it:

1. Admission: above the limit of calls in flight it is rejected (`Unavailable`).
2. Account: the session's token identifies it. Without a token, the agent, the player and the currency do, if the
   caller is known to be the agent's provider. An unknown account is an outcome, `Unauthenticated`, and so is a request
   that contradicts its session.
3. Disk: while free space is low, a new bet is rejected, alone or in a group. A retry is still answered, by a dry run of
   the decision.
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
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

from minwallet.ledger.commands import Bet, BetWin, Command, Group, Query
from minwallet.ledger.entries import Refusal
from minwallet.ledger.outcomes import Outcome, Unauthenticated, list_new_entries
from minwallet.storage.errors import StoreError
from minwallet.storage.models import AccountCommand, JournalRow, SessionHolder
from minwallet.storage.store import Store
from minwallet.wallet.admission import MAX_IN_FLIGHT, ConcurrencyLimiter
from minwallet.wallet.backup_status import BackupStatus
from minwallet.wallet.batch import BatchWriter, OnCommit
from minwallet.wallet.callback_keys import CallbackKeys
from minwallet.wallet.disk_space import DiskSpaceMonitor
from minwallet.wallet.feed import CommitNotifier, LedgerFeed
from minwallet.wallet.locks import PlayerLocks
from minwallet.wallet.protocol_secrets import ProtocolSecrets
from minwallet.wallet.sessions import SessionCache


def clock_ms() -> int:
    """Return the current time in ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


def _contains_bet(command: Command) -> bool:
    return isinstance(command, (Bet, BetWin)) or (
        isinstance(command, Group) and any(map(_contains_bet, command.commands))
    )


OnOutcome = Callable[[SessionHolder, Outcome], None]


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
        self.protocol_secrets = ProtocolSecrets(store)
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
        player_id: str = "",
        currency: str = "",
        on_committed: OnOutcome | None = None,
    ) -> tuple[Outcome | Unauthenticated, SessionHolder | None]:
        """Execute a provider's command for the account that the call names. Return the outcome and the holder.

        - `token`: the session's token. If it is "", the account is that of `player_id` and `currency` at `agent_id`,
          which must be known from a secret: a signature or a callback key.
        - `wallet_token`, `agent_id`: only this agent's sessions and players are known.
        - `player_id`, `currency`: what the request says about the account of its session, "" if it says nothing.
        - `on_committed`: called after the commit, as in AccountCommand. It is not called for a query, or while disk
          space is low.

        Return Unauthenticated and None if that account does not exist.
        Raise Unavailable if too many calls are in flight, or for a new bet while disk space is low.
        """
        limiter = self._limiter
        if limiter.in_flight >= MAX_IN_FLIGHT:
            raise Unavailable("too many calls in flight")
        limiter.in_flight += 1
        try:
            holder = await (
                self._session_cache.find(token) if token else self._find_account(agent_id, player_id, currency)
            )
            if not isinstance(holder, SessionHolder):
                return Unauthenticated(holder or Refusal.SESSION_UNKNOWN), None
            if wallet_token not in (None, holder.wallet_token) or agent_id not in (None, holder.agent_id):
                return Unauthenticated(Refusal.SESSION_UNKNOWN if token else Refusal.PLAYER_UNKNOWN), None
            if player_id not in ("", holder.player_id):
                return Unauthenticated(Refusal.PLAYER_MISMATCH), None
            if currency not in ("", holder.currency):
                return Unauthenticated(Refusal.CURRENCY_MISMATCH), None
            account_command = AccountCommand(
                command,
                protocol,
                holder.account_id,
                holder.session_id,
                ids_per_currency,
                self._settle_ms,
                partial(on_committed, holder) if on_committed else None,
            )
            if not limiter.try_acquire(holder.player_key):
                raise Unavailable("too many calls in flight for one player")
            try:
                return await self._execute_admitted(account_command, holder.player_key), holder
            finally:
                limiter.release(holder.player_key)
        finally:
            limiter.in_flight -= 1

    async def _find_account(self, agent_id: int | None, player_id: str, currency: str) -> SessionHolder | Refusal:
        """Return the account that a call without a session names, or why there is none."""
        # Neither a player's id nor a wallet token is secret: each launch URL contains the wallet token.
        if agent_id is None or not player_id:
            return Refusal.SESSION_UNKNOWN
        holder = await self._session_cache.find_account(agent_id, player_id, currency)
        if holder is not None:
            return holder
        has_player = await self._session_cache.has_player(agent_id, player_id)
        return Refusal.CURRENCY_MISMATCH if has_player else Refusal.PLAYER_UNKNOWN

    async def _execute_admitted(self, account_command: AccountCommand, player_key: int) -> Outcome:
        if isinstance(account_command.command, Query):
            return await self.store.dry_run(account_command, self.clock_ms())
        if self.disk_space.shortage and _contains_bet(account_command.command):
            return await self._replay_only(account_command)
        return await self.submit(account_command, player_key)

    async def _replay_only(self, account_command: AccountCommand) -> Outcome:
        """Return the outcome of a command that writes nothing, such as a retry. Raise Unavailable for any other."""
        outcome = await self.store.dry_run(account_command, self.clock_ms())
        if list_new_entries(outcome):
            raise Unavailable(self.disk_space.shortage)
        return outcome

    async def submit(self, account_command: AccountCommand, player_key: int) -> Outcome:
        """Apply one command of this player after the earlier ones. Cancelling the caller does not stop it."""
        # The lock is released by the batch writer once the command is decided, not by this coroutine.
        await self.locks.acquire(player_key)
        return await self._batch_writer.submit(account_command, partial(self.locks.release, player_key))

    def add_to_journal(self, rows: Sequence[JournalRow]) -> None:
        """Store the requests and replies of entries soon, with the next commit or shortly after."""
        self._batch_writer.add_to_journal(rows)

    async def flush_journal(self) -> None:
        """Wait until the journal has all requests and replies so far."""
        await self._batch_writer.flush_journal()

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
        await self._batch_writer.flush_journal()
