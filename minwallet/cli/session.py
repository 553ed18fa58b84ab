"""`minwallet session`."""

from typing import Annotated

import typer

from minwallet.cli.link import change, read
from minwallet.cli.output import AgentName, BadUsage, CurrencyName, JsonFlag, print_json, print_line, print_table

app = typer.Typer(help="Session tokens, which stand for a player in one currency.", no_args_is_help=True)

PlayerId = Annotated[str, typer.Argument(metavar="ID", help="The player.")]


@app.command("open")
def open_(
    context: typer.Context,
    player_id: PlayerId,
    currency: CurrencyName = None,
    ttl: Annotated[str, typer.Option("--ttl", help="How long it is good: 30s, 15m, 24h, 7d.")] = "24h",
    agent: AgentName = "default",
    as_json: JsonFlag = False,
) -> None:
    """Open a session and print its token, which is shown only now."""
    from minwallet.operations.requests import SessionOpen

    request = SessionOpen(agent=agent, player_id=player_id, currency=currency, ttl_s=seconds(ttl))
    reply = change(context, request)
    if as_json:
        print_json({name: reply[name] for name in ("token", "player_id", "currency", "expires_at")})
    else:
        print_line(reply["token"])
        typer.echo(f"{reply['player_id']} may play in {reply['currency']} until {reply['expires_at']}", err=True)


@app.command("list")
def list_(context: typer.Context, player_id: PlayerId, agent: AgentName = "default", as_json: JsonFlag = False) -> None:
    """List a player's sessions, the newest first, with the beginnings of their tokens."""
    from minwallet.operations.requests import SessionList

    reply = read(context, SessionList(agent=agent, player_id=player_id))
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
    as_json: JsonFlag = False,
) -> None:
    """End a session; wins and cancels of its bets still settle."""
    from minwallet.operations.requests import SessionRevoke

    reply = change(context, SessionRevoke(token=token))
    print_json(reply) if as_json else print_line("the session is revoked")


def seconds(ttl: str) -> int:
    """A length of time such as 24h, in seconds."""
    from minwallet import config

    try:
        return config.seconds(ttl)
    except ValueError as error:
        raise BadUsage(str(error)) from error
