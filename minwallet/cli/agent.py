"""`minwallet agent`."""

from typing import Annotated

import typer

from minwallet.cli.link import change, read
from minwallet.cli.output import JsonFlag, print_json, print_table
from minwallet.wallet.desk import Reply
from minwallet.wallet.requests import AgentAdd, AgentList

app = typer.Typer(help="The operators served by this wallet.", no_args_is_help=True)


@app.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the agent here.")],
    wallet_token: Annotated[
        str | None, typer.Option("--wallet-token", help="wallet-v2's id of the agent.  [default: its name]")
    ] = None,
    host_id: Annotated[str | None, typer.Option("--host-id", help="vela's id of the agent, from the provider.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Add an agent."""
    reply = change(context, AgentAdd(name=name, wallet_token=wallet_token, host_id=host_id), create=True)
    print_json(reply) if as_json else _print([reply])


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the agents."""
    reply = read(context, AgentList())
    print_json(reply) if as_json else _print(reply["agents"])


def _print(agents: list[Reply]) -> None:
    rows = [(agent["name"], agent["wallet_token"], agent["host_id"]) for agent in agents]
    print_table(["agent", "wallet token", "host id"], rows, "no agents")
