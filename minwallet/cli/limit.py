"""`minwallet limit`, and the output of a player's exclusion."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minwallet.cli.dispatch import execute, query
from minwallet.cli.options import (
    AgentOption,
    CurrencyFilterOption,
    CurrencyOption,
    JsonOption,
    PlayerIdArgument,
    WideOption,
    parse_amount_option,
)
from minwallet.cli.output import print_json, print_line, print_table
from minwallet.cli.usage_errors import AmountCommand
from minwallet.ledger.limits import LimitKind, LimitPeriod
from minwallet.ledger.money import format_amount

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply

app = typer.Typer(help="Show and set a player's deposit and loss limits.", no_args_is_help=True)


@app.command("list")
def list_(
    context: typer.Context,
    player_id: PlayerIdArgument,
    currency: CurrencyFilterOption = None,
    agent: AgentOption = "default",
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show a player's limits, their usage, and an exclusion.

    Example: minwallet limit list alice
    """
    from minwallet.operations.requests import LimitList

    reply = query(context, LimitList(agent=agent, player_id=player_id, currency=currency))
    _print_limits(reply, wide=wide, as_json=as_json)


@app.command("set", cls=AmountCommand)
def set_(
    context: typer.Context,
    player_id: PlayerIdArgument,
    kind: Annotated[LimitKind, typer.Argument(metavar="KIND", help="What the limit restricts.")],
    per: Annotated[LimitPeriod, typer.Argument(metavar="PER", help="1, 7 or 30 days, today included.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="The limit, such as 100.00; none removes it.")],
    currency: CurrencyOption = None,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Set or remove a player's limit.

    A lower limit takes effect immediately. A higher limit, and the removal of one, takes effect after 24 hours.

    Example: minwallet limit set alice deposit week 200.00
    """
    from minwallet.operations.requests import LimitSet

    amount_cents = None if amount == "none" else parse_amount_option(amount)
    request = LimitSet(agent=agent, player_id=player_id, currency=currency, kind=kind, per=per, amount=amount_cents)
    _print_limits(execute(context, request), as_json=as_json)


def print_exclusion(reply: "Reply") -> None:
    """Print the end of the player's exclusion, and the next change of it if one is scheduled."""
    from minwallet.operations.limits import describe_exclusion

    for line in describe_exclusion(reply):
        print_line(line)


def _print_limits(reply: "Reply", *, wide: bool = False, as_json: bool) -> None:
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
    print_table(["currency", "kind", "per", "limit>", "used>", "next limit"], rows, empty, wide=wide)


def _describe_next_limit(limit: Mapping[str, Any]) -> str:
    """Return the scheduled limit and its start, or "" if none is scheduled."""
    from minwallet.operations.timestamps import iso_to_minute

    if not limit["next_at"]:
        return ""
    amount = limit["next_amount"]
    return f"{'none' if amount is None else format_amount(amount)} from {iso_to_minute(limit['next_at'])}"
