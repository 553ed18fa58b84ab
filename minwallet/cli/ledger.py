"""`minwallet ledger`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.dispatch import query
from minwallet.cli.output import (
    AgentOption,
    CurrencyOption,
    JsonOption,
    print_json,
    print_table,
)
from minwallet.ledger.money import format_amount

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply

ENTRY_COLUMNS: dict[str, Callable[["Reply"], object]] = {
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
    currency: CurrencyOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="How many entries at the most.")] = 50,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show what happened to a player's money. The newest comes first."""
    from minwallet.operations.requests import LedgerRead

    request = LedgerRead(agent=agent, player_id=player_id, currency=currency, limit=limit)
    entries = query(context, request)["entries"]
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
    columns = {name: cell for name, cell in ENTRY_COLUMNS.items() if optional.get(name, True)}
    rows = [[cell(entry) for cell in columns.values()] for entry in entries]
    print_table(list(columns), rows, "nothing has happened yet")
