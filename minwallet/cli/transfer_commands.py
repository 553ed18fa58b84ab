"""`minwallet deposit` and `minwallet withdraw`."""

import secrets
from typing import Annotated, Any

import typer

from minwallet.cli.dispatch import execute
from minwallet.cli.output import (
    AgentOption,
    CurrencyOption,
    JsonOption,
    UsageError,
    format_balance,
    print_json,
    print_line,
)
from minwallet.ledger.money import parse_amount

PlayerIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The player.")]
AmountArgument = Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 12.50.")]
ReferenceOption = Annotated[
    str | None, typer.Option("--reference", help="Your own id of it; the same one again changes nothing.")
]


def deposit(
    context: typer.Context,
    player_id: PlayerIdArgument,
    amount: AmountArgument,
    currency: CurrencyOption = None,
    bonus: Annotated[bool, typer.Option("--bonus", help="Give promotional bonus instead of cash.")] = False,
    reference: ReferenceOption = None,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Give a player money."""
    account = {"agent": agent, "player_id": player_id, "currency": currency}
    _transfer(context, amount, reference, as_json, operation="deposit", bonus=bonus, **account)


def withdraw(
    context: typer.Context,
    player_id: PlayerIdArgument,
    amount: AmountArgument,
    currency: CurrencyOption = None,
    bonus: Annotated[bool, typer.Option("--bonus", help="Take promotional bonus back instead of cash.")] = False,
    reference: ReferenceOption = None,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Pay a player's cash out. Bonus is never touched unless --bonus says so."""
    account = {"agent": agent, "player_id": player_id, "currency": currency}
    _transfer(context, amount, reference, as_json, operation="withdraw", bonus=bonus, **account)


def parse_amount_option(amount: str) -> int:
    """What a person typed, in cents."""
    try:
        return parse_amount(amount)
    except ValueError as error:
        raise UsageError(str(error)) from error


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
    reply = execute(context, Transfer(amount=parse_amount_option(amount), reference=reference, **fields))
    if as_json:
        print_json(reply)
    else:
        print_line(f"{reply['player_id']} now has {format_balance(reply)} (ledger entry {reply['seq']})")
