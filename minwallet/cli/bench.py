"""`minwallet bench`: the bets per second of this machine."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.cpu import available_cpus
from minwallet.cli.dispatch import database_path, execute_on_file, run_with_store_at
from minwallet.cli.options import JsonOption
from minwallet.cli.output import CommandRefused, UsageError, print_json, print_line, print_table
from minwallet.cli.signals import handle_termination
from minwallet.storage.errors import DatabaseUnusable

if TYPE_CHECKING:
    from minwallet.bench.load import LoadResult

OPENING_BALANCE_CENTS = 10**12

SATURATED_SHARE = 0.9
"""The share of one processor from which the load generator itself may limit the result."""

ConnectionsOption = Annotated[
    int, typer.Option("--connections", min=1, max=2000, help="Number of connections that bet in parallel.")
]
SecondsOption = Annotated[int, typer.Option("--seconds", min=1, max=3600, help="Duration of the load, in seconds.")]
PlayersOption = Annotated[
    int, typer.Option("--players", min=1, max=100_000, help="Number of players, who bet in turn.")
]
ProtocolOption = Annotated[
    str | None, typer.Option("--protocol", help="The bets' protocol.  [default: the first one that signs nothing]")
]


def bench(
    context: typer.Context,
    connections: ConnectionsOption = 64,
    seconds: SecondsOption = 5,
    players: PlayersOption = 1000,
    protocol: ProtocolOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the bets per second of this machine.

    The command starts a server on a new file in the wallet file's folder and sends bets to it. At the end it verifies
    the ledger and removes the file. The wallet file itself stays unchanged.

    The load generator uses up to one processor. On a machine with few processors, the server alone could do more. The
    result does not include the time on a network. For a protocol that signs its requests, the load generator signs each
    bet, and the server checks the signature.

    Example: minwallet bench --connections 256 --seconds 30
    """
    protocol, is_signed = _choose_protocol(protocol)
    folder = database_path(context).absolute().parent
    with _temporary_database(folder) as path:
        fsync_ms, figures = _run_benchmark(path, protocol, connections, players, seconds, is_signed=is_signed)
    available = available_cpus()
    caveats = describe_caveats(figures.cpu_share, available)
    if is_signed:
        caveats.append("The load generator signed each bet, which is a part of its work.")
    if as_json:
        options = {"protocol": protocol, "connections": connections, "players": players, "seconds": seconds}
        rates = {"bets_per_second": figures.per_second, "p50_ms": figures.p50_ms, "p99_ms": figures.p99_ms}
        load = {"load_busy": figures.cpu_share, "processors": available, "notes": caveats}
        print_json({**options, "bets": figures.bets, **rates, "fsync_ms": fsync_ms, **load})
        return
    cells_ms = [f"{ms:.2f}" for ms in (figures.p50_ms, figures.p99_ms, fsync_ms)]
    print_table(["bets/s>", "p50 ms>", "p99 ms>", "fsync ms>"], [[f"{figures.per_second:,.0f}", *cells_ms]], "")
    print_line(f"""
Load: {connections} connections, {players:,} players, {protocol}; each connection bets again when it has its reply.
All {figures.bets:,} bets were durable before their reply. The ledger is verified.
fsync is the median time of a small synced write in {folder}.""")
    for note in caveats:
        print_line(note)


@contextmanager
def _temporary_database(folder: Path) -> Iterator[Path]:
    """Yield the path of a new wallet file on the disk to measure. Remove it at the end, also after a signal."""
    try:
        with handle_termination(), tempfile.TemporaryDirectory(prefix="minwallet-bench-", dir=folder) as name:
            yield Path(name) / "bench.db"
    except OSError as error:
        reason = error.strerror or error
        raise DatabaseUnusable(f"cannot run the benchmark in {folder}: {reason}; choose another with --db") from error


def _run_benchmark(
    path: Path, protocol: str, connections: int, players: int, seconds: int, *, is_signed: bool
) -> tuple[float, "LoadResult"]:
    """Return the median time of a synced write in ms, and the result of the load."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from minwallet.bench import load
    from minwallet.bench.disk import measure_sync_ms
    from minwallet.bench.server_process import raise_file_limit, run_server
    from minwallet.config import load_settings

    raise_file_limit(connections)
    tokens = [f"bench_{number}" for number in range(players)]
    stderr = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        show = partial(progress.update, progress.add_task("measuring the disk", total=None))
        fsync_ms = measure_sync_ms(path.parent)
        show(description=f"adding {players:,} players")
        _create_players(path, tokens)
        secret = _create_secret(path, protocol) if is_signed else ""
        show(description="starting a server")
        # The load comes from this machine, which an allow list may not include, and its calls have no wallet token.
        # All other settings stay in force.
        settings = {"MINWALLET_REQUIRE_WALLET_TOKEN": "false"}
        if load_settings(db=path).callback_allow:
            settings["MINWALLET_CALLBACK_ALLOW"] = "127.0.0.0/8"
        with run_server(path, path.with_name("server.log"), **settings) as server:
            show(description="betting", total=seconds)
            figures = load.run_load(
                server.calls,
                protocol,
                tokens,
                connections=connections,
                seconds=seconds,
                secret=secret,
                report_progress=lambda done_s: show(completed=done_s),
            )
        show(description="verifying the ledger")
        _verify_ledger(path, players + figures.bets, lambda done, total: show(completed=done, total=total))
    return fsync_ms, figures


def _choose_protocol(wanted: str | None) -> tuple[str, bool]:
    """Return `wanted`, or the first protocol that signs nothing, and whether it signs its requests.

    Raise UsageError if it is not installed, or has no bet.
    """
    from minwallet.bench.load import LoadFailed, find_bet_operation
    from minwallet.protocols.registry import is_installed, list_protocols, load_protocol

    unsigned = (name for name in list_protocols() if load_protocol(name).signature is None)
    name = next(unsigned, None) if wanted is None else wanted
    if name is None or not is_installed(name):
        raise UsageError(f"unknown protocol {name!r}; use {' or '.join(list_protocols())}")
    try:
        find_bet_operation(load_protocol(name))
    except LoadFailed as error:
        raise UsageError(str(error)) from error
    return name, load_protocol(name).signature is not None


def _create_players(path: Path, tokens: list[str]) -> None:
    from minwallet.operations.requests import Seed, SeedRow

    rows = [
        SeedRow(line=0, player_id=token, currency="USD", balance=OPENING_BALANCE_CENTS, token=token) for token in tokens
    ]
    execute_on_file(path, Seed(rows=tuple(rows)), create=True)


def _create_secret(path: Path, protocol: str) -> str:
    """Add a random secret for the protocol, and return it."""
    from minwallet.operations.access_requests import ProtocolSecretAdd

    secret = token_hex(16)
    execute_on_file(path, ProtocolSecretAdd(agent="default", protocol=protocol, secret=secret))
    return secret


def _verify_ledger(path: Path, expected_entries: int, report_progress: Callable[[int, int], None]) -> None:
    """Verify the ledger. Raise CommandRefused if it is wrong, or lacks the entry of a deposit or a confirmed bet."""
    from minwallet.operations.verify import verify_ledger

    found = run_with_store_at(path, lambda store: verify_ledger(store, report_progress))
    if found["problems"]:
        raise CommandRefused([*found["problems"][:5], "the ledger is wrong; please report this as a bug"])
    if found["entries"] != expected_entries:
        raise CommandRefused(
            [f"the ledger has {found['entries']} entries, not {expected_entries}; please report this as a bug"]
        )


def describe_caveats(load_busy: float, cpu_count: int) -> list[str]:
    """Return sentences about the limits of the result. `load_busy` is the load generator's share of one processor."""
    share = f"The load generator used {load_busy:.0%} of"
    if cpu_count > 1:
        caveats = [f"{share} one processor. This machine has {cpu_count}."]
    else:
        caveats = [f"{share} the only processor. The server alone could do more."]
    if load_busy >= SATURATED_SHARE:
        caveats.append("The load generator was the bottleneck. The server may be faster than this.")
    return caveats
