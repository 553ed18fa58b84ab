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

COLUMNS = ["seq>", "at (UTC)", "kind", "state", "cash change>", "cash>", "id", "game", "round", "protocol"]
BONUS_COLUMNS = ["bonus change>", "bonus>"]


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
    # Most players have no bonus, and most terminals no room for columns of nothing.
    has_bonus = any(entry["bonus_amount"] or entry["bonus_after"] for entry in reply["entries"])
    columns = [*COLUMNS[:6], *(BONUS_COLUMNS if has_bonus else []), *COLUMNS[6:]]
    rows = [_row(entry, has_bonus=has_bonus) for entry in reply["entries"]]
    print_table(columns, rows, "nothing has happened yet")


def _row(entry: desk.Reply, *, has_bonus: bool) -> list[str | None]:
    at = entry["at"].partition(".")[0].replace("T", " ")
    money = ["amount", "cash_after", *(["bonus_amount", "bonus_after"] if has_bonus else [])]
    return [
        str(entry["seq"]),
        at,
        entry["kind"],
        entry["state"],
        *(format_amount(entry[name]) for name in money),
        *(entry[name] for name in ("id", "game", "round", "protocol")),
    ]


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
