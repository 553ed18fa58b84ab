"""`minwallet player`."""

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli import limit
from minwallet.cli.dispatch import execute, query
from minwallet.cli.output import AgentOption, JsonOption, UsageError, print_json, print_table
from minwallet.cli.session import parse_duration_option
from minwallet.cli.transfer_commands import parse_amount_option
from minwallet.ledger.money import format_amount
from minwallet.storage.models import PlayerStatus

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply

app = typer.Typer(help="Players and what they hold.", no_args_is_help=True)

PlayerIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The player.")]


@app.command("add")
def add(
    context: typer.Context,
    player_id: PlayerIdArgument,
    currency: Annotated[str, typer.Option("--currency", help="Such as USD.")],
    balance: Annotated[str, typer.Option("--balance", metavar="AMOUNT", help="Cash to begin with.")] = "0",
    bonus: Annotated[str, typer.Option("--bonus", metavar="AMOUNT", help="Bonus to begin with.")] = "0",
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Add a player, or another currency of a player."""
    from minwallet.operations.requests import PlayerAdd

    request = PlayerAdd(
        agent=agent,
        player_id=player_id,
        currency=currency,
        balance=parse_amount_option(balance),
        bonus=parse_amount_option(bonus),
    )
    _print_player(execute(context, request, create=True), as_json=as_json)


@app.command("list")
def list_(context: typer.Context, agent: AgentOption = "default", as_json: JsonOption = False) -> None:
    """List an agent's players."""
    from minwallet.operations.requests import PlayerList

    reply = query(context, PlayerList(agent=agent))
    print_json(reply) if as_json else _print_players(reply["players"])


@app.command("show")
def show(
    context: typer.Context, player_id: PlayerIdArgument, agent: AgentOption = "default", as_json: JsonOption = False
) -> None:
    """Show one player."""
    from minwallet.operations.requests import PlayerShow

    _print_player(query(context, PlayerShow(agent=agent, player_id=player_id)), as_json=as_json)


@app.command("block")
def block(
    context: typer.Context, player_id: PlayerIdArgument, agent: AgentOption = "default", as_json: JsonOption = False
) -> None:
    """Refuse a player's bets from now on; wins and cancels of earlier bets still settle."""
    from minwallet.operations.requests import PlayerSetStatus

    request = PlayerSetStatus(agent=agent, player_id=player_id, status=PlayerStatus.BLOCKED)
    _print_player(execute(context, request), as_json=as_json)


@app.command("unblock")
def unblock(
    context: typer.Context, player_id: PlayerIdArgument, agent: AgentOption = "default", as_json: JsonOption = False
) -> None:
    """Let a blocked player bet again."""
    from minwallet.operations.requests import PlayerSetStatus

    request = PlayerSetStatus(agent=agent, player_id=player_id, status=PlayerStatus.ACTIVE)
    _print_player(execute(context, request), as_json=as_json)


@app.command("exclude")
def exclude(
    context: typer.Context,
    player_id: PlayerIdArgument,
    until: Annotated[
        str,
        typer.Option("--until", metavar="DATE|7d|none", help="The day it ends on (UTC), or how long; none ends it."),
    ],
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Refuse a player's bets and deposits until then. A shorter exclusion, and its end, holds after 24 hours."""
    from minwallet.operations.requests import PlayerExclude

    request = PlayerExclude(agent=agent, player_id=player_id, until=_parse_until(until))
    reply = execute(context, request)
    print_json(reply) if as_json else limit.print_exclusion(reply)


def _parse_until(until: str) -> str | None:
    """The moment that was meant; a day stands for its beginning."""
    from minwallet.operations.requests import MAX_TTL_S
    from minwallet.operations.timestamps import format_iso
    from minwallet.wallet.service import clock_ms

    if until == "none":
        return None
    if re.fullmatch(r"[0-9]{1,10}[smhd]", until, re.ASCII):
        return format_iso(clock_ms() + min(parse_duration_option(until), MAX_TTL_S + 60) * 1000)
    try:
        return f"{date.fromisoformat(until):%Y-%m-%d}T00:00:00Z"
    except ValueError as error:
        raise UsageError(f"{until!r} is not a day; write it like 2027-01-31, or how long like 7d, or none") from error


def _print_player(player: "Reply", *, as_json: bool) -> None:
    print_json(player) if as_json else _print_players([player])


def _print_players(players: "list[Reply]") -> None:
    rows = [
        (
            player["player_id"],
            player["agent"],
            player["status"],
            account["currency"],
            format_amount(account["cash"]),
            format_amount(account["bonus"]),
        )
        for player in players
        for account in player["accounts"]
    ]
    empty = "no players yet; add one with: minwallet player add ID --currency USD --balance 100"
    print_table(["player", "agent", "status", "currency", "cash>", "bonus>"], rows, empty)
