"""The measurements of `make bench`."""

import time
from collections.abc import Callable
from pathlib import Path

from minwallet.bench.disk import measure_sync_ms
from tests.bench.environments import Environment, time_seed
from tests.bench.raw_sqlite import run_sequential_bets
from tests.bench.sampling import Goal, Metric, Sample, SamplingRun
from tests.bench.wrk import run_signed_wrk, run_wrk

CONNECTIONS = 64

CONNECTION_COUNTS = (1, 8, CONNECTIONS, 256, 1024)
"""The numbers of connections between which the server must not collapse."""

SEEDED_PLAYERS = 100_000

FRAME_BYTES = 4096 + 24
"""The size of one page in the write-ahead log."""


class StandardRun(SamplingRun):
    """The measurements in one environment. Each load takes this number of seconds."""

    def __init__(self, environment: Environment, seconds: int) -> None:
        super().__init__()
        self._environment = environment
        self._seconds = seconds

    def measure_empty_endpoint(self, connections: int = CONNECTIONS) -> Sample:
        url = self._environment.empty_url
        return self.measure_once(
            f"empty endpoint, {describe_connections(connections)}", lambda: run_wrk(url, connections, self._seconds)
        )

    def measure_bets(self, connections: int = CONNECTIONS) -> Sample:
        url = self._environment.wallet_url
        return self.measure_once(
            f"minwallet, {describe_connections(connections)}", lambda: run_wrk(url, connections, self._seconds)
        )

    def measure_without_journal(self) -> Sample:
        url = self._environment.no_journal_url
        return self.measure_once("minwallet without the journal", lambda: run_wrk(url, CONNECTIONS, self._seconds))

    def measure_signed_bets(self) -> Sample:
        place = self._environment
        url = place.orbit_url
        return self.measure_once(
            "minwallet, signed bets of orbit", lambda: run_signed_wrk(url, CONNECTIONS, self._seconds, place.folder)
        )

    def measure_single_player(self) -> Sample:
        url = self._environment.wallet_url
        return self.measure_once("minwallet, one player", lambda: run_wrk(url, CONNECTIONS, self._seconds, players=1))

    def measure_fastapi(self) -> Sample:
        url = self._environment.fastapi_url
        return self.measure_once("FastAPI and SQLAlchemy", lambda: run_wrk(url, CONNECTIONS, self._seconds))

    def measure_postgres(self) -> Sample:
        cluster = self._environment.cluster
        return self.measure_once("PostgreSQL (pgbench -N)", lambda: cluster.run_pgbench(CONNECTIONS, self._seconds))

    def measure_raw_sqlite(self) -> Sample:
        return self.measure_once(
            "SQLite in a loop", lambda: self._measure_on_new_file(lambda f: run_sequential_bets(f, self._seconds))
        )

    def measure_fsync(self) -> Sample:
        return self.measure_once(
            "one synced frame", lambda: Sample(p50_ms=measure_sync_ms(self._environment.folder, FRAME_BYTES))
        )

    def measure_seed(self) -> Sample:
        players = self._environment.write_players(SEEDED_PLAYERS)
        return self.measure_once(
            f"seed of {SEEDED_PLAYERS:,} players",
            lambda: self._measure_on_new_file(lambda file: Sample(SEEDED_PLAYERS / time_seed(file, players))),
        )

    def _measure_on_new_file(self, measure: Callable[[Path], Sample]) -> Sample:
        file = self._environment.folder / f"new-{time.time_ns()}.db"
        try:
            return measure(file)
        finally:
            for each in file.parent.glob(f"{file.name}*"):
                each.unlink()


def describe_connections(connections: int) -> str:
    """Return the number of connections of a load, as text."""
    return f"{connections} connection{'s' if connections > 1 else ''}"


def compute_single_client_cost(turn: StandardRun) -> float:
    return (turn.measure_bets(1).p50_ms - turn.measure_empty_endpoint(1).p50_ms) / turn.measure_fsync().p50_ms


def compute_scaling(turn: StandardRun) -> float:
    """Return the ratio of the rates with many connections and with the most; the other numbers are for the chart."""
    for size in CONNECTION_COUNTS:
        turn.measure_empty_endpoint(size)
        turn.measure_bets(size)
    return turn.measure_bets(CONNECTION_COUNTS[-1]).per_second / turn.measure_bets().per_second


METRICS: tuple[Metric[StandardRun], ...] = (
    Metric(
        "empty",
        "bets/s ÷ requests/s of an empty Starlette endpoint",
        Goal(0.75),
        lambda turn: turn.measure_bets().per_second / turn.measure_empty_endpoint().per_second,
    ),
    Metric(
        "p99",
        "p99 of a bet ÷ p99 of the empty endpoint",
        Goal(2, is_maximum=True),
        lambda turn: turn.measure_bets().p99_ms / turn.measure_empty_endpoint().p99_ms,
    ),
    Metric(
        "postgres",
        "bets/s ÷ PostgreSQL's transactions/s (pgbench -N -M prepared -c 64, scale 10), without HTTP on its side",
        Goal(1.5),
        lambda turn: turn.measure_bets().per_second / turn.measure_postgres().per_second,
    ),
    Metric(
        "fastapi",
        "bets/s ÷ those of a FastAPI and SQLAlchemy wallet with a commit per request",
        Goal(30),
        lambda turn: turn.measure_bets().per_second / turn.measure_fastapi().per_second,
    ),
    Metric(
        "journal",
        "bets/s ÷ those without the journal",
        None,
        lambda turn: turn.measure_bets().per_second / turn.measure_without_journal().per_second,
    ),
    Metric(
        "signed",
        "signed bets/s of the example package orbit ÷ bets/s of wallet-v2",
        Goal(0.8),
        lambda turn: turn.measure_signed_bets().per_second / turn.measure_bets().per_second,
    ),
    Metric(
        "alone",
        "one client alone: p50 of a bet less p50 of the empty endpoint, in synced writes of a page",
        Goal(2, is_maximum=True),
        compute_single_client_cost,
    ),
    Metric(
        "player",
        "one busy player: bets/s ÷ what raw SQLite allows with a commit per bet",
        Goal(0.5),
        lambda turn: turn.measure_single_player().per_second / turn.measure_raw_sqlite().per_second,
    ),
    Metric(
        "rise",
        "bets/s at 64 connections ÷ bets/s at 1",
        Goal(1),
        lambda turn: turn.measure_bets().per_second / turn.measure_bets(1).per_second,
    ),
    Metric("growth", "bets/s at 1,024 connections ÷ bets/s at 64: no collapse", Goal(0.9), compute_scaling),
    Metric(
        "seed",
        f"seed of {SEEDED_PLAYERS:,} players, in s",
        Goal(5, is_maximum=True),
        lambda turn: SEEDED_PLAYERS / turn.measure_seed().per_second,
    ),
)
