"""A bad network between provider and wallet: providers play through a faulty proxy, repeat, and cancel calls without
an answer. At the end everything is settled over a good connection. Some late requests arrive before that, and some
after it."""

import asyncio
from collections import Counter
from pathlib import Path

import uvloop

from tests.faults.faulty_proxy import DELIVERY_FAULTS, FaultyProxy
from tests.faults.harness import assert_nothing_lost, create_players
from tests.faults.load_clients import LoadClients
from tests.orbit_package import ORBIT_FOLDER, add_orbit_secret
from tests.support import InProcessCli, running_server

CALLS_PER_FILE = 50_000
"""A new file is created after this number of calls, so that the check of a file fits in the memory of a small
machine."""

PLAYERS, CLIENTS = 32, 48

PROTOCOLS = ("wallet-v2", "vela", "orbit")
"""minwallet's own protocols, and the example of a package with signed calls."""

TIMEOUT_S = 0.25
"""The timeout of a client: longer than every delay on the way, except an endless one."""


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Send `size` calls through the proxy. Nothing acknowledged is lost, and nothing is applied twice."""
    counts: Counter[str] = Counter()
    for first in range(0, size, CALLS_PER_FILE):
        counts += _play_file(folder / f"{first}.db", min(CALLS_PER_FILE, size - first), seed + first)
    for fate, parts in DELIVERY_FAULTS.items():
        due = size * parts // sum(DELIVERY_FAULTS.values())
        assert counts[fate] >= due // 4, f"{counts[fate]} calls were {fate} where {due} were due"
    assert counts["unanswered"] >= size // 20, "too few calls were without an answer"
    assert counts["arrived_late"] >= size // 40, "too few requests arrived late"
    return counts


def _play_file(file: Path, calls: int, seed: int) -> Counter[str]:
    cli, plugins = InProcessCli(file), {"MINWALLET_PLUGINS": str(ORBIT_FOLDER)}
    fleet = LoadClients(create_players(cli, PLAYERS), seed, clients=CLIENTS, protocols=PROTOCOLS)
    add_orbit_secret(cli)
    with running_server(file, **plugins) as server:
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
