"""`minwallet agent`."""

from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli import agent_secret, callback_key
from minwallet.cli.dispatch import execute, query
from minwallet.cli.options import AgentNameArgument, JsonOption, WideOption
from minwallet.cli.output import print_json, print_table
from minwallet.protocols.operator_service import ReportUnit

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply

app = typer.Typer(help="Manage agents, the operators served by this wallet.", no_args_is_help=True)

app.add_typer(callback_key.app, name="callback-key")
app.add_typer(agent_secret.app, name="secret")

HostIdOption = Annotated[
    str | None, typer.Option("--host-id", help="The agent's id in vela, assigned by the provider.")
]


@app.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new agent.")],
    wallet_token: Annotated[
        str | None, typer.Option("--wallet-token", help="The agent's id in wallet-v2.  [default: the name]")
    ] = None,
    host_id: HostIdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an agent.

    Example: minwallet agent add brand2 --host-id 17
    """
    from minwallet.operations.requests import AgentAdd

    reply = execute(context, AgentAdd(name=name, wallet_token=wallet_token, host_id=host_id), create=True)
    print_json(reply) if as_json else _print_agents([reply])


@app.command("set")
def set_(
    context: typer.Context,
    name: AgentNameArgument,
    wallet_token: Annotated[str | None, typer.Option("--wallet-token", help="The agent's id in wallet-v2.")] = None,
    host_id: HostIdOption = None,
    service_url: Annotated[
        str | None, typer.Option("--service-url", help="The URL of the provider's game list and report.")
    ] = None,
    game_url: Annotated[
        str | None, typer.Option("--game-url", help="The URL at which wallet-v2's games are launched.")
    ] = None,
    report_unit: Annotated[
        ReportUnit | None, typer.Option("--report-unit", help="The unit of the report's amounts.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Change an agent's settings.

    Other settings stay unchanged. An empty text removes a host id or a URL.

    Example: minwallet agent set default --service-url https://games.example.com
    """
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
def show(context: typer.Context, name: AgentNameArgument = "default", as_json: JsonOption = False) -> None:
    """Show an agent's settings.

    Example: minwallet agent show brand2
    """
    from minwallet.operations.requests import AgentShow

    _print_settings(query(context, AgentShow(name=name)), as_json=as_json)


@app.command("list")
def list_(context: typer.Context, wide: WideOption = False, as_json: JsonOption = False) -> None:
    """List the agents.

    Example: minwallet agent list --json
    """
    from minwallet.operations.requests import AgentList

    reply = query(context, AgentList())
    print_json(reply) if as_json else _print_agents(reply["agents"], wide=wide)


def _print_settings(settings: "Reply", *, as_json: bool) -> None:
    if as_json:
        print_json(settings)
    else:
        print_table(
            ["setting", "value"], [(name.replace("_", " "), settings[name]) for name in settings], "", wide=True
        )


def _print_agents(agents: "list[Reply]", *, wide: bool = False) -> None:
    rows = [(agent["name"], agent["wallet_token"], agent["host_id"]) for agent in agents]
    print_table(["agent", "wallet token", "host id"], rows, "no agents", wide=wide)
