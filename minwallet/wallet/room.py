"""Room on the disk: where it runs low, new bets wait so that wins and cancels can be kept as long as possible.

A bet that is not taken is not refused: nothing is written of it, and the provider asks again or calls it off. Whoever
repeats a bet that has been decided gets the same answer as ever.
"""

import asyncio
import logging

from minwallet.storage.store import Store

EVERY_S = 2.0
"""How often the disk is looked at: it takes a few microseconds, and 200 MB last for longer than that."""

MB = 1_000_000

logger = logging.getLogger("minwallet")


class Room:
    """`shortage` says in words why no new bet is taken, and is empty while there is room for `least_bytes`."""

    def __init__(self, store: Store, least_bytes: int) -> None:
        self.shortage = ""
        self._is_looked_at = False
        self._store = store
        self._least_bytes = least_bytes
        store.on_disk_full(self._run_full)

    async def keep_looking(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """See how much there is."""
        self._is_looked_at = True
        free_bytes = await self._store.read_free_bytes()
        if free_bytes is None or free_bytes >= self._least_bytes:
            if self.shortage:
                logger.warning("there is room on the disk of the wallet file again; new bets are taken")
            self.shortage = ""
        else:
            self._tell(
                f"the disk of the wallet file has {free_bytes // MB} MB left, and MINWALLET_MIN_FREE_MB wants"
                f" {self._least_bytes // MB}"
            )

    def _run_full(self) -> None:
        """A write has failed, whatever the figures say; they are believed again when they are next looked at."""
        self._tell("the disk of the wallet file is full")

    def _tell(self, what: str) -> None:
        is_new = not self.shortage
        self.shortage = (
            f"{what}: new bets are not taken until there is more room; wins and cancels are, as long as they fit"
        )
        # A command that finds no room says so itself, and takes no bets.
        if is_new and self._is_looked_at:
            logger.warning(self.shortage)
