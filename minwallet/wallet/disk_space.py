"""Monitoring of free disk space: when it runs low, new bets are rejected, so that wins and cancels still fit.

A rejected bet is not refused: nothing is written, and the provider repeats or cancels it. A retry of a bet that was
decided before gets its original answer. `wallet/service.py` (`_replay_only`) decides this.
"""

import logging

from minwallet.storage.store import Store
from minwallet.wallet.periodic import run_periodically

CHECK_INTERVAL_S = 2.0
"""A check takes a few microseconds, and the default of 200 MB lasts for longer than the interval."""

BYTES_PER_MB = 1_000_000

logger = logging.getLogger("minwallet")


class DiskSpaceMonitor:
    """`shortage` is the reason why new bets are rejected, or "" while at least `min_free_bytes` are free."""

    def __init__(self, store: Store, min_free_bytes: int) -> None:
        self.shortage = ""
        self._is_checked = False
        self._store = store
        self._min_free_bytes = min_free_bytes
        store.on_disk_full(self._handle_disk_full)

    async def run(self) -> None:
        """Check the free space every CHECK_INTERVAL_S until cancelled."""
        await run_periodically("checking the free disk space", self.check, CHECK_INTERVAL_S)

    async def check(self) -> None:
        """Measure the free space and update `shortage`. Log the begin and the end of a shortage."""
        self._is_checked = True
        free_bytes = await self._store.read_free_bytes()
        if free_bytes is None or free_bytes >= self._min_free_bytes:
            if self.shortage:
                logger.warning("the disk of the wallet file has enough free space again; new bets are accepted")
            self.shortage = ""
        else:
            self._report_shortage(
                f"the disk of the wallet file has {free_bytes // BYTES_PER_MB} MB left, less than MINWALLET_MIN_FREE_MB"
                f" ({self._min_free_bytes // BYTES_PER_MB})"
            )

    def _handle_disk_full(self) -> None:
        """Report a shortage after a failed write, whatever was measured. The next check measures again."""
        self._report_shortage("the disk of the wallet file is full")

    def _report_shortage(self, problem: str) -> None:
        is_new = not self.shortage
        self.shortage = (
            f"{problem}: new bets are rejected until space is freed; wins and cancels are accepted while they fit"
        )
        # Only a server checks the disk. A CLI command that finds no space prints that itself.
        if is_new and self._is_checked:
            logger.warning(self.shortage)
