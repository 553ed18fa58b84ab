"""`minwallet key`."""

from typing import Annotated

import typer

from minwallet.cli.dispatch import execute, query
from minwallet.cli.output import JsonOption, print_json, print_line, print_table
from minwallet.storage.admin_store import KeyScope

app = typer.Typer(help="Keys of the admin API.", no_args_is_help=True)

KeyNameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="What the key is called, as in `minwallet key list`.")
]


@app.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the key; changes are recorded under it.")],
    scope: Annotated[KeyScope, typer.Option("--scope", help="Whether it may only look, or change things too.")],
    agent: Annotated[
        str | None, typer.Option("--agent", help="The only agent it reaches.  [default: all agents]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, which is shown only now."""
    from minwallet.operations.requests import KeyAdd

    reply = execute(context, KeyAdd(name=name, scope=scope, agent=agent), create=True)
    if as_json:
        print_json(reply)
    else:
        print_line(reply["key"])
        reach = f"agent {agent}" if agent else "all agents"
        typer.echo(f"{name} may {scope} for {reach}; send it as: Authorization: Bearer KEY", err=True)


@app.command("list")
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the keys, with their beginnings. Those that were revoked stay in the list."""
    from minwallet.operations.requests import KeyList

    reply = query(context, KeyList())
    if as_json:
        print_json(reply)
        return
    rows = [
        (each["name"], each["key"], each["scope"], each["agent"] or "(all)", each["created_at"], each["revoked_at"])
        for each in reply["keys"]
    ]
    empty = "no keys; make one with: minwallet key add NAME --scope read"
    print_table(["name", "key", "scope", "agent", "created", "revoked"], rows, empty)


@app.command("revoke")
def revoke(context: typer.Context, name: KeyNameArgument, as_json: JsonOption = False) -> None:
    """Make a key useless, at once and for ever. Its name cannot be used again."""
    from minwallet.operations.requests import KeyRevoke

    reply = execute(context, KeyRevoke(name=name))
    print_json(reply) if as_json else print_line(f"the key {name} is revoked")
