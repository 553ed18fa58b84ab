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
from minwallet.cli.dispatch import database_path, reading
from minwallet.cli.options import JsonOption
from minwallet.cli.output import (
    EXIT_REFUSED,
    format_count,
    format_verified,
    print_json,
    print_line,
    progress_bar,
)
from minwallet.storage.errors import SchemaChanged, StoreError
from minwallet.storage.models import Partition
from minwallet.storage.store import Store

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

    from minwallet.operations.schemas import VerificationResult
    from minwallet.storage.sqlite.connection import ReadAccess

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
        try:
            with reading(path) as access:
                result = asyncio.run(_verify_file(path, access, report_progress))
        except SchemaChanged as error:
            result = _report_schema_changes(error.changes)
    if as_json:
        print_json(result)
    elif result["ok"]:
        print_line(f"ok: verified {format_verified(result['entries'], result['accounts'])}")
    else:
        for problem in result["problems"]:
            print_line(problem)
        problems = format_count(len(result["problems"]), "problem")
        print_line(f"{problems} in {format_verified(result['entries'], result['accounts'])}")
    if not result["ok"]:
        raise typer.Exit(EXIT_REFUSED)


def _report_schema_changes(changes: Sequence[str]) -> "VerificationResult":
    """Return the result for a file that another program changed. Its entries are not read, as they prove nothing."""
    problems = [f"the schema was changed by another program: {change}; restore a backup" for change in changes]
    return {"ok": False, "accounts": 0, "entries": 0, "problems": problems}


async def _verify_file(path: Path, access: "ReadAccess", report_progress: ProgressCallback) -> "VerificationResult":
    """Return the problems of the whole file. Raise DatabaseUnusable if it is damaged."""
    from minwallet.storage.sqlite import SqliteStore

    store = await SqliteStore.open_read_only(path, access)
    try:
        if changes := await store.find_schema_changes():
            return _report_schema_changes(changes)
        # A migrated copy is in this process only.
        workers_access = None if store.is_migrated_copy else access
        found = await _verify_ledger(store, path, workers_access, report_progress)
        if found["ok"]:
            # Parts that no balance depends on can be damaged too, such as an index.
            await store.check_integrity()
        return found
    finally:
        await store.close()


async def _verify_ledger(
    store: Store, path: Path, workers_access: "ReadAccess | None", report_progress: ProgressCallback
) -> "VerificationResult":
    """Return the problems of all rows and balances.

    Use several processes if the ledger is long enough, and if they can open the file with `workers_access`.
    """
    from minwallet.operations.verify import check_missing_entries, verify_ledger

    total = await store.ledger.count_entries()
    processes = min(available_cpus(), MAX_PROCESSES)
    if workers_access is None or total < PARALLEL_MIN_ENTRIES or processes == 1:
        return await verify_ledger(store, report_progress)
    shares = await asyncio.to_thread(_verify_in_parallel, path, workers_access, processes, total, report_progress)
    problems = [problem for each in shares for problem in each["problems"]] + await check_missing_entries(store)
    accounts, entries = sum(each["accounts"] for each in shares), sum(each["entries"] for each in shares)
    return {"ok": not problems, "accounts": accounts, "entries": entries, "problems": problems}


def _verify_in_parallel(
    path: Path, access: "ReadAccess", processes: int, total: int, report_progress: ProgressCallback
) -> "list[VerificationResult]":
    spawn = get_context("spawn")
    done = spawn.Value("q", 0)
    with ProcessPoolExecutor(processes, spawn, _init_worker, (done,)) as pool:
        partitions = [Partition(number, processes) for number in range(processes)]
        shares = [pool.submit(_verify_partition, path, access, each) for each in partitions]
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


def _verify_partition(path: Path, access: "ReadAccess", partition: Partition) -> "VerificationResult":
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
        store = await SqliteStore.open_read_only(path, access)
        try:
            return await verify_ledger(store, add_progress, partition=partition)
        finally:
            await store.close()

    return asyncio.run(work())
