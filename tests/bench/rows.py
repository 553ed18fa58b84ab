"""What `make bench` finds out."""

import time
from collections.abc import Callable
from pathlib import Path

from minwallet.bench.disk import time_sync_ms
from tests.bench.place import Place, seed
from tests.bench.raw import bet_in_a_loop
from tests.bench.turns import Reach, Row, Sample, Turn
from tests.bench.wrk import load

CONNECTIONS = 64

SIZES = (1, 8, CONNECTIONS, 256, 1024)
"""The numbers of connections between which the server must not collapse."""

SEEDED = 100_000

FRAME_BYTES = 4096 + 24
"""What one page is in the write-ahead log."""


class Round(Turn):
    """What can be measured in a place, with loads of so many seconds."""

    def __init__(self, place: Place, seconds: int) -> None:
        super().__init__()
        self._place = place
        self._seconds = seconds

    def empty(self, connections: int = CONNECTIONS) -> Sample:
        url = self._place.empty
        return self.once(f"empty endpoint, {at(connections)}", lambda: load(url, connections, self._seconds))

    def bets(self, connections: int = CONNECTIONS) -> Sample:
        url = self._place.wallet
        return self.once(f"minwallet, {at(connections)}", lambda: load(url, connections, self._seconds))

    def unwritten(self) -> Sample:
        url = self._place.unwritten
        return self.once("minwallet without the journal", lambda: load(url, CONNECTIONS, self._seconds))

    def busy_player(self) -> Sample:
        url = self._place.wallet
        return self.once("minwallet, one player", lambda: load(url, CONNECTIONS, self._seconds, players=1))

    def fastapi(self) -> Sample:
        url = self._place.fastapi
        return self.once("FastAPI and SQLAlchemy", lambda: load(url, CONNECTIONS, self._seconds))

    def postgres(self) -> Sample:
        cluster = self._place.cluster
        return self.once("PostgreSQL (pgbench -N)", lambda: cluster.bet(CONNECTIONS, self._seconds))

    def raw(self) -> Sample:
        return self.once("SQLite in a loop", lambda: self._on_a_new_file(lambda f: bet_in_a_loop(f, self._seconds)))

    def fsync(self) -> Sample:
        return self.once("one synced frame", lambda: Sample(p50_ms=time_sync_ms(self._place.folder, FRAME_BYTES)))

    def seeding(self) -> Sample:
        players = self._place.players(SEEDED)
        return self.once(
            f"seed of {SEEDED:,} players",
            lambda: self._on_a_new_file(lambda file: Sample(SEEDED / seed(file, players))),
        )

    def _on_a_new_file(self, measure: Callable[[Path], Sample]) -> Sample:
        file = self._place.folder / f"new-{time.time_ns()}.db"
        try:
            return measure(file)
        finally:
            for each in file.parent.glob(f"{file.name}*"):
                each.unlink()


def at(connections: int) -> str:
    """The size of a load, in words."""
    return f"{connections} connection{'s' if connections > 1 else ''}"


def alone(turn: Round) -> float:
    return (turn.bets(1).p50_ms - turn.empty(1).p50_ms) / turn.fsync().p50_ms


def growth(turn: Round) -> float:
    """From many connections to very many; the other numbers are measured for the picture."""
    for size in SIZES:
        turn.empty(size)
        turn.bets(size)
    return turn.bets(SIZES[-1]).per_second / turn.bets().per_second


ROWS: tuple[Row[Round], ...] = (
    Row(
        "empty",
        "bets/s ÷ requests/s of an empty Starlette endpoint",
        Reach(0.75),
        lambda turn: turn.bets().per_second / turn.empty().per_second,
    ),
    Row(
        "p99",
        "p99 of a bet ÷ p99 of the empty endpoint",
        Reach(2, at_most=True),
        lambda turn: turn.bets().p99_ms / turn.empty().p99_ms,
    ),
    Row(
        "postgres",
        "bets/s ÷ PostgreSQL's transactions/s (pgbench -N -M prepared -c 64, scale 10), without HTTP on its side",
        Reach(1.5),
        lambda turn: turn.bets().per_second / turn.postgres().per_second,
    ),
    Row(
        "fastapi",
        "bets/s ÷ those of a FastAPI and SQLAlchemy wallet with a commit per request",
        Reach(30),
        lambda turn: turn.bets().per_second / turn.fastapi().per_second,
    ),
    Row(
        "journal",
        "bets/s ÷ those without the journal",
        None,
        lambda turn: turn.bets().per_second / turn.unwritten().per_second,
    ),
    Row(
        "alone",
        "one client alone: p50 of a bet less p50 of the empty endpoint, in synced writes of a page",
        Reach(2, at_most=True),
        alone,
    ),
    Row(
        "player",
        "one busy player: bets/s ÷ what raw SQLite allows with a commit per bet",
        Reach(0.5),
        lambda turn: turn.busy_player().per_second / turn.raw().per_second,
    ),
    Row(
        "rise",
        "bets/s at 64 connections ÷ bets/s at 1",
        Reach(1),
        lambda turn: turn.bets().per_second / turn.bets(1).per_second,
    ),
    Row("growth", "bets/s at 1,024 connections ÷ bets/s at 64: no collapse", Reach(0.9), growth),
    Row(
        "seed",
        f"seed of {SEEDED:,} players, in s",
        Reach(5, at_most=True),
        lambda turn: SEEDED / turn.seeding().per_second,
    ),
)
