"""`minwallet ledger`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.dispatch import query
from minwallet.cli.options import AgentOption, CurrencyFilterOption, JsonOption, PlayerIdArgument, WideOption
from minwallet.cli.output import print_json, print_table
from minwallet.ledger.money import format_amount

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply

ENTRY_COLUMNS: dict[str, Callable[["Reply"], object]] = {
    "seq>": lambda entry: entry["seq"],
    "kind": lambda entry: entry["kind"],
    "id": lambda entry: entry["id"],
    "game": lambda entry: entry["game"],
    "round": lambda entry: entry["round"],
    "state": lambda entry: entry["state"],
    "currency": lambda entry: entry["currency"],
    "cash change>": lambda entry: format_amount(entry["amount"]),
    "cash>": lambda entry: format_amount(entry["cash_after"]),
    "bonus change>": lambda entry: format_amount(entry["bonus_amount"]),
    "bonus>": lambda entry: format_amount(entry["bonus_after"]),
    "at (UTC)": lambda entry: entry["at"].partition(".")[0].replace("T", " "),
    "protocol": lambda entry: entry["protocol"],
}

OPTIONAL_IN_A_NARROW_TERMINAL = ("bonus change>", "bonus>", "at (UTC)", "protocol")


def ledger(
    context: typer.Context,
    player_id: PlayerIdArgument,
    currency: CurrencyFilterOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Maximum number of entries.")] = 50,
    agent: AgentOption = "default",
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show a player's ledger entries, newest first.

    Example: minwallet ledger alice --limit 10
    """
    from minwallet.operations.requests import LedgerRead

    request = LedgerRead(agent=agent, player_id=player_id, currency=currency, limit=limit)
    entries = query(context, request)["entries"]
    if as_json:
        # The contract fixes the fields of an entry, without a currency: a script names the currency that it wants.
        print_json({"entries": [{name: entry[name] for name in entry if name != "currency"} for entry in entries]})
        return
    # Most players have one currency and no bonus. Columns without information would push others off the terminal.
    optional = {
        "currency": len({entry["currency"] for entry in entries}) > 1,
        "bonus change>": (has_bonus := any(entry["bonus_amount"] or entry["bonus_after"] for entry in entries)),
        "bonus>": has_bonus,
    }
    columns = {name: cell for name, cell in ENTRY_COLUMNS.items() if optional.get(name, True)}
    rows = [[cell(entry) for cell in columns.values()] for entry in entries]
    required = sum(name not in OPTIONAL_IN_A_NARROW_TERMINAL for name in columns)
    print_table(list(columns), rows, "no entries yet", required=required, wide=wide)
