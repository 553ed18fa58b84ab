"""`minwallet [--db PATH] COMMAND`: the root of the command line, and the one place that turns errors into exit codes.

0 done, 1 refused or problems found, 2 wrong usage, 3 the database or the server cannot be used.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from minwallet import __version__
from minwallet.cli import (
    admin,
    agent,
    backup,
    bench,
    calls,
    config,
    conformance,
    demo,
    demo_provider,
    doctor,
    export,
    games,
    importing,
    key,
    ledger,
    limit,
    money,
    player,
    report,
    sample,
    seed,
    serve,
    session,
    systemd,
    tail,
    verify,
)
from minwallet.cli.output import (
    EXIT_REFUSED,
    EXIT_UNUSABLE,
    EXIT_USAGE,
    BadUsage,
    NoOutput,
    Refused,
    drop_what_was_not_said,
    print_line,
    say,
)

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
app.add_typer(admin.app, name="admin")
app.add_typer(agent.app, name="agent")
app.add_typer(player.app, name="player")
app.command("deposit")(money.deposit)
app.command("withdraw")(money.withdraw)
app.add_typer(limit.app, name="limit")
app.add_typer(session.app, name="session")
app.add_typer(key.app, name="key")
app.command("sample")(sample.sample)
app.command("seed")(seed.seed)
app.command("ledger")(ledger.ledger)
app.command("tail")(tail.tail)
app.command("show")(calls.show)
app.command("trigger")(calls.trigger)
app.command("replay")(calls.replay)
app.command("games")(games.games)
app.command("launch")(games.launch)
app.add_typer(report.app, name="report")
app.command("reconcile")(report.reconcile)
app.command("export")(export.export)
app.command("import")(importing.import_)
app.command("verify")(verify.verify)
app.command("doctor")(doctor.doctor)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("demo-provider")(demo_provider.demo_provider)
app.command("conformance")(conformance.conformance)
app.command("bench")(bench.bench)
app.add_typer(config.app, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
        print_line(f"minwallet {__version__}")
        raise typer.Exit


@app.callback()
def root(
    db: Annotated[
        Path | None,
        typer.Option("--db", metavar="PATH", help="The wallet file.  [env: MINWALLET_DB; default: ./minwallet.db]"),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A seamless wallet for casino players' money, in one SQLite file."""
    del db, version  # commands find the path in the context; the version has been printed


def main() -> None:
    """Run the command; what a person can do wrong ends in one line on stderr, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or a file that knows fewer symbols gets a question mark, and everything else.
            stream.reconfigure(errors="replace")
    try:
        app()
    except Exception as error:
        code, lines = _explain(error)
        for line in lines:
            say(f"minwallet: {line}")
        raise SystemExit(code) from None
    finally:
        drop_what_was_not_said()


def _explain(error: Exception) -> tuple[int, Sequence[str]]:
    """The exit code and the words for an error that is somebody's; a bug is raised again."""
    from pydantic import ValidationError

    from minwallet.bench.load import LoadFailed
    from minwallet.config import BadSettings, CannotListen
    from minwallet.conformance.runner import SetupError, WalletUnreachable
    from minwallet.operations.errors import OperationError
    from minwallet.operations.requests import format_validation_error
    from minwallet.provider.service_client import ProviderFailed
    from minwallet.storage.errors import StoreError

    match error:
        case OperationError():
            return EXIT_REFUSED, error.failure.lines
        case Refused() | SetupError():
            return EXIT_REFUSED, error.args
        case ValidationError():
            return EXIT_USAGE, [format_validation_error(error)]
        case BadUsage() | BadSettings():
            return EXIT_USAGE, [str(error)]
        case StoreError() | CannotListen() | ProviderFailed() | WalletUnreachable() | LoadFailed() | NoOutput():
            return EXIT_UNUSABLE, [str(error)]
        case _:
            raise error
