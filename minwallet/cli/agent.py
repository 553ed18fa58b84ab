"""`minwallet agent`."""

from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.dispatch import execute, query
from minwallet.cli.output import JsonOption, print_json, print_table
from minwallet.protocols.operator_service import ReportUnit

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply

app = typer.Typer(help="The operators served by this wallet.", no_args_is_help=True)


@app.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the agent here.")],
    wallet_token: Annotated[
        str | None, typer.Option("--wallet-token", help="wallet-v2's id of the agent.  [default: its name]")
    ] = None,
    host_id: Annotated[str | None, typer.Option("--host-id", help="vela's id of the agent, from the provider.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Add an agent."""
    from minwallet.operations.requests import AgentAdd

    reply = execute(context, AgentAdd(name=name, wallet_token=wallet_token, host_id=host_id), create=True)
    print_json(reply) if as_json else _print_agents([reply])


@app.command("set")
def set_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The agent.")],
    wallet_token: Annotated[str | None, typer.Option("--wallet-token", help="wallet-v2's id of the agent.")] = None,
    host_id: Annotated[str | None, typer.Option("--host-id", help="vela's id of the agent, from the provider.")] = None,
    service_url: Annotated[
        str | None, typer.Option("--service-url", help="Where the provider serves game list and report.")
    ] = None,
    game_url: Annotated[str | None, typer.Option("--game-url", help="Where wallet-v2's games are launched.")] = None,
    report_unit: Annotated[
        ReportUnit | None, typer.Option("--report-unit", help="What the amounts of the report are in.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Change an agent's settings. An empty text takes a host id or an address away."""
    from minwallet.operations.requests import AgentSet

    request = AgentSet(
        name=name,
        wallet_token=wallet_token,
        host_id=host_id,
        service_url=service_url,
        game_url=game_url,
        report_unit=report_unit,
    )
    _print_settings(execute(context, request), as_json=as_json)


@app.command("show")
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The agent.")] = "default",
    as_json: JsonOption = False,
) -> None:
    """Show an agent's settings."""
    from minwallet.operations.requests import AgentShow

    _print_settings(query(context, AgentShow(name=name)), as_json=as_json)


@app.command("list")
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the agents."""
    from minwallet.operations.requests import AgentList

    reply = query(context, AgentList())
    print_json(reply) if as_json else _print_agents(reply["agents"])


def _print_settings(settings: "Reply", *, as_json: bool) -> None:
    if as_json:
        print_json(settings)
    else:
        print_table(["setting", "value"], [(name.replace("_", " "), settings[name]) for name in settings], "")


def _print_agents(agents: "list[Reply]") -> None:
    rows = [(agent["name"], agent["wallet_token"], agent["host_id"]) for agent in agents]
    print_table(["agent", "wallet token", "host id"], rows, "no agents")
