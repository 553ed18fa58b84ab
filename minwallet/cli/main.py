"""`minwallet [--db PATH] COMMAND`: the root of the command line, and the one place that turns errors into exit codes.

0 success, 1 refused or problems found, 2 invalid usage, 3 the database or the server cannot be used.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from minwallet import __version__
from minwallet.cli import (
    admin_commands,
    agent,
    backup_commands,
    bench,
    call_commands,
    calls,
    config_command,
    conformance,
    demo,
    demo_provider,
    doctor,
    export,
    game_commands,
    import_ledger,
    key,
    ledger,
    limit,
    player,
    protocols,
    report_commands,
    sample,
    seed,
    serve,
    session,
    systemd,
    tail,
    transfer_commands,
    usage_errors,
    verify_command,
)
from minwallet.cli.command_settings import load_command_settings
from minwallet.cli.hints import NEW_WALLET_HINT, TIMEOUT_HINT, format_failure
from minwallet.cli.output import (
    EXIT_REFUSED,
    EXIT_UNUSABLE,
    EXIT_USAGE,
    CommandRefused,
    OutputError,
    UsageError,
    discard_stderr,
    print_error,
    print_line,
)
from minwallet.protocols.packages import choose_plugins_folder
from minwallet.protocols.registry import use_plugins_folder

app = typer.Typer(
    name="minwallet",
    help="A seamless wallet for casino players' money, in one SQLite file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("systemd")(systemd.systemd)
app.add_typer(admin_commands.app, name="admin")
app.add_typer(agent.app, name="agent")
app.add_typer(player.app, name="player")
app.command("deposit", cls=usage_errors.AmountCommand)(transfer_commands.deposit)
app.command("withdraw", cls=usage_errors.AmountCommand)(transfer_commands.withdraw)
app.command("adjust", cls=usage_errors.AmountCommand)(transfer_commands.adjust)
app.add_typer(limit.app, name="limit")
app.add_typer(session.app, name="session")
app.add_typer(key.app, name="key")
app.command("sample")(sample.sample)
app.command("seed")(seed.seed)
app.command("ledger")(ledger.ledger)
app.command("tail")(tail.tail)
app.command("calls")(calls.calls)
app.command("show")(call_commands.show)
app.command("trigger")(call_commands.trigger)
app.command("replay")(call_commands.replay)
app.command("games")(game_commands.games)
app.command("launch")(game_commands.launch)
app.add_typer(report_commands.app, name="report")
app.command("reconcile")(report_commands.reconcile)
app.command("export")(export.export)
app.command("import")(import_ledger.import_)
app.command("verify")(verify_command.verify)
app.command("doctor")(doctor.doctor)
app.command("backup")(backup_commands.backup)
app.command("restore")(backup_commands.restore)
app.command("demo-provider")(demo_provider.demo_provider)
app.command("protocols")(protocols.protocols)
app.add_typer(protocols.app, name="protocol")
app.command("conformance")(conformance.conformance)
app.command("bench")(bench.bench)
app.add_typer(config_command.app, name="config")


def _print_version(requested: bool) -> None:
    if requested:
        print_line(f"minwallet {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    db: Annotated[
        Path | None,
        typer.Option(
            "--db",
            metavar="PATH",
            readable=False,
            help="The wallet file.  [env: MINWALLET_DB; default: ./minwallet.db]",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A seamless wallet for casino players' money, in one SQLite file."""
    del db, version  # commands find the path in the context; the version has been printed
    # A command that needs no protocol of another package does not read the settings for it.
    use_plugins_folder(lambda: choose_plugins_folder(load_command_settings(context).plugins))


def main() -> None:
    """Run the command. Print an error of the user or the environment on stderr, never as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or file with a smaller character set gets a question mark instead of an exception.
            stream.reconfigure(errors="replace")
    try:
        code = app(standalone_mode=False)
    except Exception as error:
        if isinstance(error, typer.TyperException) and usage_errors.is_help(error):
            print_error(error.message)
            raise SystemExit(EXIT_USAGE) from None
        code, lines = _describe_error(error)
        for line in lines:
            print_error(f"minwallet: {line}")
        raise SystemExit(code) from None
    else:
        raise SystemExit(code)
    finally:
        discard_stderr()


def _describe_error(error: Exception) -> tuple[int, Sequence[str]]:
    """Return the exit code and the lines for an error of the user or the environment. Raise any other: it is a bug."""
    from pydantic import ValidationError

    from minwallet.bench.load import LoadFailed
    from minwallet.config import BindError
    from minwallet.conformance.balances import SetupError, WalletUnreachable
    from minwallet.operations.errors import OperationError
    from minwallet.operations.field_help import format_validation_error
    from minwallet.provider.service_client import ProviderFailed, ProviderTimedOut
    from minwallet.setting_sources import SettingsError
    from minwallet.storage.errors import DatabaseNotFound, StoreError

    match error:
        case OperationError():
            return EXIT_REFUSED, format_failure(error.failure)
        case CommandRefused() | SetupError():
            return EXIT_REFUSED, error.args
        case ValidationError():
            return EXIT_USAGE, [format_validation_error(error)]
        case typer.TyperException():
            return EXIT_USAGE, [usage_errors.describe_usage_error(error, sys.argv[1:])]
        case UsageError() | SettingsError():
            return EXIT_USAGE, [str(error)]
        case DatabaseNotFound():
            return EXIT_UNUSABLE, [f"{error}; {NEW_WALLET_HINT.format(path=error.path)}"]
        case ProviderTimedOut():
            return EXIT_UNUSABLE, [f"{error}{TIMEOUT_HINT}"]
        case StoreError() | BindError() | ProviderFailed() | WalletUnreachable() | LoadFailed() | OutputError():
            return EXIT_UNUSABLE, [str(error)]
        case FileNotFoundError() if not _has_current_folder():
            return EXIT_UNUSABLE, ["the current folder was deleted; change to another folder and repeat the command"]
        case _:
            raise error


def _has_current_folder() -> bool:
    """Return False if the current folder was deleted. Every relative path then fails, wherever it is used."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True
