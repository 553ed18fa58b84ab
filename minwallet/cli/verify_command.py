"""`minwallet verify`: several processes verify a long ledger, each a partition of the accounts."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from minwallet.cli.cpu import available_cpus
from minwallet.cli.dispatch import database_path, run_with_store_at
from minwallet.cli.options import JsonOption
from minwallet.cli.output import EXIT_REFUSED, print_json, print_line, progress_bar
from minwallet.storage.errors import SchemaChanged, StoreError
from minwallet.storage.models import Partition
from minwallet.storage.store import Store

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

    from minwallet.operations.schemas import VerificationResult
    from minwallet.storage.sqlite import SqliteStore

PARALLEL_MIN_ENTRIES = 300_000
"""The ledger size from which a second process can start before one process alone would be done."""

MAX_PROCESSES = 8
"""Each process uses about 50 MB of memory."""

ProgressCallback = Callable[[int, int], None]

_entries_done: "Synchronized[int]"
"""The number of entries that all worker processes have verified. It is set in a worker process only."""


def verify(context: typer.Context, as_json: JsonOption = False) -> None:
    """Recompute all balances and the hash chain from the ledger.

    The exit code is 1 if a balance or a hash is wrong. A server may be running.

    Example: minwallet verify
    """
    path = database_path(context)
    with progress_bar("verifying") as report_progress:

        async def work(store: "SqliteStore") -> "VerificationResult":
            if changes := await store.find_schema_changes():
                return _report_schema_changes(changes)
            found = await _verify_ledger(store, path, report_progress)
            if found["ok"]:
                # Parts that no balance depends on can be damaged too, such as an index.
                await store.check_integrity()
            return found

        try:
            result = run_with_store_at(path, work)
        except SchemaChanged as error:
            result = _report_schema_changes(error.changes)
    if as_json:
        print_json(result)
    elif result["ok"]:
        print_line(f"ok: verified {result['entries']} entries of {result['accounts']} accounts")
    else:
        for problem in result["problems"]:
            print_line(problem)
        print_line(
            f"{len(result['problems'])} problems in {result['entries']} entries of {result['accounts']} accounts"
        )
    if not result["ok"]:
        raise typer.Exit(EXIT_REFUSED)


def _report_schema_changes(changes: Sequence[str]) -> "VerificationResult":
    """Return the result for a file that another program changed. Its entries are not read, as they prove nothing."""
    problems = [f"the schema was changed by another program: {change}; restore a backup" for change in changes]
    return {"ok": False, "accounts": 0, "entries": 0, "problems": problems}


async def _verify_ledger(store: Store, path: Path, report_progress: ProgressCallback) -> "VerificationResult":
    """Return the problems of all rows and balances. Use several processes if the ledger is long enough."""
    from minwallet.operations.verify import check_missing_entries, verify_ledger

    total = await store.ledger.count_entries()
    processes = min(available_cpus(), MAX_PROCESSES)
    if total < PARALLEL_MIN_ENTRIES or processes == 1:
        return await verify_ledger(store, report_progress)
    shares = await asyncio.to_thread(_verify_in_parallel, path, processes, total, report_progress)
    problems = [problem for each in shares for problem in each["problems"]] + await check_missing_entries(store)
    accounts, entries = sum(each["accounts"] for each in shares), sum(each["entries"] for each in shares)
    return {"ok": not problems, "accounts": accounts, "entries": entries, "problems": problems}


def _verify_in_parallel(
    path: Path, processes: int, total: int, report_progress: ProgressCallback
) -> "list[VerificationResult]":
    spawn = get_context("spawn")
    done = spawn.Value("q", 0)
    with ProcessPoolExecutor(processes, spawn, _init_worker, (done,)) as pool:
        shares = [pool.submit(_verify_partition, path, Partition(number, processes)) for number in range(processes)]
        try:
            _report_until_done(shares, lambda: report_progress(done.value, max(total, done.value)))
            return [share.result() for share in shares]
        except BrokenProcessPool as error:
            raise StoreError("a worker process ended before it had verified its accounts; try again") from error


def _report_until_done(shares: "list[Future[VerificationResult]]", report_progress: Callable[[], None]) -> None:
    while wait(shares, timeout=0.2).not_done:
        report_progress()


def _init_worker(done: "Synchronized[int]") -> None:
    global _entries_done  # noqa: PLW0603 a worker process gets the counter once, when it starts
    _entries_done = done
    # Ctrl-C reaches all processes. Workers end silently, because the main process reports it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _verify_partition(path: Path, partition: Partition) -> "VerificationResult":
    """Return the problems of one partition of the accounts. This function runs in a worker process."""
    from minwallet.operations.verify import verify_ledger
    from minwallet.storage.sqlite import SqliteStore

    before = 0

    def add_progress(done: int, total: int) -> None:
        nonlocal before
        del total
        with _entries_done.get_lock():
            _entries_done.value += done - before
        before = done

    async def work() -> "VerificationResult":
        store = await SqliteStore.open_read_only(path)
        try:
            return await verify_ledger(store, add_progress, partition=partition)
        finally:
            await store.close()

    return asyncio.run(work())
