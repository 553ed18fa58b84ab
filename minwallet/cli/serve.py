"""`minwallet serve`."""

from typing import Annotated

import typer

from minwallet.cli.command_settings import load_command_settings


def serve(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", help="The address to listen on.  [env: MINWALLET_HOST; default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            help="The port to listen on; 0 picks a free one.  [env: MINWALLET_PORT; default: 8000]",
        ),
    ] = None,
) -> None:
    """Run the server on the wallet file.

    The command creates the wallet file if it does not exist.

    Example: minwallet serve --port 9000
    """
    from minwallet import __version__, app
    from minwallet.cli.dispatch import announce_new_wallet
    from minwallet.cli.output import print_error
    from minwallet.protocols.registry import find_protocol_problems, list_protocols
    from minwallet.storage.database_files import is_visible
    from minwallet.web.index import list_addresses

    settings = load_command_settings(context, is_server=True, host=host, port=port)
    is_new = not is_visible(settings.db)

    def print_address(url: str) -> None:
        if is_new:
            announce_new_wallet(settings.db)
        print_error(f"minwallet {__version__} serves {settings.db.absolute()} at {url} (stop it with Ctrl-C)")
        addresses = list_addresses(settings, settings.browser_url(url))
        width = max(len(name) for name, _ in addresses)
        for name, address in addresses:
            print_error(f"  {name:{width}}  {address}")
        for problem in find_protocol_problems():
            print_error(f"minwallet: {problem}")
        for name in sorted({*settings.protocols} - {*list_protocols()}):
            print_error(f"minwallet: MINWALLET_PROTOCOLS names '{name}', which is not an installed protocol")

    def print_login_link(url: str) -> None:
        print_error(f"sign in to the back office (one-time link, valid for 1 hour): {url}")

    app.serve(settings, print_address, on_first_login_link=print_login_link)
