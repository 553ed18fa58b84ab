"""Room on the disk: where it runs low, new bets wait so that wins and cancels can be kept as long as possible.

A bet that is not taken is not refused: nothing is written of it, and the provider asks again or calls it off. Whoever
repeats a bet that has been decided gets the same answer as ever.
"""

import logging

from minwallet.storage.store import Store
from minwallet.wallet.periodic import run_periodically

CHECK_INTERVAL_S = 2.0
"""How often the disk is looked at: it takes a few microseconds, and 200 MB last for longer than that."""

BYTES_PER_MB = 1_000_000

logger = logging.getLogger("minwallet")


class DiskSpaceMonitor:
    """`shortage` says in words why no new bet is taken, and is empty while there is room for `min_free_bytes`."""

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
        """See how much there is."""
        self._is_checked = True
        free_bytes = await self._store.read_free_bytes()
        if free_bytes is None or free_bytes >= self._min_free_bytes:
            if self.shortage:
                logger.warning("there is room on the disk of the wallet file again; new bets are taken")
            self.shortage = ""
        else:
            self._report_shortage(
                f"the disk of the wallet file has {free_bytes // BYTES_PER_MB} MB left, and MINWALLET_MIN_FREE_MB wants"
                f" {self._min_free_bytes // BYTES_PER_MB}"
            )

    def _handle_disk_full(self) -> None:
        """A write has failed, whatever the figures say; they are believed again when they are next looked at."""
        self._report_shortage("the disk of the wallet file is full")

    def _report_shortage(self, problem: str) -> None:
        is_new = not self.shortage
        self.shortage = (
            f"{problem}: new bets are not taken until there is more room; wins and cancels are, as long as they fit"
        )
        # A command that finds no room says so itself, and takes no bets.
        if is_new and self._is_checked:
            logger.warning(self.shortage)
