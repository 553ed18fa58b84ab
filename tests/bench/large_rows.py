"""What `make bench-large` finds out: what a long ledger costs."""

import time
from functools import cached_property, partial
from pathlib import Path
from statistics import median

from tests.bench.place import Place
from tests.bench.rows import CONNECTIONS
from tests.bench.served import Served, Watch, run_command, time_start
from tests.bench.turns import Reach, Row, Sample, Turn
from tests.bench.wrk import load

SOMEBODY = "bench_7"

PAGES = {
    "the overview": "/admin",
    "the players": "/admin/players",
    "players looked for": f"/admin/players?q={SOMEBODY}",
    "a player": f"/admin/players/default/{SOMEBODY}",
    "the transactions": "/admin/transactions",
    "a player's transactions": f"/admin/transactions?player_id={SOMEBODY}",
    "a game's refused bets": "/admin/transactions?game=1007&state=refused",
    "a transaction": "/admin/transactions/{middle}",
    "open rounds": "/admin/rounds",
    "the agents": "/admin/agents",
    "access": "/admin/access",
    "settings": "/admin/settings",
}

PAGE_TIMES = 3

FRESH_S = 2.1
"""How long the overview shows the same figures."""


class Large:
    """The file, with how many rows and players it has been made, and how many bytes it had then."""

    def __init__(self, file: Path, rows: int, players: int) -> None:
        self.file = file
        self.rows = rows
        self.players = players
        self.bytes = file.stat().st_size


class Idle(Turn):
    """What is measured while no server runs on the file."""

    def __init__(self, large: Large) -> None:
        super().__init__()
        self._large = large

    def start(self) -> Sample:
        return self.once("from start to ready", lambda: time_start(self._large.file))

    def read_all(self, command: str) -> Sample:
        return self.once(f"{command} of all rows", lambda: self._read_all(command))

    def bytes_per_row(self) -> float:
        return self._large.bytes / self._large.rows

    def _read_all(self, command: str) -> Sample:
        seconds, mb = run_command(self._large.file, *command.split())
        return Sample(per_second=self._large.rows / seconds, mb=mb)


class Busy(Turn):
    """What is measured of the server that runs on the file, beside one that began with an empty file."""

    def __init__(self, large: Large, at: Served, place: Place, seconds: int) -> None:
        super().__init__()
        self._large = large
        self._at = at
        self._short_file, self._short_url = place.folder / "wallet.db", place.wallet
        self._seconds = seconds

    def bets(self) -> Sample:
        return self.once("bets, the large file", self._bet)

    def bets_of_few(self) -> Sample:
        measure = partial(load, self._short_url, CONNECTIONS, self._seconds)
        return self.once("bets, a file that began empty", measure)

    def slowest_page(self) -> float:
        return max(self.once(f"page: {name}", partial(self._page, name)).p50_ms for name in PAGES)

    def totals(self) -> Sample:
        yesterday, today = (time.strftime("%Y-%m-%d", time.gmtime(time.time() - days * 86_400)) for days in (1, 0))
        return self.once("totals of a day", lambda: self._at.time_answer("/totals", since=yesterday, until=today))

    def entries(self) -> Sample:
        path = f"/transactions?player_id={SOMEBODY}"
        return self.once("a player's ledger from the API", lambda: self._at.time_answer(path))

    def ledger(self) -> float:
        """What the command takes longer than on a short ledger, in ms."""
        long = self.once("ledger command, a long ledger", partial(_ledger, self._large.file))
        short = self.once("ledger command, a short ledger", partial(_ledger, self._short_file))
        return long.p50_ms - short.p50_ms

    def _bet(self) -> Sample:
        with Watch(self._at.desk.pid) as watch:
            sample = load(f"{self._at.desk.calls}/wallet", CONNECTIONS, self._seconds, self._large.players)
        return sample._replace(mb=watch.mb)

    def _page(self, name: str) -> Sample:
        return self._pages[name]

    @cached_property
    def _pages(self) -> dict[str, Sample]:
        """The median of some times, after a first one in which templates are read."""
        paths = {name: path.format(middle=self._large.rows // 2) for name, path in PAGES.items()}
        asked: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(1 + PAGE_TIMES):
            for name, path in paths.items():
                asked[name].append(self._at.time_page(path).p50_ms)
            time.sleep(FRESH_S)
        return {name: Sample(p50_ms=median(times[1:])) for name, times in asked.items()}


def _ledger(file: Path) -> Sample:
    seconds, mb = run_command(file, "ledger", SOMEBODY)
    return Sample(p50_ms=seconds * 1000, mb=mb)


_at_most = partial(Reach, at_most=True)

IDLE_ROWS: tuple[Row[Idle], ...] = (
    Row("ready", "from start to a good answer of /readyz, in ms", _at_most(1000), lambda turn: turn.start().p50_ms),
    Row("bytes", "bytes on disk per row, the journal apart", _at_most(250), Idle.bytes_per_row),
    Row("verify", "rows/s of `verify`", Reach(500_000), lambda turn: turn.read_all("verify").per_second),
    Row("export", "rows/s of `export`", Reach(500_000), lambda turn: turn.read_all("export ledger -").per_second),
)

LONG_ROWS = IDLE_ROWS[-2:]
"""These read all rows, which takes minutes."""

BUSY_ROWS: tuple[Row[Busy], ...] = (
    Row(
        "rate",
        "bets/s ÷ bets/s on a file that began empty",
        Reach(0.9),
        lambda turn: turn.bets().per_second / turn.bets_of_few().per_second,
    ),
    Row("memory", "memory under load, in MB", _at_most(120), lambda turn: turn.bets().mb),
    Row("pages", "the slowest page of the back office, in ms", _at_most(50), Busy.slowest_page),
    Row("ledger", "`ledger` of a player: ms more than on a short ledger", _at_most(50), Busy.ledger),
    Row("entries", "a player's entries from the admin API, in ms", _at_most(50), lambda turn: turn.entries().p50_ms),
    Row("totals", "totals of a day from the admin API, in ms", _at_most(200), lambda turn: turn.totals().p50_ms),
)
