"""`minwallet agent callback-key`."""

from typing import Annotated

import typer

from minwallet.cli.dispatch import execute, query
from minwallet.cli.options import AgentNameArgument, JsonOption, WideOption
from minwallet.cli.output import print_json, print_line, print_table

app = typer.Typer(help="Manage the callback keys of an agent.", no_args_is_help=True)


@app.command("add")
def add(context: typer.Context, name: AgentNameArgument, as_json: JsonOption = False) -> None:
    """Create a callback key and print it.

    The provider endpoints below /KEY/ accept sessions of this agent only. An agent can have several keys at once. The
    key is shown only now.

    Example: minwallet agent callback-key add default
    """
    from minwallet.operations.access_requests import CallbackKeyAdd

    reply = execute(context, CallbackKeyAdd(agent=name))
    if as_json:
        print_json(reply)
    else:
        print_line(reply["callback_key"])
        typer.echo(f"the provider endpoints below /KEY/ accept sessions of agent {name} only", err=True)


@app.command("list")
def list_(
    context: typer.Context,
    name: AgentNameArgument = "default",
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """List an agent's callback keys, revoked ones included.

    The list shows only the first characters of each key.

    Example: minwallet agent callback-key list default
    """
    from minwallet.operations.access_requests import CallbackKeyList

    reply = query(context, CallbackKeyList(agent=name))
    if as_json:
        print_json(reply)
        return
    rows = [
        (each["callback_key"], each["created_at"], each["created_by"], each["revoked_at"])
        for each in reply["callback_keys"]
    ]
    empty = f"no callback keys yet; create one with: minwallet agent callback-key add {name}"
    print_table(["callback key", "created", "created by", "revoked"], rows, empty, wide=wide)


@app.command("revoke")
def revoke(
    context: typer.Context,
    name: AgentNameArgument,
    key_prefix: Annotated[
        str, typer.Argument(metavar="KEY-PREFIX", help="The first characters of the key, or the whole key.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Revoke a callback key immediately and permanently.

    Calls with this key get 404. No other live key of the agent may begin with the same characters.

    Example: minwallet agent callback-key revoke default mwc_5d0c81f2
    """
    from minwallet.operations.access_requests import CallbackKeyRevoke

    reply = execute(context, CallbackKeyRevoke(agent=name, key_prefix=key_prefix))
    print_json(reply) if as_json else print_line(f"callback key {reply['callback_key']} is revoked")
