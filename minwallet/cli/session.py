"""`minwallet session`."""

from typing import Annotated

import typer

from minwallet.cli.dispatch import execute, query
from minwallet.cli.output import (
    AgentOption,
    CurrencyOption,
    JsonOption,
    UsageError,
    print_json,
    print_line,
    print_table,
)

app = typer.Typer(help="Session tokens, which stand for a player in one currency.", no_args_is_help=True)

PlayerIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The player.")]


@app.command("open")
def open_(
    context: typer.Context,
    player_id: PlayerIdArgument,
    currency: CurrencyOption = None,
    ttl: Annotated[str, typer.Option("--ttl", help="How long it is good: 30s, 15m, 24h, 7d.")] = "24h",
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Open a session and print its token, which is shown only now."""
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
    context: typer.Context, player_id: PlayerIdArgument, agent: AgentOption = "default", as_json: JsonOption = False
) -> None:
    """List a player's sessions, the newest first, with the beginnings of their tokens."""
    from minwallet.operations.requests import SessionList

    reply = query(context, SessionList(agent=agent, player_id=player_id))
    if as_json:
        print_json(reply)
        return
    rows = [
        (each["token"], each["currency"], each["status"], each["created_at"], each["expires_at"] or "never")
        for each in reply["sessions"]
    ]
    empty = f"no sessions; open one with: minwallet session open {player_id}"
    print_table(["token", "currency", "status", "created", "expires"], rows, empty)


@app.command("revoke")
def revoke(
    context: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The whole token.")],
    as_json: JsonOption = False,
) -> None:
    """End a session; wins and cancels of its bets still settle."""
    from minwallet.operations.requests import SessionRevoke

    reply = execute(context, SessionRevoke(token=token))
    print_json(reply) if as_json else print_line("the session is revoked")


def parse_duration_option(ttl: str) -> int:
    """A length of time such as 24h, in seconds."""
    from minwallet import config

    try:
        return config.parse_duration(ttl)
    except ValueError as error:
        raise UsageError(str(error)) from error
