"""An hour of load on one server: its use of resources does not grow with the number of calls."""

import asyncio
import random
import statistics
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.faults.harness import assert_nothing_lost, create_players
from tests.faults.load_clients import LoadClients
from tests.support import InProcessCli, Server, running_server

PLAYERS, SAMPLES = 200, 40

PAUSE_S = 0.05
"""The pause between two calls of a client. It gives some 600 calls a second, of which the checker can remember an
hour."""

MAX_RSS_MB, MAX_WAL_MB = 130, 80
"""The write-ahead log is truncated to 64 MB, and exceeds that by the writes during a checkpoint."""


class ResourceSample(NamedTuple):
    """The resources that the server uses at a moment."""

    rss_mb: float
    open_files: int
    wal_mb: float


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Run the load for `size` seconds. Memory, file handles and the write-ahead log do not grow."""
    file = folder / "wallet.db"
    fleet = LoadClients(create_players(InProcessCli(file), PLAYERS), random.Random(seed).randrange(10**9))
    fleet.pause_s = PAUSE_S
    with running_server(file) as server:
        samples = asyncio.run(_play_and_sample(server, fleet, size))
        assert server.stop() == 0
    early, late = samples[SAMPLES // 4 : SAMPLES // 2], samples[-SAMPLES // 4 :]
    rss = [statistics.median(each.rss_mb for each in some) for some in (early, late)]
    # The parts of the file that are kept in memory fill up with the file.
    assert rss[1] < rss[0] * 1.2 + 10, f"memory has grown from {rss[0]:.0f} to {rss[1]:.0f} MB"
    assert max(each.rss_mb for each in samples) < MAX_RSS_MB
    assert max(each.open_files for each in late) <= max(each.open_files for each in early), "file handles leak"
    assert max(each.wal_mb for each in samples) < MAX_WAL_MB
    counts = assert_nothing_lost(file, fleet.history)
    return counts + Counter(rss_mb=round(rss[1]), handles=late[-1].open_files, wal_mb=round(late[-1].wal_mb))


async def _play_and_sample(server: Server, fleet: LoadClients, seconds: int) -> list[ResourceSample]:
    samples = []
    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.play(server.url))
        for _ in range(SAMPLES):
            await asyncio.sleep(seconds / SAMPLES)
            samples.append(_take_sample(server))
        fleet.stop()
    return samples


def _take_sample(server: Server) -> ResourceSample:
    process = Path(f"/proc/{server.process.pid}")
    (pages,) = (line.split()[1] for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS"))
    wal = server.db.with_name(f"{server.db.name}-wal")
    return ResourceSample(int(pages) / 1024, len(list((process / "fd").iterdir())), wal.stat().st_size / 2**20)
