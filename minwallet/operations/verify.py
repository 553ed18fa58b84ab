"""Verification of the ledger: recompute every balance and the hash chain, and list what does not agree."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from minwallet.ledger.audit import Audit
from minwallet.operations import schemas
from minwallet.storage.models import ALL_ACCOUNTS, Partition
from minwallet.storage.store import Store

AUDIT_PAGE_SIZE = 5_000
"""How many rows one read returns. Reading is the larger part of the time, and a page is some MB."""

T = TypeVar("T")


async def verify_ledger(
    store: Store,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    partition: Partition = ALL_ACCOUNTS,
    batch_size: int = AUDIT_PAGE_SIZE,
    pause_s: float = 0,
) -> schemas.VerificationResult:
    """Recompute the balances and the hash chains of the accounts in `partition`, by default of all.

    Call `progress` with the entries done and the entries in total after each page. Pause for `pause_s` after
    `batch_size` rows or accounts, so that provider calls are answered meanwhile.
    """
    audit, total, seq, account = Audit(), await store.ledger.count_entries(), 0, 0
    accounts = None
    while accounts is None:
        page = await store.ledger.read_audit_page(seq, batch_size, account, partition)
        async for batch in _iterate_batches([*page.owners.items()], batch_size, pause_s):
            audit.register(dict(batch))
        audit.add(page.rows)
        seq, account, accounts = page.last_seq, max(page.owners, default=account), page.accounts
        progress(audit.entry_count, max(total, audit.entry_count))
        await asyncio.sleep(pause_s)
    async for balance in _iterate_batches(accounts, batch_size, pause_s):
        audit.finish(balance)
    problems = audit.problems + (await check_missing_entries(store) if partition == ALL_ACCOUNTS else [])
    return schemas.VerificationResult(
        ok=not problems, accounts=len(accounts), entries=audit.entry_count, problems=problems
    )


async def check_missing_entries(store: Store) -> list[str]:
    """Return the problem that no account's chain reveals: entries that were removed together with their account."""
    missing = await store.ledger.count_missing_entries()
    count = "1 entry is" if missing == 1 else f"{missing} entries are"
    return [f"{count} missing: gaps in the entry numbers"] if missing else []


async def _iterate_batches(items: Sequence[T], batch_size: int, pause_s: float) -> AsyncIterator[Sequence[T]]:
    for first in range(0, len(items), batch_size):
        yield items[first : first + batch_size]
        await asyncio.sleep(pause_s)
