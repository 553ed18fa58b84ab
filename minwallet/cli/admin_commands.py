"""`minwallet admin`."""

from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.command_settings import ask_server, load_command_settings
from minwallet.cli.dispatch import execute, query, require_running_server
from minwallet.cli.options import JsonOption
from minwallet.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply

app = typer.Typer(help="Manage who can sign in to the back office.", no_args_is_help=True)

AdminNameOption = Annotated[str, typer.Option("--name", help="The admin. A new name creates a new admin.")]


@app.command("link")
def link(context: typer.Context, name: AdminNameOption = "admin", as_json: JsonOption = False) -> None:
    """Print a one-time sign-in link to the back office.

    The link is valid for 1 hour. A server must be running on the wallet file.

    Example: minwallet admin link --name eve
    """
    from minwallet.operations.access_requests import AdminLink

    server = require_running_server(context)
    reply = execute(context, AdminLink(name=name))
    settings = load_command_settings(context)
    if not settings.public_url and (running := ask_server(settings)):
        settings = running.settings
    url = settings.browser_url(server.serves) + reply["path"]
    if as_json:
        print_json({"admin": reply["admin"], "url": url, "expires_at": reply["expires_at"]})
    else:
        print_line(url)
        typer.echo(f"one-time sign-in link for {reply['admin']}, valid until {reply['expires_at']}", err=True)


@app.command("list")
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the admins.

    Example: minwallet admin list
    """
    from minwallet.operations.access_requests import AdminList

    reply = query(context, AdminList())
    if as_json:
        print_json(reply)
        return
    rows = [(each["name"], "password or link" if each["has_password"] else "link") for each in reply["admins"]]
    print_table(["admin", "signs in with"], rows, "no admins yet; create a sign-in link with: minwallet admin link")


@app.command("reset")
def reset(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The admin.")],
    keep_keys: Annotated[
        bool, typer.Option("--keep-keys", help="Keep all keys and player sessions that the admin made.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Sign an admin out everywhere and remove the password.

    The API keys, callback keys, protocol secrets, sign-in links and player sessions that the admin made end too. After
    that, only a new link signs the admin in. Admins whom the admin invited are listed and stay.

    Example: minwallet admin reset eve
    """
    from minwallet.operations.access_requests import AdminReset

    reply = execute(context, AdminReset(name=name, keep_keys=keep_keys))
    if as_json:
        print_json(reply)
        return
    print_line(f"admin {name} is signed out and has no password")
    for line in _describe_reset(reply, keep_keys=keep_keys):
        print_line(line)


def _describe_reset(reply: "Reply", *, keep_keys: bool) -> list[str]:
    """Return a line for each kind of access that was ended, or that a person has to judge."""
    sessions, player_sessions = reply["sessions_ended"], reply["player_sessions_revoked"]
    counts = [f"{sessions} of the admin", *([f"{player_sessions} of players"] if player_sessions else [])]
    lines = [f"sessions ended: {', '.join(counts)}"] if sessions or player_sessions else []
    lists = {
        "sign-in links ended, for": reply["links_ended"],
        "API keys revoked": reply["keys_revoked"],
        "callback keys revoked": reply["callback_keys_revoked"],
        "protocol secrets revoked": reply["protocol_secrets_revoked"],
        "admins that {name} invited can still sign in": reply["admins_invited"],
        "API keys without a recorded maker still work": [] if keep_keys else reply["keys_without_maker"],
    }
    return lines + [f"{text.format(name=reply['name'])}: {', '.join(names)}" for text, names in lists.items() if names]
