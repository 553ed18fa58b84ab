"""`minwallet report pull` and `minwallet reconcile`: the provider's report, and its comparison with the ledger."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.dispatch import database_path, execute_on_file, run_with_store, run_with_store_at
from minwallet.cli.options import (
    JsonOption,
    ProviderAgentOption,
    ServiceProtocolOption,
    TimeoutOption,
    parse_duration_option,
    parse_timeout_option,
)
from minwallet.cli.output import EXIT_REFUSED, UsageError, print_error, print_json, print_line, print_table
from minwallet.ledger.money import format_amount

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply
    from minwallet.storage.models import Agent, ReportCursor
    from minwallet.storage.store import Store

app = typer.Typer(help="Fetch the provider's report of all bets.", no_args_is_help=True)

MAX_SHOWN = 100
"""The maximum number of differences in the table. `--csv` and `--json` have all of them."""

DIFFERENCE_COLUMNS = (
    *("finding", "ticket", "ledger_stake", "ledger_payout", "report_stake", "report_payout"),
    *("currency", "player_id", "game", "at"),
)


@app.command("pull")
def pull(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Discard all stored rows and fetch the full report.")] = False,
    timeout: TimeoutOption = "30s",
    max_pages: Annotated[
        int, typer.Option("--max-pages", min=1, help="Stop after this number of pages, and exit with 1.")
    ] = 1_000,
    protocol: ServiceProtocolOption = None,
    agent: ProviderAgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Fetch the new rows of the provider's report.

    You can stop the command at any time. The next pull continues where it stopped. A row that cannot be read is
    skipped, with a line on stderr. The exit code is 1 if no row can be read, or if the report has more pages than
    --max-pages.

    Example: minwallet report pull --agent brand2
    """
    with _status_line("fetching the report") as report_progress:
        reply = pull_report(
            database_path(context),
            agent,
            report_progress,
            parse_timeout_option(timeout),
            wanted_protocol=protocol,
            full=full,
            max_pages=max_pages,
        )
    if as_json:
        print_json(reply)
    elif reply["complete"]:
        print_line(f"fetched {reply['rows']} rows; the report is complete up to key {reply['key'] or '0'}")
    else:
        print_line(f"fetched {reply['rows']} rows; stopped after {max_pages} pages at key {reply['key'] or '0'}")
        print_error("minwallet: the report has more pages; to go on, run the command again, without --full")
    for line in reply["skipped_lines"]:
        print_error(f"minwallet: {line}")
    if reply["skipped"]:
        print_error("minwallet: if the provider corrects these rows, fetch them with: minwallet report pull --full")
    # Rows that can be read are worth a comparison; without any, the setting of the unit may be wrong.
    if not reply["complete"] or (reply["skipped"] and not reply["rows"]):
        raise typer.Exit(EXIT_REFUSED)


def pull_report(
    path: Path,
    agent: str,
    report_progress: Callable[[str], None],
    timeout_s: float,
    *,
    wanted_protocol: str | None = None,
    full: bool = False,
    max_pages: int,
) -> "Reply":
    """Fetch up to `max_pages` new pages of the report and store each one, through the server if one runs.

    Call `report_progress` with a text after each page. Return the numbers of rows and pages, the last key, and if the
    report is complete. Of the rows that cannot be read, return their number, and a line for each of the first ones.
    """
    from minwallet.operations.agents import get_agent
    from minwallet.operations.requests import ReportSave
    from minwallet.provider import report_pull
    from minwallet.provider.service_client import ServiceClient, find_service_protocol
    from minwallet.wallet.service import clock_ms

    async def load_cursor(store: "Store") -> "tuple[Agent, str, ReportCursor]":
        found = await get_agent(store, agent)
        protocol = await find_service_protocol(store, found, wanted_protocol)
        return found, protocol, await store.reports.find_report_cursor(found.agent_id)

    agent_record, protocol, cursor = run_with_store_at(path, load_cursor)
    rows = pages = 0
    key, is_complete = cursor.key, False
    with ServiceClient(agent_record, timeout_s, protocol) as service:
        for batch in report_pull.pull_batches(service, cursor.key, clock_ms, restart=full, max_pages=max_pages):
            execute_on_file(path, ReportSave(agent=agent, sheet=batch))
            rows, key, is_complete = rows + len(batch.rows), batch.key, batch.ended_at_ms is not None
            pages += bool(batch.rows) and batch.key != batch.after
            report_progress(f"{rows} rows, {pages} pages")
    skipped = {"skipped": service.skipped.count, "skipped_lines": service.skipped.describe("rows")}
    return {"agent": agent, "rows": rows, "pages": pages, "key": key, "complete": is_complete, **skipped}


def reconcile(
    context: typer.Context,
    open_after: Annotated[
        str, typer.Option("--open-after", help="A bet without a result for longer than this is a difference: 30m, 7d.")
    ] = "24h",
    grace: Annotated[
        str,
        typer.Option("--grace", help="Transactions this close to the last pull can be absent from the report."),
    ] = "0s",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the differences as CSV.")] = False,
    protocol: ServiceProtocolOption = None,
    agent: ProviderAgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Compare the provider's report with the ledger.

    The command compares each ticket of the last pulled report. The exit code is 1 if it finds a difference.

    Example: minwallet reconcile --open-after 12h
    """
    from minwallet.provider import reconcile as provider
    from minwallet.wallet.service import clock_ms

    if as_csv and as_json:
        raise UsageError("--csv and --json exclude each other; use only one")
    limits = {"open_after_s": parse_duration_option(open_after), "grace_s": parse_duration_option(grace)}
    with _status_line("comparing") as report_progress:

        async def work(store: "Store") -> "Reply":
            found = await provider.reconcile(
                store,
                agent,
                lambda done: report_progress(f"{done} tickets"),
                now_ms=clock_ms(),
                wanted_protocol=protocol,
                **limits,
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
    """Show the progress of a long command in a line on stderr, if stderr is a terminal."""
    from rich.console import Console

    stderr = Console(stderr=True)
    if not stderr.is_terminal:
        yield lambda _: None
        return
    with stderr.status(words) as status:
        yield lambda text: status.update(f"{words}: {text}")


def _format_csv(document: "Reply") -> str:
    from minwallet.operations.spreadsheet import format_csv

    rows = [[each[name] for name in DIFFERENCE_COLUMNS] for each in document["differences"]]
    return format_csv([DIFFERENCE_COLUMNS, *rows], line_end="\n").removesuffix("\n")


def _print_reconciliation(document: "Reply") -> None:
    """Print the differences if there are any, the totals, and one line with the result."""
    differences = document["differences"]
    if differences:
        rows = [[_format_cell(name, each[name]) for name in DIFFERENCE_COLUMNS] for each in differences[:MAX_SHOWN]]
        titles = [f"{name.replace('_', ' ')}{'>' * name.endswith(('stake', 'payout'))}" for name in DIFFERENCE_COLUMNS]
        print_table(titles, rows, "")
        if len(differences) > MAX_SHOWN:
            print_line(f"… and {len(differences) - MAX_SHOWN} more; print all with --csv")
        print_line("")
    titles = ["day", "game", "currency", "ledger bets>", "stake>", "payout>", "report bets>", "stake>", "payout>"]
    print_table(titles, [_total_row(each) for each in document["totals"]], "no bets with this provider yet")
    counts = ", ".join(f"{number} {finding}" for finding, number in document["counts"].items()) or "no tickets"
    print_line(f"\n{'differs' if differences else 'ok'}: {counts}; last report pull {document['pulled_at']}")


def _total_row(each: "Reply") -> list[object]:
    sums = [each[side] for side in ("ledger", "report")]
    money = [[side["tickets"], format_amount(side["stake"]), format_amount(side["payout"])] for side in sums]
    return [each["day"], each["game"], each["currency"], *money[0], *money[1]]


def _format_cell(name: str, value: object) -> object:
    return format_amount(value) if isinstance(value, int) and name.endswith(("stake", "payout")) else value
