"""`minwallet key`."""

from typing import Annotated

import typer

from minwallet.cli.dispatch import execute, query
from minwallet.cli.options import JsonOption, WideOption
from minwallet.cli.output import print_json, print_line, print_table
from minwallet.storage.admin_store import KeyScope

app = typer.Typer(help="Manage the keys of the admin API.", no_args_is_help=True)


@app.command("add")
def add(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The name of the new key; the audit log shows it as author.")
    ],
    scope: Annotated[KeyScope, typer.Option("--scope", help="read: queries only; write: changes too.")],
    agent: Annotated[
        str | None, typer.Option("--agent", help="Restrict the key to this agent.  [default: all agents]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a key and print it.

    The key is shown only now. Keep it in a safe place.

    Example: minwallet key add crm --scope read --agent brand2
    """
    from minwallet.operations.access_requests import KeyAdd

    reply = execute(context, KeyAdd(name=name, scope=scope, agent=agent))
    if as_json:
        print_json(reply)
    else:
        print_line(reply["key"])
        reach = f"agent {agent}" if agent else "all agents"
        typer.echo(
            f"key {name} has scope {scope} for {reach}; send it in the header: Authorization: Bearer KEY", err=True
        )


@app.command("list")
def list_(context: typer.Context, wide: WideOption = False, as_json: JsonOption = False) -> None:
    """List the keys, revoked ones included.

    The list shows only the first characters of each key, and who made it. The maker of an old key may not be recorded.

    Example: minwallet key list
    """
    from minwallet.operations.access_requests import KeyList

    reply = query(context, KeyList())
    if as_json:
        print_json(reply)
        return
    rows = [
        (
            *(each["name"], each["key"], each["scope"], each["agent"] or "(all)"),
            *(each["created_at"], each["created_by"] or "(not recorded)", each["revoked_at"]),
        )
        for each in reply["keys"]
    ]
    empty = "no keys yet; create one with: minwallet key add NAME --scope read"
    print_table(["name", "key", "scope", "agent", "created", "created by", "revoked"], rows, empty, wide=wide)


@app.command("revoke")
def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the key, see `minwallet key list`.")],
    as_json: JsonOption = False,
) -> None:
    """Revoke a key immediately and permanently.

    The name cannot be used for another key.

    Example: minwallet key revoke crm
    """
    from minwallet.operations.access_requests import KeyRevoke

    reply = execute(context, KeyRevoke(name=name))
    print_json(reply) if as_json else print_line(f"key {name} is revoked")
