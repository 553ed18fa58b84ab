"""A bad network between provider and wallet: providers play on through it, repeat, and call off what was not answered.

In the end everything is settled over a good line. Part of what the network still held back arrives before that, and
part of it after.
"""

import asyncio
from collections import Counter
from pathlib import Path

import uvloop

from tests.faults.faulty_proxy import DELIVERY_FAULTS, FaultyProxy
from tests.faults.harness import assert_nothing_lost, create_players
from tests.faults.load_clients import LoadClients
from tests.support import InProcessCli, running_server

CALLS_PER_FILE = 50_000
"""After so many calls a new file is begun, so that looking at a file needs no more memory than a small machine has."""

PLAYERS, CLIENTS = 32, 48

TIMEOUT_S = 0.25
"""How long a client waits for an answer: longer than anything on the way is held back, unless for ever."""


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """`size` calls through the proxy; nothing that anybody was told is lost, and nothing is done twice."""
    counts: Counter[str] = Counter()
    for first in range(0, size, CALLS_PER_FILE):
        counts += _play_file(folder / f"{first}.db", min(CALLS_PER_FILE, size - first), seed + first)
    for fate, parts in DELIVERY_FAULTS.items():
        due = size * parts // sum(DELIVERY_FAULTS.values())
        assert counts[fate] >= due // 4, f"{counts[fate]} calls were {fate} where {due} were due"
    assert counts["unanswered"] >= size // 20, "hardly a call was without an answer"
    assert counts["arrived_late"] >= size // 40, "hardly a request arrived late"
    return counts


def _play_file(file: Path, calls: int, seed: int) -> Counter[str]:
    fleet = LoadClients(create_players(InProcessCli(file), PLAYERS), seed, clients=CLIENTS)
    with running_server(file) as server:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            counts = runner.run(_play_through_proxy(server.url, fleet, calls, seed))
        assert server.stop() == 0
    log = server.log.read_text()
    assert "Traceback" not in log, log
    return counts + assert_nothing_lost(file, fleet.history)


async def _play_through_proxy(url: str, fleet: LoadClients, calls: int, seed: int) -> Counter[str]:
    async with FaultyProxy(url, seed) as proxy:
        await fleet.play(proxy.url, -(-calls // CLIENTS), TIMEOUT_S)
        await proxy.deliver_late(proxy.late_count // 2)
        await fleet.settle(url)
        await proxy.deliver_late()
    return proxy.counts
