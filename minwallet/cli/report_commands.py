"""`minwallet report pull` and `minwallet reconcile`: the provider's report, and what it comes to."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.dispatch import database_path, execute_on_file, run_with_store, run_with_store_at
from minwallet.cli.output import (
    EXIT_REFUSED,
    AgentOption,
    JsonOption,
    TimeoutOption,
    UsageError,
    print_json,
    print_line,
    print_table,
)
from minwallet.cli.session import parse_duration_option
from minwallet.ledger.money import format_amount

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply
    from minwallet.storage.models import Agent, ReportCursor
    from minwallet.storage.store import Store

app = typer.Typer(help="The provider's report of all bets.", no_args_is_help=True)

MAX_SHOWN = 100
"""How many differences a person gets to see; scripts get all."""

DIFFERENCE_COLUMNS = (
    *("finding", "ticket", "ledger_stake", "ledger_payout", "report_stake", "report_payout"),
    *("currency", "player_id", "game", "at"),
)


@app.command("pull")
def pull(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Forget what was pulled and begin at the beginning.")] = False,
    timeout: TimeoutOption = "30s",
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Pull what is new in the report. It may be stopped at any time, and goes on where it was."""
    with _status_line("asking the provider") as report_progress:
        reply = pull_report(database_path(context), agent, report_progress, parse_duration_option(timeout), full=full)
    if as_json:
        print_json(reply)
    else:
        print_line(f"{reply['rows']} rows; the report is whole up to key {reply['key'] or '0'}")


def pull_report(
    path: Path, agent: str, report_progress: Callable[[str], None], timeout_s: float, *, full: bool = False
) -> "Reply":
    """Pull to the end, each page kept by whoever owns the file; tells `say` how far it is."""
    from minwallet.operations.agents import get_agent
    from minwallet.operations.requests import ReportSave
    from minwallet.provider import report_pull
    from minwallet.provider.service_client import ServiceClient
    from minwallet.wallet.service import clock_ms

    async def load_cursor(store: "Store") -> "tuple[Agent, ReportCursor]":
        found = await get_agent(store, agent)
        return found, await store.reports.find_report_cursor(found.agent_id)

    agent_record, cursor = run_with_store_at(path, load_cursor)
    rows = pages = 0
    key = cursor.key
    with ServiceClient(agent_record, timeout_s) as service:
        for batch in report_pull.pull_batches(service, cursor.key, clock_ms, restart=full):
            execute_on_file(path, ReportSave(agent=agent, sheet=batch))
            rows, pages, key = rows + len(batch.rows), pages + bool(batch.rows), batch.key
            report_progress(f"{rows} rows, {pages} pages")
    return {"agent": agent, "rows": rows, "pages": pages, "key": key}


def reconcile(
    context: typer.Context,
    open_after: Annotated[
        str, typer.Option("--open-after", help="How long a bet may wait for its result: 30m, 24h, 7d.")
    ] = "24h",
    grace: Annotated[
        str, typer.Option("--grace", help="What moved so shortly before the report was pulled is not due yet.")
    ] = "0s",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the differences as CSV.")] = False,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Hold the report against the ledger. Ticket by ticket; exit code 1 where they differ."""
    from minwallet.provider import reconcile as provider
    from minwallet.wallet.service import clock_ms

    if as_csv and as_json:
        raise UsageError("choose one of --csv and --json")
    limits = {"open_after_s": parse_duration_option(open_after), "grace_s": parse_duration_option(grace)}
    with _status_line("reading") as report_progress:

        async def work(store: "Store") -> "Reply":
            found = await provider.reconcile(
                store, agent, lambda done: report_progress(f"{done} tickets"), now_ms=clock_ms(), **limits
            )
            return provider.to_document(found)

        document = run_with_store(context, work)
    if as_json:
        print_json(document)
    elif as_csv:
        print_line(_format_csv(document))
    else:
        _print_reconciliation(document)
    if not document["ok"]:
        raise typer.Exit(EXIT_REFUSED)


@contextmanager
def _status_line(words: str) -> Iterator[Callable[[str], None]]:
    """A line on the terminal that shows how far a long command is, where a person is looking."""
    from rich.console import Console

    stderr = Console(stderr=True)
    if not stderr.is_terminal:
        yield lambda _: None
        return
    with stderr.status(words) as status:
        yield lambda text: status.update(f"{words}: {text}")


def _format_csv(document: "Reply") -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, DIFFERENCE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(document["differences"])
    return stream.getvalue().removesuffix("\n")


def _print_reconciliation(document: "Reply") -> None:
    """The differences if there are any, the totals, and one line that says how it is."""
    differences = document["differences"]
    if differences:
        rows = [[_format_cell(name, each[name]) for name in DIFFERENCE_COLUMNS] for each in differences[:MAX_SHOWN]]
        titles = [f"{name.replace('_', ' ')}{'>' * name.endswith(('stake', 'payout'))}" for name in DIFFERENCE_COLUMNS]
        print_table(titles, rows, "")
        if len(differences) > MAX_SHOWN:
            print_line(f"… and {len(differences) - MAX_SHOWN} more; --csv prints all")
        print_line("")
    titles = ["day", "game", "currency", "ledger bets>", "stake>", "payout>", "report bets>", "stake>", "payout>"]
    print_table(titles, [_total_row(each) for each in document["totals"]], "no money has moved through this provider")
    counts = ", ".join(f"{number} {finding}" for finding, number in document["counts"].items()) or "no tickets"
    print_line(f"\n{'differs' if differences else 'ok'}: {counts}; report pulled {document['pulled_at']}")


def _total_row(each: "Reply") -> list[object]:
    sums = [each[side] for side in ("ledger", "report")]
    money = [[side["tickets"], format_amount(side["stake"]), format_amount(side["payout"])] for side in sums]
    return [each["day"], each["game"], each["currency"], *money[0], *money[1]]


def _format_cell(name: str, value: object) -> object:
    return format_amount(value) if isinstance(value, int) and name.endswith(("stake", "payout")) else value
