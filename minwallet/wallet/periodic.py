"""Endless background work: one loop for backups, journal pruning, totals, the disk check and connection timeouts.

The rules of the loop:

- It ends only by cancellation. Cancel its task to stop it; work in progress gets the `CancelledError`.
- A fault of one run never ends the loop. A StoreError or OSError is logged in one line, a bug with its traceback. The
  failure of the store that stops the server is not logged here: the end of the server reports it.
- A pause begins when a run ends, so runs never overlap and none is made up for. A slow run shifts all later ones.
- The work sets the rhythm: it returns the seconds until its next run, or None for the usual interval.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from minwallet.storage.errors import StoreError

MIN_LOG_INTERVAL_S = 30
"""A fault that repeats is logged again after this time, so a full disk does not fill the log."""

logger = logging.getLogger("minwallet")


async def run_periodically(
    name: str,
    work: Callable[[], Awaitable[float | None]],
    interval_s: float,
    *,
    retry_s: float | None = None,
    delay_first_run: bool = False,
) -> None:
    """Call `work` every `interval_s`, or after the seconds that it returns, until cancelled.

    `name` names the work in the log. After a fault the next run follows in `retry_s`, which defaults to `interval_s`.
    With `delay_first_run` the first run starts after one interval, otherwise immediately.
    """
    last_fault: str | None = None
    logged_at_s = 0.0
    if delay_first_run:
        await asyncio.sleep(interval_s)
    while True:
        pause_s: float | None = None
        try:
            pause_s = await work()
        except Exception as fault:
            pause_s = retry_s
            is_new = str(fault) != last_fault or monotonic() - logged_at_s >= MIN_LOG_INTERVAL_S
            if is_new and not (isinstance(fault, StoreError) and fault.is_logged):
                last_fault, logged_at_s = str(fault), monotonic()
                is_expected = isinstance(fault, (StoreError, OSError))
                logger.error("%s failed: %s", name, fault, exc_info=None if is_expected else fault)
        else:
            last_fault = None
        await asyncio.sleep(interval_s if pause_s is None else pause_s)
