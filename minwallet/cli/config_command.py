"""`minwallet config`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from minwallet.cli.command_settings import ask_server, load_command_settings
from minwallet.cli.options import JsonOption
from minwallet.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from minwallet.config import Setting

app = typer.Typer(help="Show the settings and their sources.", no_args_is_help=True)


@app.command("show")
def show(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show every setting in force and its source.

    While a server runs on the wallet file, the settings are those in force in the server. The command also shows which
    of them would change with a newly started server. For a secret, it shows only the length.

    Example: minwallet config show
    """
    from minwallet.doctor.server_settings import find_differences

    fresh = load_command_settings(context)
    running = ask_server(fresh)
    listed = running.listed if running else fresh.list_settings()
    changes = [each.at_next_start for each in find_differences(running, fresh)] if running else []
    if as_json:
        server = {"pid": running.endpoint.pid, "url": running.endpoint.serves} if running else None
        documents = {"settings": _to_documents(listed), "server": server, "at_next_start": _to_documents(changes)}
        print_json(documents)
        return
    if running:
        print_line(f"in force in {running.server}:\n")
    _print_settings(listed)
    if changes:
        print_line("\na newly started server would use:\n")
        _print_settings(changes)


def _to_documents(settings: "Sequence[Setting]") -> list[dict[str, str]]:
    return [each._asdict() for each in settings]


def _print_settings(settings: "Sequence[Setting]") -> None:
    print_table(["setting", "value", "source"], [(each.variable, each.value, each.origin) for each in settings], "")
