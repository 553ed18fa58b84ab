"""`minwallet tail`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.dispatch import database_path, following
from minwallet.cli.options import JsonOption
from minwallet.cli.output import UsageError, print_json, print_line
from minwallet.ledger.entries import Kind, State
from minwallet.ledger.money import format_amount
from minwallet.operations.line_text import to_column
from minwallet.storage.queries import Filter, OwnedEntry

if TYPE_CHECKING:
    from minwallet.storage.sqlite.connection import ReadAccess
    from minwallet.storage.store import Store


def tail(
    context: typer.Context,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, max=1000, help="Number of earlier transactions to show first.")
    ] = 10,
    player: Annotated[str | None, typer.Option("--player", metavar="ID", help="Show only this player.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Show only this kind: bet, win, cancel, betwin …")] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="Show only this state: applied, refused, closed or orphan.")
    ] = None,
    game: Annotated[str | None, typer.Option("--game", help="Show only this game.")] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="Show only this protocol, or operator or opening.")
    ] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Show only this currency.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Show only this agent.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show transactions as they are committed.

    Press Ctrl-C to stop. With --json, each line is one JSON document.

    Example: minwallet tail --player alice --kind bet
    """
    for option, value, known in (("kind", kind, Kind), ("state", state, State)):
        if value is not None and value not in list(known):
            raise UsageError(f"unknown {option} {value!r}; use one of {', '.join(known)}")
    entry_filter = Filter(agent, player, currency and currency.upper(), protocol, kind, state, game)
    path = database_path(context)
    try:
        with following(path) as access:
            asyncio.run(_follow_entries(path, access, entry_filter, lines, as_json=as_json))
    except KeyboardInterrupt:
        return


async def _follow_entries(path: Path, access: "ReadAccess", entry_filter: Filter, lines: int, *, as_json: bool) -> None:
    """Print the filter's entries from the wallet file. Reading it does not block the server that writes it."""
    from minwallet.operations.agents import get_agent
    from minwallet.storage.sqlite import SqliteStore
    from minwallet.wallet.feed import PollingNotifier, follow

    print_entry = _print_entry_json if as_json else _print_entry
    store = await SqliteStore.open_read_only(path, access)
    try:
        if entry_filter.agent is not None:
            await get_agent(store, entry_filter.agent)
        if entry_filter.protocol is not None:
            await _check_protocol(store, entry_filter.protocol)
        newest = await store.ledger.count_entries()
        rows = (await store.ledger.read_page(entry_filter, None, lines)).rows if lines else []
        if not all(print_entry(row) for row in reversed(rows)):
            return
        async for batch in follow(store, PollingNotifier(), entry_filter, newest):
            if not all(print_entry(row) for row in batch.rows):
                return
    finally:
        await store.close()


async def _check_protocol(store: "Store", protocol: str) -> None:
    """Raise UsageError for a protocol that is not installed, and that no entry has."""
    from minwallet.operations.field_types import list_entry_sources

    known = dict.fromkeys([*list_entry_sources(), *await store.ledger.list_sources()])
    if protocol not in known:
        raise UsageError(f"unknown protocol {protocol!r}; use one of {', '.join(known)}")


def _print_entry_json(row: OwnedEntry) -> bool:
    from minwallet.operations.schemas import build_owned_transaction

    return print_json(build_owned_transaction(row))


def _print_entry(row: OwnedEntry) -> bool:
    """Print one line for the entry, the most important values first. Return False if stdout is closed."""
    from minwallet.operations.timestamps import format_iso

    entry, owner = row
    at = (format_iso(entry.at_ms) or "")[11:19]
    change_cents = entry.amount + entry.bonus_amount
    balance_cents = entry.cash_after + entry.bonus_after
    event = f"{entry.kind} {'' if entry.state == 'applied' else entry.refusal or entry.state}".strip()
    player = f"{owner.player_id} ({owner.agent})" if owner.agent != "default" else owner.player_id
    game = entry.game and f"game {to_column(entry.game)}"
    target = entry.reference and f"of {to_column(entry.reference)}"
    reference = " ".join(filter(None, (entry.protocol, game, f"id {to_column(entry.id)}", target)))
    change = f"{'+' * (change_cents > 0)}{format_amount(change_cents)}"
    money = f"{change:>12} → {format_amount(balance_cents):>12} {owner.currency:4}"
    return print_line(f"{at}  {entry.seq:>7}  {player:16}  {event:24}  {money}  {reference}")
