"""What the ledger comes to is added up in the background, in small steps; whoever reads it has the rest added first."""

import asyncio
from contextlib import suppress

from minwallet.storage.errors import StoreError
from minwallet.storage.store import Store

SLICE = 10_000
"""How many rows are added up at once: some tens of ms, in which no bet has to wait."""

PAUSE_S, EVERY_S = 0.02, 1.0

MOST_SLICES = 20
"""How far a reader waits for the sums. What is behind further, in a file that is new to them, comes in time."""


async def catch_up(store: Store) -> None:
    """Have the newest rows added up, so that sums are of what has just happened."""
    for _ in range(MOST_SLICES):
        if await store.aggregate_totals(SLICE) < SLICE:
            return


async def keep_summing_up(store: Store) -> None:
    """For ever. A store that fails says so to whoever moves money."""
    while True:
        done = 0
        with suppress(StoreError):
            done = await store.aggregate_totals(SLICE)
        await asyncio.sleep(PAUSE_S if done == SLICE else EVERY_S)
