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

Failures. There are three kinds:

- One command may be the cause: a CommandFault of the store, or an exception that is not a StoreError. The transaction
  was rolled back, so the two halves of the batch are applied again, each alone, until the faulty command is alone. It
  fails and its traceback is logged; all other commands get their outcomes. A batch of 512 takes about 18 more
  transactions.
- Any other StoreError is about the file or the disk, or the outcome is unknown. It fails the whole batch, and the
  provider has to repeat the commands.
- After the commit the outcomes are final. A bug in a callback (`on_commit`, `on_decided`) is logged and costs nothing.

The journal. A provider's reply is rendered after the commit, so its journal row cannot be in the same transaction. It
joins the next one. Without a next one, the rows are written JOURNAL_DELAY_S later, on their own. After a crash, the
newest entries may have no journal row.

- Journal rows never fail a command. If a transaction with rows fails because of a fault in it, the same commands are
  applied once more without the rows. The rows are then written on their own, and lost if they fail again.
- A fault of the file or the disk fails the commands, and their transaction's rows wait for the next one. Their number
  is bounded by MAX_JOURNAL_ROWS.

Every failure reaches the waiters as a StoreError. If the writing task itself is cancelled, all commands that it had are
failed too, so that no waiter and no player's lock stays behind.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import NamedTuple

from minwallet.ledger.outcomes import Outcome
from minwallet.storage.errors import CommandFault, OutcomeUnknown, StoreError
from minwallet.storage.models import AccountCommand, JournalRow
from minwallet.storage.store import Store

MAX_BATCH_SIZE = 512
"""The maximum of commands in one transaction. Larger batches are cheaper per command but answer the first one later."""

IDLE_TICKS = 4
"""How many turns of the event loop without a new command start a commit. They take some ten microseconds."""

JOURNAL_DELAY_S = 0.05
"""How long journal rows wait for a transaction that they can join."""

MAX_JOURNAL_ROWS = 10_000
"""The maximum of waiting journal rows. There are more than a few batches of them only while the store fails."""

logger = logging.getLogger("minwallet")


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
        self._journal: list[JournalRow] = []
        self._journal_timer: asyncio.TimerHandle | None = None
        # After a fault of a transaction with journal rows, which may be theirs.
        self._is_journal_apart = False
        # One log line for each outage, and not for each transaction.
        self._is_journal_failing = False

    def submit(self, command: AccountCommand, on_decided: Callable[[], None]) -> "asyncio.Future[Outcome]":
        """Return the future of the outcome, which fails with StoreError. Cancelling it does not stop the command.

        `on_decided` is called when the command is decided or has failed, even if the future was cancelled.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(command, future, on_decided))
        if self._task is None:
            self._task = asyncio.create_task(self._write_pending())
        return future

    def add_to_journal(self, rows: Sequence[JournalRow]) -> None:
        """Store rows with the next batch, or JOURNAL_DELAY_S later. Drop them while MAX_JOURNAL_ROWS wait."""
        if len(self._journal) >= MAX_JOURNAL_ROWS:
            self._report_lost_rows(len(rows), StoreError(f"more than {MAX_JOURNAL_ROWS} wait for the store"))
            return
        self._journal += rows
        self._start_journal_timer()

    def _start_journal_timer(self) -> None:
        if self._journal_timer is None:
            self._journal_timer = asyncio.get_running_loop().call_later(JOURNAL_DELAY_S, self._write_journal_soon)

    def _stop_journal_timer(self) -> None:
        if self._journal_timer is not None:
            self._journal_timer.cancel()
            self._journal_timer = None

    def _write_journal_soon(self) -> None:
        """Start the writing of the rows that have joined no batch so far."""
        self._stop_journal_timer()
        if self._task is None and self._journal:
            self._task = asyncio.create_task(self._write_pending())

    async def flush_journal(self) -> None:
        """Wait until all journal rows so far are written, or could not be."""
        # Twice, because rows of a batch that fails in the meantime wait again.
        for _ in range(2):
            self._write_journal_soon()
            await self.drain()

    async def drain(self) -> None:
        """Wait until everything submitted so far has been decided."""
        while self._task is not None:
            await asyncio.shield(self._task)

    async def _write_pending(self) -> None:
        parts: list[Sequence[_Pending]] = []
        try:
            while self._pending or self._is_journal_due:
                if not self._pending:
                    await self._write_journal()
                    continue
                if self._is_contended:
                    await self._wait_for_more()
                batch, self._pending = self._pending[:MAX_BATCH_SIZE], self._pending[MAX_BATCH_SIZE:]
                parts.append(batch)
                while parts:
                    parts += await self._write_part(parts.pop())
                # A command that was alone suggests low load, so the next one does not wait for others.
                self._is_contended = len(batch) + len(self._pending) > 1
                if self._is_journal_apart:
                    await self._write_journal()
        finally:
            self._task = None
            # Nothing is left, unless this task was cancelled.
            for part in (*parts, self._pending):
                _fail_part(part, StoreError("the server stopped before it wrote this command"))
            self._pending = []

    @property
    def _is_journal_due(self) -> bool:
        """True if journal rows have waited for JOURNAL_DELAY_S: their timer is over then."""
        return bool(self._journal) and self._journal_timer is None

    async def _write_journal(self) -> None:
        """Write the waiting journal rows in a transaction of their own. A fault loses the rows, never the entries."""
        journal, self._journal = self._journal, []
        self._is_journal_apart = False
        try:
            await self._store.write_journal(journal)
        except Exception as fault:
            self._report_lost_rows(len(journal), fault)
        else:
            self._is_journal_failing = False

    def _report_lost_rows(self, number: int, fault: Exception) -> None:
        if not self._is_journal_failing:
            self._is_journal_failing = True
            # The failure that stops the server is logged once, elsewhere.
            reason = "the store has failed" if fault is self._store.failure else fault
            logger.error(
                "the journal has no record of the calls of %d entr%s: %s",
                number,
                "y" if number == 1 else "ies",
                reason,
                exc_info=None if isinstance(fault, StoreError) else fault,
            )

    async def _wait_for_more(self) -> None:
        """Wait until IDLE_TICKS turns of the event loop in a row bring no new command, or the batch is full."""
        idle_ticks = 0
        while idle_ticks < IDLE_TICKS and len(self._pending) < MAX_BATCH_SIZE:
            before = len(self._pending)
            await asyncio.sleep(0)
            idle_ticks = idle_ticks + 1 if len(self._pending) == before else 0

    async def _write_part(self, part: Sequence[_Pending]) -> Sequence[Sequence[_Pending]]:
        """Apply a batch or a part of one. Return its halves, the first one last, if they must be applied alone."""
        started = perf_counter()
        journal: Sequence[JournalRow] = ()
        if self._journal and not self._is_journal_apart:
            journal, self._journal = self._journal, []
            # Rows of the calls of this batch wait for the next one. They need no transaction of their own.
            self._stop_journal_timer()
        try:
            commands = [pending.command for pending in part]
            outcomes = await self._store.apply(commands, self._clock_ms(), journal)
        except Exception as fault:
            if journal:
                self._journal = [*journal, *self._journal]
                self._start_journal_timer()
            if isinstance(fault, StoreError) and not isinstance(fault, CommandFault):
                _fail_part(part, fault)
            elif journal:
                # The fault may be one of these rows. So first try the commands without them.
                self._is_journal_apart = True
                return (part,)
            elif len(part) == 1:
                _fail_part(part, _log_command_fault(fault))
            else:
                return part[len(part) // 2 :], part[: len(part) // 2]
        except BaseException:
            # This task was cancelled, and the store's thread may be about to commit.
            _fail_part(part, OutcomeUnknown("the server stopped during a commit"))
            raise
        else:
            if journal:
                self._is_journal_failing = False
            _call_back(partial(self._on_commit, len(part), perf_counter() - started))
            for pending, outcome in zip(part, outcomes, strict=True):
                _call_back(pending.on_decided)
                if not pending.future.done():
                    pending.future.set_result(outcome)
        return ()


def _log_command_fault(fault: Exception) -> StoreError:
    """Log the fault of one command with its traceback. Return the error for its waiter."""
    logger.error("a command failed because of a bug; please report this traceback", exc_info=fault)
    error = fault if isinstance(fault, StoreError) else CommandFault("a command failed because of a bug")
    error.is_logged = True
    return error


def _fail_part(part: Sequence[_Pending], fault: StoreError) -> None:
    for pending in part:
        _call_back(pending.on_decided)
        if not pending.future.done():
            pending.future.set_exception(fault)


def _call_back(callback: Callable[[], None]) -> None:
    """Call `callback`. Log an exception in it: the commands are decided, and all of them need their answers."""
    try:
        callback()
    except Exception:
        logger.exception("a callback of the batch failed because of a bug; please report this traceback")
