"""Group commit: the orders that arrive while one transaction is being synced share the next one.

One task writes. It takes what is waiting, applies it as a batch, and only after the commit tells each waiter what came
of its order; a waiter that has gone is not missed. A batch that the file refuses is applied again one order at a time,
so that a neighbour never pays for another's fault.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter

from minwallet.ledger.outcomes import Outcome
from minwallet.storage.errors import ConstraintViolation, StoreError
from minwallet.storage.models import AccountCommand
from minwallet.storage.store import Store

MAX_ORDERS = 512
"""The most orders in one transaction: the statements are cheapest together, but nobody should wait for thousands."""

QUIET_TURNS = 4
"""How many turns of the event loop without a new order start a commit: some ten microseconds, and a commit saved for
every wave of calls that would otherwise have been two."""


_Waiting = tuple[AccountCommand, "asyncio.Future[Outcome]", Callable[[], None]]
"""An order, whom to tell of its outcome, and what to call once it is decided."""


Committed = Callable[[int, float], None]
"""Is told of a commit: how many orders it had, and in how many seconds the store made them durable."""


class BatchWriter:
    """`submit` an order, await its future. The caller sees to it that no player has two orders waiting at once.

    `committed` is called after every commit.
    """

    def __init__(self, store: Store, clock_ms: Callable[[], int], committed: Committed) -> None:
        self._store = store
        self._committed = committed
        self._clock_ms = clock_ms
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None
        self._is_busy = False

    def submit(self, order: AccountCommand, settled: Callable[[], None]) -> "asyncio.Future[Outcome]":
        """The future outcome; it fails with StoreError where the store does. Cancelling it does not stop the order.

        `settled` is called once the order is decided, whether or not anybody still waits for the outcome.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((order, future, settled))
        if self._task is None:
            self._task = asyncio.create_task(self._write())
        return future

    async def drain(self) -> None:
        """Wait until everything submitted so far has been decided."""
        while self._task is not None:
            await asyncio.shield(self._task)

    async def _write(self) -> None:
        try:
            while self._waiting:
                if self._is_busy:
                    await self._gather()
                batch, self._waiting = self._waiting[:MAX_ORDERS], self._waiting[MAX_ORDERS:]
                await self._write_batch(batch)
                # Whoever had no company need not wait for any the next time.
                self._is_busy = len(batch) + len(self._waiting) > 1
        finally:
            self._task = None

    async def _gather(self) -> None:
        """Let the orders join that are on their way: wait until a few turns of the event loop in a row bring none."""
        quiet = 0
        while quiet < QUIET_TURNS and len(self._waiting) < MAX_ORDERS:
            before = len(self._waiting)
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == before else 0

    async def _write_batch(self, batch: Sequence[_Waiting]) -> None:
        started = perf_counter()
        try:
            outcomes = await self._store.apply([order for order, _, _ in batch], self._clock_ms())
        except ConstraintViolation as fault:
            if len(batch) > 1:
                for one in batch:
                    await self._write_batch([one])
            else:
                _fail(batch, fault)
        except Exception as fault:
            _fail(batch, fault)
        else:
            self._committed(len(batch), perf_counter() - started)
            for (_, future, settled), outcome in zip(batch, outcomes, strict=True):
                settled()
                if not future.done():
                    future.set_result(outcome)


def _fail(batch: Sequence[_Waiting], fault: Exception) -> None:
    for _, future, settled in batch:
        settled()
        if not future.done():
            future.set_exception(fault if isinstance(fault, StoreError) else StoreError(repr(fault)))
