"""`minwallet limit`, and how the command line tells what protects a player."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minwallet.cli.dispatch import execute, query
from minwallet.cli.output import AgentOption, CurrencyOption, JsonOption, print_json, print_line, print_table
from minwallet.cli.transfer_commands import parse_amount_option
from minwallet.ledger.limits import LimitKind, LimitPeriod
from minwallet.ledger.money import format_amount

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply

app = typer.Typer(help="What a player may deposit and lose.", no_args_is_help=True)

PlayerIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The player.")]


@app.command("list")
def list_(
    context: typer.Context,
    player_id: PlayerIdArgument,
    currency: CurrencyOption = None,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show a player's limits, how much of them is used, and until when the player is excluded."""
    from minwallet.operations.requests import LimitList

    _print_limits(query(context, LimitList(agent=agent, player_id=player_id, currency=currency)), as_json=as_json)


@app.command("set")
def set_(
    context: typer.Context,
    player_id: PlayerIdArgument,
    kind: Annotated[LimitKind, typer.Argument(metavar="KIND", help="What is limited.")],
    per: Annotated[LimitPeriod, typer.Argument(metavar="PER", help="In 1, 7 or 30 days, with today.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 100.00; none for no limit.")],
    currency: CurrencyOption = None,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Set a limit. A lower one holds at once, a higher one after 24 hours."""
    from minwallet.operations.requests import LimitSet

    amount_cents = None if amount == "none" else parse_amount_option(amount)
    request = LimitSet(agent=agent, player_id=player_id, currency=currency, kind=kind, per=per, amount=amount_cents)
    _print_limits(execute(context, request), as_json=as_json)


def print_exclusion(reply: "Reply") -> None:
    """Until when the player is excluded, and whether that will change."""
    from minwallet.operations.limits import describe_exclusion

    for line in describe_exclusion(reply):
        print_line(line)


def _print_limits(reply: "Reply", *, as_json: bool) -> None:
    if as_json:
        print_json(reply)
        return
    if reply["excluded_until"]:
        print_exclusion(reply)
    rows = [
        (
            account["currency"],
            limit["kind"],
            limit["per"],
            format_amount(limit["amount"]),
            format_amount(limit["used"]),
            _describe_next_limit(limit),
        )
        for account in reply["accounts"]
        for limit in account["limits"]
    ]
    empty = f"no limits; set one with: minwallet limit set {reply['player_id']} deposit day 100"
    print_table(["currency", "kind", "per", "limit>", "used>", "then"], rows, empty)


def _describe_next_limit(limit: Mapping[str, Any]) -> str:
    """What takes the limit's place, and when."""
    from minwallet.operations.timestamps import iso_to_minute

    if not limit["next_at"]:
        return ""
    amount = limit["next_amount"]
    return f"{'none' if amount is None else format_amount(amount)} from {iso_to_minute(limit['next_at'])}"
