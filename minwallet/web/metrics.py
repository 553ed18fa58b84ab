"""Metrics for Prometheus at `/metrics`: outcomes and durations of calls, held money, state of the server.

This is the only module that uses prometheus_client.

Two kinds of values
===================

- Calls and commits are counted when they happen. Calls are the hot path, so `_CallMetrics` counts them.
- All other values are read at a scrape. The ledger's sums are cached for LEDGER_TTL_S and read through the connection
  for the user interface, so no bet waits for a scrape. The text is rendered on a thread.

Labels
======

Each combination of labels is a series that stays in memory. So no label may have a value that a client can choose:

==========  ==========================================================================================
label       values
==========  ==========================================================================================
protocol    the protocols of the registry
operation   the `operations` that a protocol declares; `unknown` for every other one
outcome     the states and refusals of the ledger, `shown`, `replayed`, `malformed`, `http STATUS`, and the
            failures of `gateway.signatures`
currency    the currencies of existing accounts, which the operator creates
kind        `cash`, `bonus`
==========  ==========================================================================================

Players, agents, games, addresses and tokens are never labels. They are unbounded, or secret, or both.
"""

import asyncio
import resource
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate
from math import nan
from pathlib import Path
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Histogram,
    Info,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from minwallet import __version__
from minwallet.storage.queries import CurrencyBalance, OrphanWins
from minwallet.storage.store import Store
from minwallet.wallet.batch import MAX_BATCH_SIZE
from minwallet.wallet.service import Wallet
from minwallet.web.admin_api.api_schemas import NoParameters
from minwallet.web.admin_api.endpoint import ApiEndpoint
from minwallet.web.admin_api.operation import ApiCaller, ApiContext, from_handler
from minwallet.web.health import HealthReport
from minwallet.web.ttl_cache import AsyncTTLCache

# From the commit of a fast disk to the time-out of a patient provider.
LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

BATCH_SIZE_BUCKETS = tuple(2**power for power in range(MAX_BATCH_SIZE.bit_length()))

OPEN_ROUNDS_WINDOW = 50_000
"""Number of the newest entries among which open rounds are counted, in about 60 ms. A count over all entries would have
no meaning, because many providers never report a lost round."""

LEDGER_TTL_S = 10.0
"""Lifetime of the cached sums, for any number of scrapers. To add up 100,000 accounts takes a tenth of a second."""

UNKNOWN_OPERATION = "unknown"
"""Operation of a call that names none of the protocol's. To Prometheus an empty label means no label."""

CallRecorder = Callable[[str, str, float], None]
"""Function that counts a call of one protocol: its operation, its outcome as in the access log, its seconds."""

# The `_created` series would double the number of series, and no dashboard here uses them.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types


class LedgerGauges(NamedTuple):
    """Values read from the ledger at a scrape, and cached."""

    holdings: Sequence[CurrencyBalance]
    open_rounds: int
    orphan_wins: Sequence[OrphanWins]


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self, sqlite_version: str) -> None:
        self._registry = registry = CollectorRegistry()

        def create_gauge(name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
            return Gauge(f"minwallet_{name}", help_text, labels, registry=registry)

        self._batch_commands = Histogram(
            "minwallet_batch_commands",
            "Commands per commit.",
            buckets=BATCH_SIZE_BUCKETS,
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "minwallet_commit_seconds",
            "Time from the start of a batch until it is durable.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._waiting_calls = create_gauge("waiting_calls", "Provider calls in flight.")
        self._wal_bytes = create_gauge("wal_bytes", "Size of the write-ahead log.")
        self._file_bytes = create_gauge("file_bytes", "Size of the wallet file.")
        self._free_bytes = create_gauge("free_bytes", "Free space on the disk of the wallet file.")
        self._open_rounds = create_gauge(
            "open_rounds", f"Rounds without a win or cancel, among the newest {OPEN_ROUNDS_WINDOW:,} entries."
        )
        self._held_cents = create_gauge("held_cents", "Money of all players.", ("currency", "kind"))
        self._orphan_wins = create_gauge(
            "wins_without_a_bet", "Wins in the ledger that were paid without a bet.", ("currency",)
        )
        self._orphan_cents = create_gauge("wins_without_a_bet_cents", "Sum of these wins.", ("currency",))
        self._backup_age = create_gauge(
            "backup_age_seconds", "Age of the newest automatic backup, or the server's uptime if there is none."
        )
        self._backup_interval = create_gauge("backup_interval_seconds", "Interval of the automatic backups.")
        self._ready = create_gauge("ready", "1 if /readyz is ready, else 0.")
        Info("minwallet", "Versions.", registry=registry).info({"version": __version__, "sqlite": sqlite_version})
        self._calls = _CallMetrics()
        registry.register(self._calls)
        registry.register(_ProcessMetrics())

    def record_commit(self, commands: int, seconds: float) -> None:
        """Count a commit of `commands` commands that took `seconds`."""
        self._batch_commands.observe(commands)
        self._commit_seconds.observe(seconds)

    def call_recorder(self, protocol: str) -> CallRecorder:
        """Return the function that counts this protocol's calls."""
        return self._calls.create_recorder(protocol)

    def routes(self, api: ApiContext) -> list[BaseRoute]:
        """Return the route of `GET /metrics`, which requires an API key for all agents: the metrics show all money."""
        ledger_cache = AsyncTTLCache(lambda: _read_ledger_gauges(api.wallet.store), LEDGER_TTL_S)

        async def show_metrics(caller: ApiCaller, params: NoParameters) -> Response:
            del params
            self._update_gauges(caller.wallet, caller.api.build_health_report(), await ledger_cache.get())
            # Rendering takes some ms. On a thread it shares the interpreter with the calls instead of stopping them.
            text = await asyncio.to_thread(self.render)
            return Response(text, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

        operation = from_handler("GET /metrics", show_metrics, "Show the metrics for Prometheus", all_agents_only=True)
        return [Route("/metrics", ApiEndpoint(api, [operation]))]

    def render(self) -> bytes:
        """Return all values in Prometheus's text format."""
        return generate_latest(self._registry)

    def _update_gauges(self, wallet: Wallet, health: HealthReport, ledger: LedgerGauges) -> None:
        """Set the gauges that are not counted when they change."""
        self._waiting_calls.set(wallet.calls_in_flight)
        self._ready.set(health.is_ready)
        for gauge, value in (
            (self._wal_bytes, health.wal_bytes),
            (self._file_bytes, health.file_bytes),
            (self._free_bytes, health.free_bytes),
            (self._backup_age, health.backup_age_s),
            (self._backup_interval, health.backup_interval_s),
        ):
            # NaN means "not known"; 0 would raise an alert about a full disk.
            gauge.set(nan if value is None else value)
        self._open_rounds.set(ledger.open_rounds)
        for holding in ledger.holdings:
            self._held_cents.labels(holding.currency, "cash").set(holding.cash)
            self._held_cents.labels(holding.currency, "bonus").set(holding.bonus)
            # A currency without such wins has a series too. An alert on a change would miss the first win otherwise.
            self._orphan_wins.labels(holding.currency)
            self._orphan_cents.labels(holding.currency)
        for currency, wins, paid in ledger.orphan_wins:
            self._orphan_wins.labels(currency).set(wins)
            self._orphan_cents.labels(currency).set(paid)


class _CallMetrics(Collector):
    """The provider calls by outcome, and their times.

    Every call is counted on the event loop, so the sums need no lock. A Counter and a Histogram of the library lock
    each of them, and take five times as long.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._times: defaultdict[tuple[str, str], _Times] = defaultdict(_Times)

    def create_recorder(self, protocol: str) -> CallRecorder:
        counts, all_times = self._counts, self._times

        def record_call(operation: str, outcome: str, seconds: float) -> None:
            counts[protocol, operation, outcome] += 1
            times = all_times[protocol, operation]
            times.sum_s += seconds
            times.buckets[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1

        return record_call

    def collect(self) -> Iterator[Metric]:
        # This runs on another thread than the calls, so it copies what they change.
        calls = CounterMetricFamily(
            "minwallet_calls", "Provider calls by outcome.", labels=("protocol", "operation", "outcome")
        )
        for labels, count in list(self._counts.items()):
            calls.add_metric(labels, count)
        yield calls
        call_seconds = HistogramMetricFamily(
            "minwallet_call_seconds",
            "Time from the head of a provider call to its answer.",
            labels=("protocol", "operation"),
        )
        bounds = [*map(floatToGoString, LATENCY_BUCKETS_S), "+Inf"]
        for names, times in list(self._times.items()):
            call_seconds.add_metric(names, list(zip(bounds, accumulate(times.buckets), strict=True)), times.sum_s)
        yield call_seconds


class _Times:
    """The number of calls for each bucket of LATENCY_BUCKETS_S and above, and the sum of their times."""

    __slots__ = ("buckets", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self.sum_s = 0.0


class _ProcessMetrics(Collector):
    """The standard metrics of a process, under their usual names.

    The library's own collector reports nothing without `/proc/stat`, which a systemd unit with `ProcSubset=pid` hides.
    This one reads only what a process may always see of itself.
    """

    def __init__(self) -> None:
        self._started_s = time.time()

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "process_start_time_seconds", "Start of the server, in seconds since 1970 UTC.", self._started_s
        )
        yield CounterMetricFamily("process_cpu_seconds", "Processor time, of user and system.", time.process_time())
        max_fds, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        yield GaugeMetricFamily("process_max_fds", "Maximum number of open file descriptors.", max_fds)
        with suppress(OSError):  # Only Linux has these files.
            open_fds = sum(1 for _ in Path("/proc/self/fd").iterdir())
            virtual, resident = map(int, Path("/proc/self/statm").read_text("ascii").split()[:2])
            yield GaugeMetricFamily("process_open_fds", "Number of open file descriptors.", open_fds)
            for name, pages in (("virtual", virtual), ("resident", resident)):
                size = pages * resource.getpagesize()
                yield GaugeMetricFamily(f"process_{name}_memory_bytes", f"Size of the {name} memory in bytes.", size)


async def _read_ledger_gauges(store: Store) -> LedgerGauges:
    return LedgerGauges(
        await store.totals.read_currency_balances(),
        await store.ledger.count_open_rounds(OPEN_ROUNDS_WINDOW),
        await store.totals.read_orphan_wins(),
    )
