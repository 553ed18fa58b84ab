"""Group commit: the orders that arrive while one transaction is being synced share the next one.

One task writes. It takes what is waiting, applies it as a batch, and only after the commit tells each waiter what came
of its order; a waiter that has gone is not missed. A batch that the file refuses is applied again one order at a time,
so that a neighbour never pays for another's fault.
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
"""The most orders in one transaction: the statements are cheapest together, but nobody should wait for thousands."""

IDLE_TICKS = 4
"""How many turns of the event loop without a new order start a commit: some ten microseconds, and a commit saved for
every wave of calls that would otherwise have been two."""


class _Pending(NamedTuple):
    """A command whose outcome is not known yet."""

    command: AccountCommand
    future: "asyncio.Future[Outcome]"
    on_decided: Callable[[], None]


OnCommit = Callable[[int, float], None]
"""Is told of a commit: how many orders it had, and in how many seconds the store made them durable."""


class BatchWriter:
    """`submit` an order, await its future. The caller sees to it that no player has two orders waiting at once.

    `on_commit` is called after every commit.
    """

    def __init__(self, store: Store, clock_ms: Callable[[], int], on_commit: OnCommit) -> None:
        self._store = store
        self._on_commit = on_commit
        self._clock_ms = clock_ms
        self._pending: list[_Pending] = []
        self._task: asyncio.Task[None] | None = None
        self._is_contended = False

    def submit(self, command: AccountCommand, on_decided: Callable[[], None]) -> "asyncio.Future[Outcome]":
        """The future outcome; it fails with StoreError where the store does. Cancelling it does not stop the order.

        `on_decided` is called once the order is decided, whether or not anybody still waits for the outcome.
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
                # Whoever had no company need not wait for any the next time.
                self._is_contended = len(batch) + len(self._pending) > 1
        finally:
            self._task = None

    async def _wait_for_more(self) -> None:
        """Let the orders join that are on their way: wait until a few turns of the event loop in a row bring none."""
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
