"""`minwallet session`."""

from typing import Annotated

import typer

from minwallet.cli.dispatch import execute, query
from minwallet.cli.options import (
    AgentOption,
    CurrencyOption,
    JsonOption,
    PlayerIdArgument,
    WideOption,
    parse_duration_option,
)
from minwallet.cli.output import print_json, print_line, print_table

app = typer.Typer(help="Open, list and revoke session tokens.", no_args_is_help=True)


@app.command("open")
def open_(
    context: typer.Context,
    player_id: PlayerIdArgument,
    currency: CurrencyOption = None,
    ttl: Annotated[str, typer.Option("--ttl", help="How long the session is valid: 30s, 15m, 24h, 7d.")] = "24h",
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Open a session and print its token.

    A token represents one player in one currency. It is shown only now.

    Example: minwallet session open alice --ttl 7d
    """
    from minwallet.operations.requests import SessionOpen

    request = SessionOpen(agent=agent, player_id=player_id, currency=currency, ttl_s=parse_duration_option(ttl))
    reply = execute(context, request)
    if as_json:
        print_json({name: reply[name] for name in ("token", "player_id", "currency", "expires_at")})
    else:
        print_line(reply["token"])
        typer.echo(f"{reply['player_id']} may play in {reply['currency']} until {reply['expires_at']}", err=True)


@app.command("list")
def list_(
    context: typer.Context,
    player_id: PlayerIdArgument,
    agent: AgentOption = "default",
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """List a player's sessions, newest first.

    The list shows only the first characters of each token.

    Example: minwallet session list alice
    """
    from minwallet.operations.requests import SessionList

    reply = query(context, SessionList(agent=agent, player_id=player_id))
    if as_json:
        print_json(reply)
        return
    rows = [
        (each["token"], each["currency"], each["status"], each["created_at"], each["expires_at"] or "never")
        for each in reply["sessions"]
    ]
    empty = f"no sessions yet; open one with: minwallet session open {player_id}"
    print_table(["token", "currency", "status", "created", "expires"], rows, empty, required=3, wide=wide)


@app.command("revoke")
def revoke(
    context: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The complete token.")],
    as_json: JsonOption = False,
) -> None:
    """Revoke a session.

    Wins and cancels of its bets still settle.

    Example: minwallet session revoke TOKEN
    """
    from minwallet.operations.requests import SessionRevoke

    reply = execute(context, SessionRevoke(token=token))
    print_json(reply) if as_json else print_line("the session is revoked")
