"""The measurements of `make bench-large`: the cost of a long ledger."""

import time
from functools import cached_property, partial
from pathlib import Path
from statistics import median

from tests.bench.environments import Environment
from tests.bench.measurements import CONNECTIONS
from tests.bench.sampling import Goal, Metric, Sample, SamplingRun
from tests.bench.server import BenchServer, MemoryMonitor, measure_command, measure_start
from tests.bench.wrk import run_wrk

SAMPLE_PLAYER = "bench_7"

PAGES = {
    "the overview": "/admin",
    "the players": "/admin/players",
    "players looked for": f"/admin/players?q={SAMPLE_PLAYER}",
    "a player": f"/admin/players/default/{SAMPLE_PLAYER}",
    "the transactions": "/admin/transactions",
    "a player's transactions": f"/admin/transactions?player_id={SAMPLE_PLAYER}",
    "a game's refused bets": "/admin/transactions?game=1007&state=refused",
    "a transaction": "/admin/transactions/{middle}",
    "open rounds": "/admin/rounds",
    "the agents": "/admin/agents",
    "access": "/admin/access",
    "settings": "/admin/settings",
}

PAGE_REPEATS = 3

PAGE_CACHE_S = 2.1
"""How long the overview shows the same figures."""


class LargeLedger:
    """The file, with its numbers of entries and players, and its initial size in bytes."""

    def __init__(self, file: Path, rows: int, players: int) -> None:
        self.file = file
        self.rows = rows
        self.players = players
        self.bytes = file.stat().st_size


class OfflineRun(SamplingRun):
    """The measurements while no server runs on the file."""

    def __init__(self, large: LargeLedger) -> None:
        super().__init__()
        self._large = large

    def start(self) -> Sample:
        return self.measure_once("from start to ready", lambda: measure_start(self._large.file))

    def read_all(self, command: str) -> Sample:
        return self.measure_once(f"{command} of all rows", lambda: self._read_all(command))

    def bytes_per_row(self) -> float:
        return self._large.bytes / self._large.rows

    def _read_all(self, command: str) -> Sample:
        seconds, mb = measure_command(self._large.file, *command.split())
        return Sample(per_second=self._large.rows / seconds, mb=mb)


class OnlineRun(SamplingRun):
    """The measurements of the server on the file, beside a server that started with an empty file."""

    def __init__(self, large: LargeLedger, server: BenchServer, environment: Environment, seconds: int) -> None:
        super().__init__()
        self._large = large
        self._server = server
        self._small_file, self._small_url = environment.folder / "wallet.db", environment.wallet_url
        self._seconds = seconds

    def measure_bets(self) -> Sample:
        return self.measure_once("bets, the large file", self._run_load)

    def measure_small_ledger_bets(self) -> Sample:
        measure = partial(run_wrk, self._small_url, CONNECTIONS, self._seconds)
        return self.measure_once("bets, a file that began empty", measure)

    def measure_slowest_page(self) -> float:
        return max(self.measure_once(f"page: {name}", partial(self._get_page_sample, name)).p50_ms for name in PAGES)

    def measure_totals(self) -> Sample:
        yesterday, today = (time.strftime("%Y-%m-%d", time.gmtime(time.time() - days * 86_400)) for days in (1, 0))
        return self.measure_once(
            "totals of a day", lambda: self._server.time_answer("/totals", since=yesterday, until=today)
        )

    def measure_entries(self) -> Sample:
        path = f"/transactions?player_id={SAMPLE_PLAYER}"
        return self.measure_once("a player's ledger from the API", lambda: self._server.time_answer(path))

    def measure_ledger_command(self) -> float:
        """Return the additional duration of the command compared with a short ledger, in ms."""
        long = self.measure_once("ledger command, a long ledger", partial(_time_ledger_command, self._large.file))
        short = self.measure_once("ledger command, a short ledger", partial(_time_ledger_command, self._small_file))
        return long.p50_ms - short.p50_ms

    def _run_load(self) -> Sample:
        with MemoryMonitor(self._server.endpoint.pid) as watch:
            sample = run_wrk(f"{self._server.endpoint.calls}/wallet", CONNECTIONS, self._seconds, self._large.players)
        return sample._replace(mb=watch.mb)

    def _get_page_sample(self, name: str) -> Sample:
        return self._page_samples[name]

    @cached_property
    def _page_samples(self) -> dict[str, Sample]:
        """Return the median duration of several requests, after a first one that loads the templates."""
        paths = {name: path.format(middle=self._large.rows // 2) for name, path in PAGES.items()}
        asked: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(1 + PAGE_REPEATS):
            for name, path in paths.items():
                asked[name].append(self._server.time_page(path).p50_ms)
            time.sleep(PAGE_CACHE_S)
        return {name: Sample(p50_ms=median(times[1:])) for name, times in asked.items()}


def _time_ledger_command(file: Path) -> Sample:
    seconds, mb = measure_command(file, "ledger", SAMPLE_PLAYER)
    return Sample(p50_ms=seconds * 1000, mb=mb)


_max_goal = partial(Goal, is_maximum=True)

OFFLINE_METRICS: tuple[Metric[OfflineRun], ...] = (
    Metric("ready", "from start to a good answer of /readyz, in ms", _max_goal(1000), lambda turn: turn.start().p50_ms),
    Metric("bytes", "bytes on disk per row, the journal apart", _max_goal(250), OfflineRun.bytes_per_row),
    Metric("verify", "rows/s of `verify`", Goal(500_000), lambda turn: turn.read_all("verify").per_second),
    Metric("export", "rows/s of `export`", Goal(500_000), lambda turn: turn.read_all("export ledger -").per_second),
)

FULL_SCAN_METRICS = OFFLINE_METRICS[-2:]
"""These read all rows, which takes minutes."""

ONLINE_METRICS: tuple[Metric[OnlineRun], ...] = (
    Metric(
        "rate",
        "bets/s ÷ bets/s on a file that began empty",
        Goal(0.9),
        lambda turn: turn.measure_bets().per_second / turn.measure_small_ledger_bets().per_second,
    ),
    Metric("memory", "memory under load, in MB", _max_goal(120), lambda turn: turn.measure_bets().mb),
    Metric("pages", "the slowest page of the back office, in ms", _max_goal(50), OnlineRun.measure_slowest_page),
    Metric(
        "ledger",
        "`ledger` of a player: ms more than on a short ledger",
        _max_goal(50),
        OnlineRun.measure_ledger_command,
    ),
    Metric(
        "entries",
        "a player's entries from the admin API, in ms",
        _max_goal(50),
        lambda turn: turn.measure_entries().p50_ms,
    ),
    Metric(
        "totals", "totals of a day from the admin API, in ms", _max_goal(200), lambda turn: turn.measure_totals().p50_ms
    ),
)
