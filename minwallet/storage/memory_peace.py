"""What cannot go wrong in memory."""

from collections.abc import Callable

from minwallet.storage.base import StoreFault


class MemoryPeace:
    """The part of a store that is about a disk, where there is none."""

    broken: StoreFault | None = None

    def when_broken(self, stop: Callable[[], None]) -> None:
        """There is no commit that could fail."""

    def when_full(self, notice: Callable[[], None]) -> None:
        """There is no disk that could be full."""

    async def measure_room(self) -> int | None:
        return None

    async def close(self) -> None:
        """Nothing is held."""
