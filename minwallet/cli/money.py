"""`minwallet deposit` and `minwallet withdraw`."""

import secrets
from typing import Annotated, Any

import typer

from minwallet.cli.link import change
from minwallet.cli.output import AgentName, BadUsage, CurrencyName, JsonFlag, money, print_json, print_line
from minwallet.ledger.money import parse_amount

PlayerId = Annotated[str, typer.Argument(metavar="ID", help="The player.")]
Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 12.50.")]
Reference = Annotated[
    str | None, typer.Option("--reference", help="Your own id of it; the same one again changes nothing.")
]


def deposit(
    context: typer.Context,
    player_id: PlayerId,
    amount: Amount,
    currency: CurrencyName = None,
    bonus: Annotated[bool, typer.Option("--bonus", help="Give promotional bonus instead of cash.")] = False,
    reference: Reference = None,
    agent: AgentName = "default",
    as_json: JsonFlag = False,
) -> None:
    """Give a player money."""
    whom = {"agent": agent, "player_id": player_id, "currency": currency}
    _transfer(context, amount, reference, as_json, operation="deposit", bonus=bonus, **whom)


def withdraw(
    context: typer.Context,
    player_id: PlayerId,
    amount: Amount,
    currency: CurrencyName = None,
    bonus: Annotated[bool, typer.Option("--bonus", help="Take promotional bonus back instead of cash.")] = False,
    reference: Reference = None,
    agent: AgentName = "default",
    as_json: JsonFlag = False,
) -> None:
    """Pay a player's cash out. Bonus is never touched unless --bonus says so."""
    whom = {"agent": agent, "player_id": player_id, "currency": currency}
    _transfer(context, amount, reference, as_json, operation="withdraw", bonus=bonus, **whom)


def cents(amount: str) -> int:
    """What a person typed, in cents."""
    try:
        return parse_amount(amount)
    except ValueError as error:
        raise BadUsage(str(error)) from error


def _transfer(
    context: typer.Context,
    amount: str,
    reference: str | None,
    as_json: bool,
    **fields: Any,  # noqa: ANN401 a Transfer checks them
) -> None:
    """Without a reference of the operator's own, a random one makes each call a movement of its own."""
    from minwallet.operations.requests import Transfer

    if reference is None:
        reference = f"cli-{secrets.token_hex(8)}"
    reply = change(context, Transfer(amount=cents(amount), reference=reference, **fields))
    if as_json:
        print_json(reply)
    else:
        print_line(f"{reply['player_id']} now has {money(reply)} (ledger entry {reply['seq']})")
