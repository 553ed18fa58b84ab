"""What Prometheus is told at `/metrics`: how calls end and how long they take, what players hold, how the server is.

Only this file knows the library. Calls and commits are counted as they come; everything else is looked up when somebody
asks, on the thread for what people look at, so that no bet waits for it.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from math import nan
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from minwallet import __version__
from minwallet.storage.queries import CurrencyBalance
from minwallet.storage.store import Store
from minwallet.wallet.batch import MAX_BATCH_SIZE
from minwallet.wallet.service import Wallet
from minwallet.web.admin_api.api_schemas import NoParameters
from minwallet.web.admin_api.endpoint import ApiEndpoint
from minwallet.web.admin_api.operation import ApiContext, Caller, from_handler
from minwallet.web.health import HealthReport
from minwallet.web.ttl_cache import AsyncTTLCache

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

BATCH_SIZE_BUCKETS = tuple(2**power for power in range(MAX_BATCH_SIZE.bit_length()))

OPEN_ROUNDS_WINDOW = 50_000
"""Among how many of the newest entries open rounds are counted: some 60 ms. Of all there is no telling: many a provider
never says that a round was lost."""

LEDGER_TTL_S = 10.0
"""However many servers scrape, the ledger is read anew only so often. Adding up 100,000 accounts takes a tenth of a
second."""

UNKNOWN_OPERATION = "unknown"
"""The operation of a call that names none; Prometheus takes an empty label for no label."""

CallRecorder = Callable[[str, str, float], None]
"""Is told of each call of a protocol: its operation, its outcome in the access log's word, and its seconds."""

# When each series began is twice the series, and nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types


class LedgerGauges(NamedTuple):
    """What was read of the ledger."""

    holdings: Sequence[CurrencyBalance]
    open_rounds: int


class Metrics:
    """The numbers of one server."""

    def __init__(self, sqlite_version: str) -> None:
        self._registry = registry = CollectorRegistry()

        def create_gauge(name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
            return Gauge(f"minwallet_{name}", help_text, labels, registry=registry)

        call_labels = ("protocol", "operation")
        self._calls = Counter(
            "minwallet_calls", "Provider calls, by how they ended.", (*call_labels, "outcome"), registry=registry
        )
        self._call_seconds = Histogram(
            "minwallet_call_seconds",
            "From the head of a provider call to its answer.",
            call_labels,
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._batch_commands = Histogram(
            "minwallet_batch_commands",
            "How many commands shared a commit.",
            buckets=BATCH_SIZE_BUCKETS,
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "minwallet_commit_seconds",
            "From handing commands to the file until they are durable.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._waiting_calls = create_gauge("waiting_calls", "Provider calls that are begun and not yet answered.")
        self._wal_bytes = create_gauge("wal_bytes", "Size of the write-ahead log.")
        self._file_bytes = create_gauge("file_bytes", "Size of the wallet file.")
        self._free_bytes = create_gauge("free_bytes", "What is free on the disk of the wallet file.")
        self._open_rounds = create_gauge(
            "open_rounds", f"Rounds neither won nor called off, among the newest {OPEN_ROUNDS_WINDOW:,} entries."
        )
        self._held_cents = create_gauge("held_cents", "What all players hold.", ("currency", "kind"))
        self._ready = create_gauge("ready", "1 while all money can be taken, as /readyz says.")
        Info("minwallet", "Versions.", registry=registry).info({"version": __version__, "sqlite": sqlite_version})
        ProcessCollector(registry=registry)

    def record_commit(self, commands: int, seconds: float) -> None:
        self._batch_commands.observe(commands)
        self._commit_seconds.observe(seconds)

    def call_recorder(self, protocol: str) -> CallRecorder:
        """Counts this protocol's calls."""

        # Labels are looked up once, which takes longer than all the rest.
        @cache
        def get_series(operation: str, outcome: str) -> tuple[Callable[[], None], Callable[[float], None]]:
            operation_label = operation or UNKNOWN_OPERATION
            counter = self._calls.labels(protocol, operation_label, outcome)
            return counter.inc, self._call_seconds.labels(protocol, operation_label).observe

        def record_call(operation: str, outcome: str, seconds: float) -> None:
            count, observe = get_series(operation, outcome)
            count()
            observe(seconds)

        return record_call

    def routes(self, api: ApiContext) -> list[BaseRoute]:
        """`GET /metrics`, for a key of the admin API that reads for all agents."""
        ledger_cache = AsyncTTLCache(lambda: _read_ledger_gauges(api.wallet.store), LEDGER_TTL_S)

        async def show_metrics(caller: Caller, params: NoParameters) -> Response:
            del params
            self._update_gauges(caller.wallet, caller.api.build_health_report(), await ledger_cache.get())
            # Spelling it all takes some ms, between which the thread lets calls have their turn.
            text = await asyncio.to_thread(self.render)
            return Response(text, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

        operation = from_handler("GET /metrics", show_metrics, "Show what Prometheus collects", all_agents_only=True)
        return [Route("/metrics", ApiEndpoint(api, [operation]))]

    def render(self) -> bytes:
        """All numbers as they stand, in the text format."""
        return generate_latest(self._registry)

    def _update_gauges(self, wallet: Wallet, health: HealthReport, ledger: LedgerGauges) -> None:
        """Note how everything is now that nobody counts as it comes."""
        self._waiting_calls.set(wallet.calls_in_flight)
        self._ready.set(health.is_ready)
        for gauge, size in (
            (self._wal_bytes, health.wal_bytes),
            (self._file_bytes, health.file_bytes),
            (self._free_bytes, health.free_bytes),
        ):
            gauge.set(nan if size is None else size)
        self._open_rounds.set(ledger.open_rounds)
        for holding in ledger.holdings:
            self._held_cents.labels(holding.currency, "cash").set(holding.cash)
            self._held_cents.labels(holding.currency, "bonus").set(holding.bonus)


async def _read_ledger_gauges(store: Store) -> LedgerGauges:
    return LedgerGauges(
        await store.totals.read_currency_balances(), await store.ledger.count_open_rounds(OPEN_ROUNDS_WINDOW)
    )
