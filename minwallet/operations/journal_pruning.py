"""The journal is bounded: what was said on the wire is forgotten after some days, the ledger never."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from minwallet.ledger.time_units import DAY_MS
from minwallet.storage.errors import StoreError
from minwallet.storage.store import Store

PRUNE_BATCH_SIZE = 1_000
"""How many letters are forgotten in one transaction: a few ms, which a bet may have to wait."""

PRUNE_PAUSE_S, PRUNE_INTERVAL_S = 0.1, 3600


async def run_pruning(store: Store, days: int, clock_ms: Callable[[], int]) -> None:
    """Prune at once and then every hour, for ever. A store that fails says so to whoever moves money."""
    while True:
        pruned = 0
        with suppress(StoreError):
            pruned = await store.ledger.prune_journal(clock_ms() - days * DAY_MS, PRUNE_BATCH_SIZE)
        await asyncio.sleep(PRUNE_PAUSE_S if pruned == PRUNE_BATCH_SIZE else PRUNE_INTERVAL_S)
