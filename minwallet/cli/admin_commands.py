"""`minwallet admin`."""

from typing import Annotated

import typer

from minwallet.cli.dispatch import execute, query, require_running_server
from minwallet.cli.output import JsonOption, print_json, print_line, print_table

app = typer.Typer(help="Who may sign in to the back office.", no_args_is_help=True)

AdminNameOption = Annotated[str, typer.Option("--name", help="Whom the link signs in; an admin who may be new.")]


@app.command("link")
def link(context: typer.Context, name: AdminNameOption = "admin", as_json: JsonOption = False) -> None:
    """Print an address that signs in to the running server's back office, once and within an hour."""
    from minwallet.config import load_settings
    from minwallet.operations.requests import AdminLink

    server = require_running_server(context)
    reply = execute(context, AdminLink(name=name))
    url = load_settings().browser_url(server.serves) + reply["path"]
    if as_json:
        print_json({"admin": reply["admin"], "url": url, "expires_at": reply["expires_at"]})
    else:
        print_line(url)
        typer.echo(f"signs {reply['admin']} in once, until {reply['expires_at']}", err=True)


@app.command("list")
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """List who may sign in."""
    from minwallet.operations.requests import AdminList

    reply = query(context, AdminList())
    if as_json:
        print_json(reply)
        return
    rows = [(each["name"], "password or link" if each["has_password"] else "link") for each in reply["admins"]]
    print_table(["admin", "signs in by"], rows, "nobody has signed in yet; make a link with: minwallet admin link")


@app.command("reset")
def reset(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The admin.")],
    as_json: JsonOption = False,
) -> None:
    """Sign an admin out everywhere and take the password away; only a new link signs in then."""
    from minwallet.operations.requests import AdminReset

    reply = execute(context, AdminReset(name=name))
    print_json(reply) if as_json else print_line(f"{name} is signed out, and has no password")
