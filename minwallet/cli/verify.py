"""`minwallet verify`: a long ledger is shared out among processes, each with the accounts of its own."""

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from minwallet.cli.link import database, with_store_of
from minwallet.cli.machine import processors
from minwallet.cli.output import EXIT_REFUSED, JsonFlag, counting, print_json, print_line
from minwallet.storage.errors import StoreError
from minwallet.storage.models import Partition
from minwallet.storage.store import Store

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

    from minwallet.operations.schemas import VerificationResult
    from minwallet.storage.sqlite import SqliteStore

LONG = 300_000
"""From so many entries on, a second process has begun before the first would have ended."""

MOST_PROCESSES = 8
"""Each keeps some 50 MB."""

Tell = Callable[[int, int], None]

_done: "Synchronized[int]"
"""In a process of its own: how many entries all of them have done."""


def verify(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Recompute every balance from the ledger. And the hash chain; exit code 1 where something is wrong."""
    path = database(context)
    with counting("verifying") as tell:

        async def work(store: "SqliteStore") -> "VerificationResult":
            found = await _recompute(store, path, tell)
            if found["ok"]:
                # What no balance depends on can be damaged, too, such as an index.
                await store.check_integrity()
            return found

        found = with_store_of(path, work)
    if as_json:
        print_json(found)
    elif found["ok"]:
        print_line(f"ok: {found['entries']} entries of {found['accounts']} accounts sum and chain up")
    else:
        for problem in found["problems"]:
            print_line(problem)
        print_line(f"{len(found['problems'])} problems in {found['entries']} entries of {found['accounts']} accounts")
    if not found["ok"]:
        raise typer.Exit(EXIT_REFUSED)


async def _recompute(store: Store, path: Path, tell: Tell) -> "VerificationResult":
    """What is wrong with the rows and balances, found by as many processes as are worth it."""
    from minwallet.operations.verify import check_missing_entries, verify_ledger

    total = await store.count_entries()
    processes = min(processors(), MOST_PROCESSES)
    if total < LONG or processes == 1:
        return await verify_ledger(store, tell)
    shares = await asyncio.to_thread(_verify_in_shares, path, processes, total, tell)
    problems = [problem for each in shares for problem in each["problems"]] + await check_missing_entries(store)
    accounts, entries = sum(each["accounts"] for each in shares), sum(each["entries"] for each in shares)
    return {"ok": not problems, "accounts": accounts, "entries": entries, "problems": problems}


def _verify_in_shares(path: Path, processes: int, total: int, tell: Tell) -> "list[VerificationResult]":
    spawn = get_context("spawn")
    done = spawn.Value("q", 0)
    with ProcessPoolExecutor(processes, spawn, _begin, (done,)) as pool:
        shares = [pool.submit(_verify_share, path, Partition(number, processes)) for number in range(processes)]
        try:
            _watch(shares, lambda: tell(done.value, max(total, done.value)))
            return [share.result() for share in shares]
        except BrokenProcessPool as error:
            raise StoreError("a process that verified a share of the ledger was ended; try again") from error


def _watch(shares: "list[Future[VerificationResult]]", tell: Callable[[], None]) -> None:
    while wait(shares, timeout=0.2).not_done:
        tell()


def _begin(done: "Synchronized[int]") -> None:
    global _done  # noqa: PLW0603 a process is given this once, when it begins
    _done = done
    # Ctrl-C is meant for all of them, and only the first has something to say.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _verify_share(path: Path, share: Partition) -> "VerificationResult":
    """What is wrong with the rows of one share of the accounts; in a process of its own."""
    from minwallet.operations.verify import verify_ledger
    from minwallet.storage.sqlite import SqliteStore

    before = 0

    def tell(done: int, total: int) -> None:
        nonlocal before
        del total
        with _done.get_lock():
            _done.value += done - before
        before = done

    async def work() -> "VerificationResult":
        store = await SqliteStore.open_read_only(path)
        try:
            return await verify_ledger(store, tell, partition=share)
        finally:
            await store.close()

    return asyncio.run(work())
