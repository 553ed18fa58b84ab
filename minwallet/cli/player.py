"""`minwallet player`."""

from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli import limit
from minwallet.cli.dispatch import execute, query
from minwallet.cli.options import AgentOption, JsonOption, PlayerIdArgument, parse_amount_option
from minwallet.cli.output import UsageError, print_json, print_table
from minwallet.ledger.money import format_amount
from minwallet.storage.models import PlayerStatus

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply

app = typer.Typer(help="Add, list, block and exclude players.", no_args_is_help=True)


@app.command("add")
def add(
    context: typer.Context,
    player_id: PlayerIdArgument,
    currency: Annotated[str, typer.Option("--currency", help="The currency, such as USD.")],
    balance: Annotated[str, typer.Option("--balance", metavar="AMOUNT", help="The initial cash.")] = "0",
    bonus: Annotated[str, typer.Option("--bonus", metavar="AMOUNT", help="The initial bonus.")] = "0",
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Add a player, or another currency of a player.

    Example: minwallet player add alice --currency USD --balance 100.00
    """
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
    """List an agent's players.

    Example: minwallet player list --agent brand2
    """
    from minwallet.operations.requests import PlayerList

    reply = query(context, PlayerList(agent=agent))
    print_json(reply) if as_json else _print_players(reply["players"])


@app.command("show")
def show(
    context: typer.Context, player_id: PlayerIdArgument, agent: AgentOption = "default", as_json: JsonOption = False
) -> None:
    """Show a player's status and balances.

    Example: minwallet player show alice
    """
    from minwallet.operations.requests import PlayerShow

    _print_player(query(context, PlayerShow(agent=agent, player_id=player_id)), as_json=as_json)


@app.command("block")
def block(
    context: typer.Context, player_id: PlayerIdArgument, agent: AgentOption = "default", as_json: JsonOption = False
) -> None:
    """Block a player: refuse all new bets.

    Wins and cancels of earlier bets still settle.

    Example: minwallet player block alice
    """
    from minwallet.operations.requests import PlayerSetStatus

    request = PlayerSetStatus(agent=agent, player_id=player_id, status=PlayerStatus.BLOCKED)
    _print_player(execute(context, request), as_json=as_json)


@app.command("unblock")
def unblock(
    context: typer.Context, player_id: PlayerIdArgument, agent: AgentOption = "default", as_json: JsonOption = False
) -> None:
    """Unblock a player, so that new bets are accepted.

    Example: minwallet player unblock alice
    """
    from minwallet.operations.requests import PlayerSetStatus

    request = PlayerSetStatus(agent=agent, player_id=player_id, status=PlayerStatus.ACTIVE)
    _print_player(execute(context, request), as_json=as_json)


@app.command("exclude")
def exclude(
    context: typer.Context,
    player_id: PlayerIdArgument,
    until: Annotated[
        str,
        typer.Option("--until", metavar="DATE|7d|none", help="Its end: a date (00:00 UTC), a duration, or none."),
    ],
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Exclude a player: refuse bets and deposits until a date.

    A longer exclusion takes effect immediately. A shorter one, or none, takes effect after 24 hours.

    Example: minwallet player exclude alice --until 7d
    """
    from minwallet.operations.requests import PlayerExclude

    request = PlayerExclude(agent=agent, player_id=player_id, until=_parse_until(until))
    reply = execute(context, request)
    print_json(reply) if as_json else limit.print_exclusion(reply)


def _parse_until(until: str) -> str | None:
    """Return the end of the exclusion as an ISO timestamp: the start of the given day (UTC), or now plus a duration.

    Return None for `none`. Raise UsageError for anything else.
    """
    from minwallet.config import parse_duration
    from minwallet.operations.field_types import MAX_TTL_S
    from minwallet.operations.timestamps import format_iso
    from minwallet.wallet.service import clock_ms

    if until == "none":
        return None
    with suppress(ValueError):
        return f"{date.fromisoformat(until):%Y-%m-%d}T00:00:00Z"
    try:
        duration_s = parse_duration(until)
    except ValueError as error:
        raise UsageError(f"invalid --until {until!r}: write a date (2027-01-31), a duration (7d), or none") from error
    # A duration beyond the maximum still has to be a date. The request then refuses it with the maximum.
    return format_iso(clock_ms() + min(duration_s, MAX_TTL_S + 60) * 1000)


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
    empty = "no players yet; add one with: minwallet player add ID --currency USD --balance 100.00"
    print_table(["player", "agent", "status", "currency", "cash>", "bonus>"], rows, empty)
