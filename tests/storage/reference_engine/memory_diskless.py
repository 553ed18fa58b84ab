"""What cannot go wrong in memory."""

from collections.abc import Callable

from minwallet.storage.errors import StoreError


class MemoryDiskless:
    """The part of a store that is about a disk, where there is none."""

    failure: StoreError | None = None

    def on_failure(self, callback: Callable[[], None]) -> None:
        """There is no commit that could fail."""

    def on_disk_full(self, callback: Callable[[], None]) -> None:
        """There is no disk that could be full."""

    async def read_free_bytes(self) -> int | None:
        return None

    async def close(self) -> None:
        """Nothing is held."""
