"""`minwallet deposit` and `minwallet withdraw`."""

import secrets
from typing import Annotated, Any

import typer

from minwallet.cli.dispatch import execute
from minwallet.cli.options import AgentOption, CurrencyOption, JsonOption, PlayerIdArgument, parse_amount_option
from minwallet.cli.output import format_balance, print_json, print_line

AmountArgument = Annotated[str, typer.Argument(metavar="AMOUNT", help="The amount, such as 12.50.")]
ReferenceOption = Annotated[
    str | None,
    typer.Option("--reference", help="Your own id of the transfer. A repeated reference changes nothing."),
]


def deposit(
    context: typer.Context,
    player_id: PlayerIdArgument,
    amount: AmountArgument,
    currency: CurrencyOption = None,
    bonus: Annotated[bool, typer.Option("--bonus", help="Deposit promotional bonus instead of cash.")] = False,
    reference: ReferenceOption = None,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Deposit money into a player's account.

    Example: minwallet deposit alice 12.50 --reference payment-1001
    """
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
    """Withdraw cash from a player's account.

    The bonus stays unchanged, unless --bonus is given.

    Example: minwallet withdraw alice 12.50 --reference payout-1002
    """
    account = {"agent": agent, "player_id": player_id, "currency": currency}
    _transfer(context, amount, reference, as_json, operation="withdraw", bonus=bonus, **account)


def _transfer(
    context: typer.Context,
    amount: str,
    reference: str | None,
    as_json: bool,
    **fields: Any,  # noqa: ANN401 a Transfer checks them
) -> None:
    from minwallet.operations.requests import Transfer

    if reference is None:
        # A random reference makes each call a transfer of its own, even if it repeats an amount.
        reference = f"cli-{secrets.token_hex(8)}"
    reply = execute(context, Transfer(amount=parse_amount_option(amount), reference=reference, **fields))
    if as_json:
        print_json(reply)
    else:
        print_line(f"{reply['player_id']} now has {format_balance(reply)} (ledger entry {reply['seq']})")
