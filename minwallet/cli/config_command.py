"""`minwallet config`."""

import typer

from minwallet.cli.output import JsonOption, print_json, print_table

app = typer.Typer(help="Settings and where they come from.", no_args_is_help=True)


@app.command("show")
def show(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show every setting in force, and where it comes from. Of a secret only its length."""
    from minwallet.config import load_settings

    listed = load_settings(db=context.find_root().params["db"]).list_settings()
    if as_json:
        print_json({"settings": [each._asdict() for each in listed]})
        return
    rows = [(each.variable, each.value, each.origin) for each in listed]
    print_table(["setting", "value", "from"], rows, "")
