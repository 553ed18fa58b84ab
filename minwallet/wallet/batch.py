"""Group commit: commands that arrive while one transaction is being synced share the next transaction.

Theory of operation. A commit waits for the disk (fsync), which takes far longer than all statements of a batch. So one
transaction carries the commands of many players, and the disk is waited for once.

- One task writes. It exists only while commands are pending; `submit` starts it. It takes up to MAX_BATCH_SIZE pending
  commands in order of arrival, applies them in one transaction, and repeats until none is pending.
- A batch holds at most one command per player: `Wallet.submit` holds the player's lock until the command is decided.
  Two players may still use the same transaction id. The store decides a batch in order, so the first one gets it.
- Outcomes are set only after the commit. A provider never gets an answer that a crash could undo.
- A waiter that was cancelled changes nothing: its command is applied, and `on_decided` is called in any case. That
  callback releases the player's lock, so a lock outlives the request that took it.

Idle ticks. A wave of calls arrives in one turn of the event loop or in a few. Without a pause, the first call would
start a commit of its own and the rest of the wave would wait for the next: two commits instead of one. So before a
commit the task waits until IDLE_TICKS turns in a row bring no new command. It does so only if the previous batch had
company (more than one command, or others pending after it). A lone caller is committed immediately.

Failures. A ConstraintViolation means that the file rejected one command of the batch, and the transaction is rolled
back. The commands are then applied again one by one, so only the faulty one fails. Any other fault fails the whole
batch: the outcome of its commands is unknown, and the provider has to repeat them. Every failure reaches the waiters as
a StoreError.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple

from minwallet.ledger.outcomes import Outcome
from minwallet.storage.errors import ConstraintViolation, StoreError
from minwallet.storage.models import AccountCommand
from minwallet.storage.store import Store

MAX_BATCH_SIZE = 512
"""The maximum of commands in one transaction. Larger batches are cheaper per command but answer the first one later."""

IDLE_TICKS = 4
"""How many turns of the event loop without a new command start a commit. They take some ten microseconds."""


class _Pending(NamedTuple):
    """A command, the future of its outcome, and the callback for when it is decided."""

    command: AccountCommand
    future: "asyncio.Future[Outcome]"
    on_decided: Callable[[], None]


OnCommit = Callable[[int, float], None]
"""Called after a commit with the number of commands and the seconds that the store took."""


class BatchWriter:
    """Collects commands into batches and writes them.

    The caller ensures that a player has at most one undecided command. `on_commit` is called after every commit.
    """

    def __init__(self, store: Store, clock_ms: Callable[[], int], on_commit: OnCommit) -> None:
        self._store = store
        self._on_commit = on_commit
        self._clock_ms = clock_ms
        self._pending: list[_Pending] = []
        self._task: asyncio.Task[None] | None = None
        self._is_contended = False

    def submit(self, command: AccountCommand, on_decided: Callable[[], None]) -> "asyncio.Future[Outcome]":
        """Return the future of the outcome, which fails with StoreError. Cancelling it does not stop the command.

        `on_decided` is called when the command is decided or has failed, even if the future was cancelled.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(command, future, on_decided))
        if self._task is None:
            self._task = asyncio.create_task(self._write_pending())
        return future

    async def drain(self) -> None:
        """Wait until everything submitted so far has been decided."""
        while self._task is not None:
            await asyncio.shield(self._task)

    async def _write_pending(self) -> None:
        try:
            while self._pending:
                if self._is_contended:
                    await self._wait_for_more()
                batch, self._pending = self._pending[:MAX_BATCH_SIZE], self._pending[MAX_BATCH_SIZE:]
                await self._write_batch(batch)
                # A command that was alone suggests low load, so the next one does not wait for others.
                self._is_contended = len(batch) + len(self._pending) > 1
        finally:
            self._task = None

    async def _wait_for_more(self) -> None:
        """Wait until IDLE_TICKS turns of the event loop in a row bring no new command, or the batch is full."""
        idle_ticks = 0
        while idle_ticks < IDLE_TICKS and len(self._pending) < MAX_BATCH_SIZE:
            before = len(self._pending)
            await asyncio.sleep(0)
            idle_ticks = idle_ticks + 1 if len(self._pending) == before else 0

    async def _write_batch(self, batch: Sequence[_Pending]) -> None:
        started = perf_counter()
        try:
            outcomes = await self._store.apply([pending.command for pending in batch], self._clock_ms())
        except ConstraintViolation as fault:
            if len(batch) > 1:
                # The transaction was rolled back, so each command can be applied again.
                for pending in batch:
                    await self._write_batch([pending])
            else:
                _fail_batch(batch, fault)
        except Exception as fault:
            _fail_batch(batch, fault)
        else:
            self._on_commit(len(batch), perf_counter() - started)
            for pending, outcome in zip(batch, outcomes, strict=True):
                pending.on_decided()
                if not pending.future.done():
                    pending.future.set_result(outcome)


def _fail_batch(batch: Sequence[_Pending], fault: Exception) -> None:
    for pending in batch:
        pending.on_decided()
        if not pending.future.done():
            pending.future.set_exception(fault if isinstance(fault, StoreError) else StoreError(repr(fault)))
