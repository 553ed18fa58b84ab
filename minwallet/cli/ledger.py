"""`minwallet ledger` and `minwallet verify`."""

from collections.abc import Callable
from typing import Annotated

import typer

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
from minwallet.wallet.requests import LedgerRead, Reply

COLUMNS: dict[str, Callable[[Reply], object]] = {
    "seq>": lambda entry: entry["seq"],
    "at (UTC)": lambda entry: entry["at"].partition(".")[0].replace("T", " "),
    "kind": lambda entry: entry["kind"],
    "state": lambda entry: entry["state"],
    "currency": lambda entry: entry["currency"],
    "cash change>": lambda entry: format_amount(entry["amount"]),
    "cash>": lambda entry: format_amount(entry["cash_after"]),
    "bonus change>": lambda entry: format_amount(entry["bonus_amount"]),
    "bonus>": lambda entry: format_amount(entry["bonus_after"]),
    "id": lambda entry: entry["id"],
    "game": lambda entry: entry["game"],
    "round": lambda entry: entry["round"],
    "protocol": lambda entry: entry["protocol"],
}


def ledger(
    context: typer.Context,
    player_id: Annotated[str, typer.Argument(metavar="ID", help="The player.")],
    currency: CurrencyName = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="How many entries at the most.")] = 50,
    agent: AgentName = "default",
    as_json: JsonFlag = False,
) -> None:
    """Show what happened to a player's money. The newest comes first."""
    request = LedgerRead(agent=agent, player_id=player_id, currency=currency, limit=limit)
    entries = read(context, request)["entries"]
    if as_json:
        # The shape of an entry is fixed, and a script that wants one currency names it.
        print_json({"entries": [{name: entry[name] for name in entry if name != "currency"} for entry in entries]})
        return
    # Most players have one currency and no bonus, and most terminals no room for columns that say nothing.
    optional = {
        "currency": len({entry["currency"] for entry in entries}) > 1,
        "bonus change>": (has_bonus := any(entry["bonus_amount"] or entry["bonus_after"] for entry in entries)),
        "bonus>": has_bonus,
    }
    columns = {name: cell for name, cell in COLUMNS.items() if optional.get(name, True)}
    rows = [[cell(entry) for cell in columns.values()] for entry in entries]
    print_table(list(columns), rows, "nothing has happened yet")


def verify(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Recompute every balance from the ledger. And the hash chain; exit code 1 where something is wrong."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    async def work(store: Store) -> Reply:
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
