"""Options and arguments that several commands share, and the parsers of their values."""

import re
from typing import Annotated

import typer

from minwallet.cli.output import UsageError
from minwallet.ledger.money import parse_amount, parse_signed_amount

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
WideOption = Annotated[
    bool, typer.Option("--wide", help="Print all columns of the table, even if the terminal is narrow.")
]
AgentOption = Annotated[str, typer.Option("--agent", help="The player's agent.")]
ProviderAgentOption = Annotated[str, typer.Option("--agent", help="The agent whose provider to use.")]
ServiceProtocolOption = Annotated[
    str | None,
    typer.Option("--protocol", help="The provider's protocol, if several have a game list and a report."),
]
CurrencyOption = Annotated[
    str | None, typer.Option("--currency", help="The account's currency; required if the player has several.")
]
CurrencyFilterOption = Annotated[str | None, typer.Option("--currency", help="Show only this currency.")]
TimeoutOption = Annotated[str, typer.Option("--timeout", help="Maximum time to wait for an answer: 500ms, 10s, 2m.")]
PlayerIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The player's id.")]
AgentNameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The agent.")]


def parse_amount_option(amount: str) -> int:
    """Parse a decimal amount such as 12.50. Return it in cents. Raise UsageError if it is not an amount."""
    try:
        return parse_amount(amount)
    except ValueError as error:
        raise UsageError(str(error)) from error


def parse_signed_amount_option(amount: str) -> int:
    """Parse a decimal amount such as -12.50. Return it in cents. Raise UsageError if it is not an amount."""
    try:
        return parse_signed_amount(amount)
    except ValueError as error:
        raise UsageError(str(error)) from error


def parse_duration_option(duration: str) -> int:
    """Parse a duration such as 24h. Return it in seconds. Raise UsageError if it is not a duration."""
    # Loading pydantic for the settings takes longer than `--help` may take.
    from minwallet.config import parse_duration

    try:
        return parse_duration(duration)
    except ValueError as error:
        raise UsageError(str(error)) from error


def parse_timeout_option(timeout: str) -> float:
    """Parse a timeout such as 500ms, 10s or 2m. Return it in seconds. Raise UsageError if it is not above zero."""
    from minwallet.config import parse_duration

    milliseconds = re.fullmatch(r"([0-9]{1,9})ms", timeout, re.ASCII)
    try:
        timeout_s = int(milliseconds[1]) / 1000 if milliseconds else parse_duration(timeout)
    except ValueError:
        timeout_s = 0
    if not timeout_s:
        raise UsageError(f"invalid --timeout {timeout!r}: write 500ms, 10s or 2m")
    return timeout_s
