"""`minwallet deposit`, `minwallet withdraw` and `minwallet adjust`."""

import secrets
from typing import Annotated, Any

import typer

from minwallet.cli.dispatch import execute
from minwallet.cli.options import (
    AgentOption,
    CurrencyOption,
    JsonOption,
    PlayerIdArgument,
    parse_amount_option,
    parse_signed_amount_option,
)
from minwallet.cli.output import UsageError, format_balance, print_json, print_line

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
    cents = _parse_positive_amount(amount, "to take money, use withdraw or adjust")
    _transfer(context, cents, reference, as_json, operation="deposit", bonus=bonus, **account)


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
    cents = _parse_positive_amount(amount, "to add money, use deposit or adjust")
    _transfer(context, cents, reference, as_json, operation="withdraw", bonus=bonus, **account)


def adjust(
    context: typer.Context,
    player_id: PlayerIdArgument,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="The change, such as 12.50 or -12.50.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is stored with the adjustment.")],
    currency: CurrencyOption = None,
    bonus: Annotated[bool, typer.Option("--bonus", help="Adjust promotional bonus instead of cash.")] = False,
    reference: ReferenceOption = None,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Correct a player's balance, up or down.

    An adjustment is neither a deposit nor a loss: limits, exclusion and a block do not apply. The balance never becomes
    negative.

    Example: minwallet adjust alice -5.00 --reason "ticket 1004 paid twice"
    """
    account = {"agent": agent, "player_id": player_id, "currency": currency}
    cents = parse_signed_amount_option(amount)
    _transfer(context, cents, reference, as_json, operation="adjust", bonus=bonus, reason=reason, **account)


def _parse_positive_amount(amount: str, advice: str) -> int:
    """Return the amount in cents. Raise UsageError if it is invalid, with the advice if it is negative."""
    try:
        return parse_amount_option(amount)
    except UsageError as error:
        raise UsageError(f"{error}; {advice}" if amount.startswith("-") else str(error)) from error


def _transfer(
    context: typer.Context,
    cents: int,
    reference: str | None,
    as_json: bool,
    **fields: Any,  # noqa: ANN401 the request checks them
) -> None:
    from minwallet.operations.requests import Adjustment, Transfer

    if reference is None:
        # A random reference makes each call a transfer of its own, even if it repeats an amount.
        reference = f"cli-{secrets.token_hex(8)}"
    request_type = Adjustment if fields["operation"] == "adjust" else Transfer
    reply = execute(context, request_type(amount=cents, reference=reference, **fields))
    if as_json:
        print_json(reply)
    else:
        print_line(f"{reply['player_id']} now has {format_balance(reply)} (ledger entry {reply['seq']})")
