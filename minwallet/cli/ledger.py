"""`minwallet ledger` and `minwallet verify`."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from minwallet.cli.link import read, with_store
from minwallet.cli.output import (
    EXIT_REFUSED,
    AgentName,
    CurrencyName,
    JsonFlag,
    print_json,
    print_line,
    print_table,
)
from minwallet.ledger.money import format_amount
from minwallet.storage.base import Store
from minwallet.wallet import desk
from minwallet.wallet.requests import LedgerRead

COLUMNS = ["seq>", "at", "kind", "protocol", "id", "cash change>", "bonus change>", "cash>", "bonus>", "game", "round"]


def ledger(
    context: typer.Context,
    player_id: Annotated[str, typer.Argument(metavar="ID", help="The player.")],
    currency: CurrencyName = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="How many entries at the most.")] = 50,
    agent: AgentName = "default",
    as_json: JsonFlag = False,
) -> None:
    """Show what happened to a player's money, the newest first."""
    request = LedgerRead(agent=agent, player_id=player_id, currency=currency, limit=limit)
    reply = read(context, request)
    if as_json:
        print_json(reply)
        return
    rows = [
        (
            entry["seq"],
            entry["at"],
            entry["kind"],
            entry["protocol"],
            entry["id"],
            format_amount(entry["amount"]),
            format_amount(entry["bonus_amount"]),
            format_amount(entry["cash_after"]),
            format_amount(entry["bonus_after"]),
            entry["game"],
            entry["round"],
            entry["state"],
        )
        for entry in reply["entries"]
    ]
    print_table([*COLUMNS, "state"], rows, "nothing has happened yet")


def verify(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Recompute every balance and the hash chain from the ledger's rows."""

    async def work(store: Store) -> desk.Reply:
        columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("verifying", total=None)
            return await desk.verify(store, lambda done, total: progress.update(task, completed=done, total=total))

    reply = with_store(context, work)
    if as_json:
        print_json(reply)
    elif reply["ok"]:
        print_line(f"ok: {reply['entries']} entries of {reply['accounts']} accounts sum and chain up")
    else:
        for problem in reply["problems"]:
            print_line(problem)
        print_line(f"{len(reply['problems'])} problems in {reply['entries']} entries of {reply['accounts']} accounts")
    if not reply["ok"]:
        raise typer.Exit(EXIT_REFUSED)
