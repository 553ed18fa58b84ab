"""`minwallet bench`: how many bets per second the own machine takes."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.ending import tidily
from minwallet.cli.link import change_file, database, with_store_of
from minwallet.cli.machine import processors
from minwallet.cli.output import BadUsage, JsonFlag, Refused, print_json, print_line, print_table
from minwallet.protocols.registry import PROTOCOLS
from minwallet.storage.errors import DatabaseUnusable

if TYPE_CHECKING:
    from minwallet.bench.load import LoadResult

BALANCE = 10**12

BUSY = 0.9
"""From how much of a processor on the load may be what limits the figure."""

Connections = Annotated[int, typer.Option("--connections", min=1, max=2000, help="How many bets are made at once.")]
Seconds = Annotated[int, typer.Option("--seconds", min=1, max=3600, help="How long bets are counted.")]
Players = Annotated[int, typer.Option("--players", min=1, max=100_000, help="How many players bet in turn.")]
Protocol = Annotated[str, typer.Option("--protocol", help="How the bets are made: wallet-v2 or vela.")]


def bench(
    context: typer.Context,
    connections: Connections = 64,
    seconds: Seconds = 5,
    players: Players = 1000,
    protocol: Protocol = "wallet-v2",
    as_json: JsonFlag = False,
) -> None:
    """Measure how many bets per second this machine takes. On a new file beside the wallet's, which is left alone.

    A server of this installation is started on that file and gets bets from this machine until the time is up; then
    the ledger is verified, and the file is removed. The load itself takes up to one processor, so on a machine with
    few of them the server alone could do more, and what a network costs is not in the figures.
    """
    if protocol not in PROTOCOLS:
        raise BadUsage(f"there is no protocol {protocol!r}; choose {' or '.join(PROTOCOLS)}")
    folder = database(context).absolute().parent
    with _place(folder) as path:
        fsync_ms, figures = _measure(path, protocol, connections, players, seconds)
    available = processors()
    caveats = notes(figures.cpu_share, available)
    if as_json:
        asked = {"protocol": protocol, "connections": connections, "players": players, "seconds": seconds}
        rates = {"bets_per_second": figures.per_second, "p50_ms": figures.p50_ms, "p99_ms": figures.p99_ms}
        load = {"load_busy": figures.cpu_share, "processors": available, "notes": caveats}
        print_json({**asked, "bets": figures.bets, **rates, "fsync_ms": fsync_ms, **load})
        return
    in_ms = [f"{ms:.2f}" for ms in (figures.p50_ms, figures.p99_ms, fsync_ms)]
    print_table(["bets/s>", "p50 ms>", "p99 ms>", "fsync ms>"], [[f"{figures.per_second:,.0f}", *in_ms]], "")
    print_line(f"""
{connections} connections bet for {players:,} players in {protocol}, each again as soon as it had its answer.
All {figures.bets:,} bets were durable before they were answered; the ledger sums and chains up.
fsync is the median of small writes, each synced, in {folder}.""")
    for note in caveats:
        print_line(note)


@contextmanager
def _place(folder: Path) -> Iterator[Path]:
    """A new wallet file on the disk that is measured, gone afterwards, however this ends."""
    try:
        with tidily(), tempfile.TemporaryDirectory(prefix="minwallet-bench-", dir=folder) as name:
            yield Path(name) / "bench.db"
    except OSError as error:
        reason = error.strerror or error
        raise DatabaseUnusable(f"cannot measure in {folder}: {reason}; choose another place with --db") from error


def _measure(path: Path, protocol: str, connections: int, players: int, seconds: int) -> tuple[float, "LoadResult"]:
    """How long the disk takes to sync, in ms, and how the bets went."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from minwallet.bench import load
    from minwallet.bench.disk import measure_sync_ms
    from minwallet.bench.server_process import raise_file_limit, run_server

    raise_file_limit(connections)
    tokens = [f"bench_{number}" for number in range(players)]
    stderr = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        show = partial(progress.update, progress.add_task("asking the disk", total=None))
        fsync_ms = measure_sync_ms(path.parent)
        show(description=f"making {players:,} players")
        _make_players(path, tokens)
        show(description="starting a server")
        # Calls come from here whoever else may call; all other settings are those that a server would have.
        with run_server(path, path.with_name("server.log"), MINWALLET_CALLBACK_ALLOW="") as server:
            show(description="betting", total=seconds)
            figures = load.run_load(
                server.calls,
                protocol,
                tokens,
                connections=connections,
                seconds=seconds,
                report_progress=lambda done_s: show(completed=done_s),
            )
        show(description="verifying the ledger")
        _verify(path, players + figures.bets, lambda done, total: show(completed=done, total=total))
    return fsync_ms, figures


def _make_players(path: Path, tokens: list[str]) -> None:
    from minwallet.operations.requests import Seed, SeedRow

    rows = [SeedRow(line=0, player_id=token, currency="USD", balance=BALANCE, token=token) for token in tokens]
    change_file(path, Seed(rows=tuple(rows)), create=True)


def _verify(path: Path, expected: int, tell: Callable[[int, int], None]) -> None:
    """Refused unless the ledger is right and has one entry for each deposit and each bet that was answered."""
    from minwallet.operations.verify import verify_ledger

    found = with_store_of(path, lambda store: verify_ledger(store, tell))
    if found["problems"]:
        raise Refused([*found["problems"][:5], "the ledger is wrong; please report this as a bug"])
    if found["entries"] != expected:
        raise Refused([f"the ledger has {found['entries']} entries, not {expected}; please report this as a bug"])


def notes(busy: float, available: int) -> list[str]:
    """How far the figures can be relied on, for a load that took so much of a processor."""
    share = f"The load took {busy:.0%} of a processor"
    if available > 1:
        said = [f"{share}, of {available}; the server had the rest."]
    else:
        said = [f"{share}, the only one; the server alone could do more."]
    if busy >= BUSY:
        said.append("It was the load that could do no more; the server may be faster than this.")
    return said
