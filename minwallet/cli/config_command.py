"""`minwallet config`."""

import typer

from minwallet.cli.options import JsonOption
from minwallet.cli.output import print_json, print_table

app = typer.Typer(help="Show the settings and their sources.", no_args_is_help=True)


@app.command("show")
def show(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show every setting in force and its source.

    For a secret, the command shows only its length.

    Example: minwallet config show
    """
    from minwallet.config import load_settings

    listed = load_settings(db=context.find_root().params["db"]).list_settings()
    if as_json:
        print_json({"settings": [each._asdict() for each in listed]})
        return
    rows = [(each.variable, each.value, each.origin) for each in listed]
    print_table(["setting", "value", "source"], rows, "")
