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
from minwallet.web.admin_api.endpoint import Endpoint
from minwallet.web.admin_api.operation import Api, Caller, by_handler
from minwallet.web.admin_api.shapes import Nothing
from minwallet.web.fresh import Fresh
from minwallet.web.health import Health

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

COMMANDS = tuple(2**power for power in range(MAX_BATCH_SIZE.bit_length()))

OPEN_AMONG = 50_000
"""Among how many of the newest entries open rounds are counted: some 60 ms. Of all there is no telling: many a provider
never says that a round was lost."""

FRESH_S = 10.0
"""However many servers scrape, the ledger is read anew only so often. Adding up 100,000 accounts takes a tenth of a
second."""

UNKNOWN = "unknown"
"""The operation of a call that names none; Prometheus takes an empty label for no label."""

Meter = Callable[[str, str, float], None]
"""Is told of each call of a protocol: its operation, its outcome in the access log's word, and its seconds."""

# When each series began is twice the series, and nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types


class _Books(NamedTuple):
    """What was read of the ledger."""

    holdings: Sequence[CurrencyBalance]
    open_rounds: int


class Metrics:
    """The numbers of one server."""

    def __init__(self, sqlite_version: str) -> None:
        self._registry = registry = CollectorRegistry()

        def gauge(name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
            return Gauge(f"minwallet_{name}", meaning, labels, registry=registry)

        of_call = ("protocol", "operation")
        self._calls = Counter(
            "minwallet_calls", "Provider calls, by how they ended.", (*of_call, "outcome"), registry=registry
        )
        self._call_seconds = Histogram(
            "minwallet_call_seconds",
            "From the head of a provider call to its answer.",
            of_call,
            buckets=SECONDS,
            registry=registry,
        )
        self._batch_commands = Histogram(
            "minwallet_batch_commands", "How many commands shared a commit.", buckets=COMMANDS, registry=registry
        )
        self._commit_seconds = Histogram(
            "minwallet_commit_seconds",
            "From handing commands to the file until they are durable.",
            buckets=SECONDS,
            registry=registry,
        )
        self._waiting = gauge("waiting_calls", "Provider calls that are begun and not yet answered.")
        self._wal = gauge("wal_bytes", "Size of the write-ahead log.")
        self._file = gauge("file_bytes", "Size of the wallet file.")
        self._free = gauge("free_bytes", "What is free on the disk of the wallet file.")
        self._open = gauge(
            "open_rounds", f"Rounds neither won nor called off, among the newest {OPEN_AMONG:,} entries."
        )
        self._held = gauge("held_cents", "What all players hold.", ("currency", "kind"))
        self._ready = gauge("ready", "1 while all money can be taken, as /readyz says.")
        Info("minwallet", "Versions.", registry=registry).info({"version": __version__, "sqlite": sqlite_version})
        ProcessCollector(registry=registry)

    def count_commit(self, commands: int, seconds: float) -> None:
        self._batch_commands.observe(commands)
        self._commit_seconds.observe(seconds)

    def meter(self, protocol: str) -> Meter:
        """Counts this protocol's calls."""

        # Labels are looked up once, which takes longer than all the rest.
        @cache
        def find(operation: str, outcome: str) -> tuple[Callable[[], None], Callable[[float], None]]:
            named = operation or UNKNOWN
            counter = self._calls.labels(protocol, named, outcome)
            return counter.inc, self._call_seconds.labels(protocol, named).observe

        def count_call(operation: str, outcome: str, seconds: float) -> None:
            count, observe = find(operation, outcome)
            count()
            observe(seconds)

        return count_call

    def routes(self, api: Api) -> list[BaseRoute]:
        """`GET /metrics`, for a key of the admin API that reads for all agents."""
        books = Fresh(lambda: _read_books(api.wallet.store), FRESH_S)

        async def show_metrics(caller: Caller, asked: Nothing) -> Response:
            del asked
            self._look(caller.wallet, caller.api.examine(), await books.get())
            # Spelling it all takes some ms, between which the thread lets calls have their turn.
            text = await asyncio.to_thread(self.tell)
            return Response(text, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

        operation = by_handler("GET /metrics", show_metrics, "Show what Prometheus collects", for_all=True)
        return [Route("/metrics", Endpoint(api, [operation]))]

    def tell(self) -> bytes:
        """All numbers as they stand, in the text format."""
        return generate_latest(self._registry)

    def _look(self, wallet: Wallet, health: Health, books: _Books) -> None:
        """Note how everything is now that nobody counts as it comes."""
        self._waiting.set(wallet.calls_in_flight)
        self._ready.set(health.is_ready)
        for gauge, size in (
            (self._wal, health.wal_bytes),
            (self._file, health.file_bytes),
            (self._free, health.free_bytes),
        ):
            gauge.set(nan if size is None else size)
        self._open.set(books.open_rounds)
        for held in books.holdings:
            self._held.labels(held.currency, "cash").set(held.cash)
            self._held.labels(held.currency, "bonus").set(held.bonus)


async def _read_books(store: Store) -> _Books:
    return _Books(await store.read_currency_balances(), await store.count_open_rounds(OPEN_AMONG))
