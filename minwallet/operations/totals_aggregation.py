"""What the ledger comes to is added up in the background, in small steps; whoever reads it has the rest added first."""

import asyncio
from contextlib import suppress

from minwallet.storage.errors import StoreError
from minwallet.storage.store import Store

AGGREGATION_BATCH_SIZE = 10_000
"""How many rows are added up at once: some tens of ms, in which no bet has to wait."""

AGGREGATION_PAUSE_S, AGGREGATION_INTERVAL_S = 0.02, 1.0

MAX_AGGREGATION_BATCHES = 20
"""How far a reader waits for the sums. What is behind further, in a file that is new to them, comes in time."""


async def aggregate_newest(store: Store) -> None:
    """Have the newest rows added up, so that sums are of what has just happened."""
    for _ in range(MAX_AGGREGATION_BATCHES):
        if await store.totals.aggregate_totals(AGGREGATION_BATCH_SIZE) < AGGREGATION_BATCH_SIZE:
            return


async def run_aggregation(store: Store) -> None:
    """For ever. A store that fails says so to whoever moves money."""
    while True:
        done = 0
        with suppress(StoreError):
            done = await store.totals.aggregate_totals(AGGREGATION_BATCH_SIZE)
        await asyncio.sleep(AGGREGATION_PAUSE_S if done == AGGREGATION_BATCH_SIZE else AGGREGATION_INTERVAL_S)
