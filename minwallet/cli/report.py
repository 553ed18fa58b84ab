"""`minwallet report pull` and `minwallet reconcile`: the provider's report, and what it comes to."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.link import change_file, database, with_store, with_store_of
from minwallet.cli.output import (
    EXIT_REFUSED,
    AgentName,
    BadUsage,
    JsonFlag,
    Timeout,
    print_json,
    print_line,
    print_table,
)
from minwallet.cli.session import seconds
from minwallet.ledger.money import format_amount

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply
    from minwallet.storage.models import Agent, ReportCursor
    from minwallet.storage.store import Store

app = typer.Typer(help="The provider's report of all bets.", no_args_is_help=True)

MOST_SHOWN = 100
"""How many differences a person gets to see; scripts get all."""

COLUMNS = (
    *("finding", "ticket", "ledger_stake", "ledger_payout", "report_stake", "report_payout"),
    *("currency", "player_id", "game", "at"),
)


@app.command("pull")
def pull(
    context: typer.Context,
    anew: Annotated[bool, typer.Option("--anew", help="Forget what was pulled and begin at the beginning.")] = False,
    timeout: Timeout = "30s",
    agent: AgentName = "default",
    as_json: JsonFlag = False,
) -> None:
    """Pull what is new in the report. It may be stopped at any time, and goes on where it was."""
    with _status("asking the provider") as say:
        reply = pull_report(database(context), agent, say, seconds(timeout), anew=anew)
    if as_json:
        print_json(reply)
    else:
        print_line(f"{reply['rows']} rows; the report is whole up to key {reply['key'] or '0'}")


def pull_report(path: Path, agent: str, say: Callable[[str], None], timeout_s: float, *, anew: bool = False) -> "Reply":
    """Pull to the end, each page kept by whoever owns the file; tells `say` how far it is."""
    from minwallet.operations.agents import get_agent
    from minwallet.operations.requests import ReportSave
    from minwallet.provider import report_pull
    from minwallet.provider.service_client import ServiceClient
    from minwallet.wallet.service import clock_ms

    async def look(store: "Store") -> "tuple[Agent, ReportCursor]":
        found = await get_agent(store, agent)
        return found, await store.find_report_cursor(found.agent_id)

    settings, mark = with_store_of(path, look)
    rows = pages = 0
    key = mark.key
    with ServiceClient(settings, timeout_s) as service:
        for sheet in report_pull.pull_batches(service, mark.key, clock_ms, restart=anew):
            change_file(path, ReportSave(agent=agent, sheet=sheet))
            rows, pages, key = rows + len(sheet.rows), pages + bool(sheet.rows), sheet.key
            say(f"{rows} rows, {pages} pages")
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
    agent: AgentName = "default",
    as_json: JsonFlag = False,
) -> None:
    """Hold the report against the ledger. Ticket by ticket; exit code 1 where they differ."""
    from minwallet.provider import reconcile as provider
    from minwallet.wallet.service import clock_ms

    if as_csv and as_json:
        raise BadUsage("choose one of --csv and --json")
    limits = {"open_after_s": seconds(open_after), "grace_s": seconds(grace)}
    with _status("reading") as say:

        async def work(store: "Store") -> "Reply":
            found = await provider.reconcile(
                store, agent, lambda done: say(f"{done} tickets"), now_ms=clock_ms(), **limits
            )
            return provider.to_document(found)

        document = with_store(context, work)
    if as_json:
        print_json(document)
    elif as_csv:
        print_line(_csv(document))
    else:
        _print(document)
    if not document["ok"]:
        raise typer.Exit(EXIT_REFUSED)


@contextmanager
def _status(words: str) -> Iterator[Callable[[str], None]]:
    """A line on the terminal that shows how far a long command is, where a person is looking."""
    from rich.console import Console

    stderr = Console(stderr=True)
    if not stderr.is_terminal:
        yield lambda _: None
        return
    with stderr.status(words) as status:
        yield lambda text: status.update(f"{words}: {text}")


def _csv(document: "Reply") -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(document["differences"])
    return stream.getvalue().removesuffix("\n")


def _print(document: "Reply") -> None:
    """The differences if there are any, the totals, and one line that says how it is."""
    differences = document["differences"]
    if differences:
        rows = [[_cell(name, each[name]) for name in COLUMNS] for each in differences[:MOST_SHOWN]]
        titles = [f"{name.replace('_', ' ')}{'>' * name.endswith(('stake', 'payout'))}" for name in COLUMNS]
        print_table(titles, rows, "")
        if len(differences) > MOST_SHOWN:
            print_line(f"… and {len(differences) - MOST_SHOWN} more; --csv prints all")
        print_line("")
    titles = ["day", "game", "currency", "ledger bets>", "stake>", "payout>", "report bets>", "stake>", "payout>"]
    print_table(titles, [_total(each) for each in document["totals"]], "no money has moved through this provider")
    counts = ", ".join(f"{number} {finding}" for finding, number in document["counts"].items()) or "no tickets"
    print_line(f"\n{'differs' if differences else 'ok'}: {counts}; report pulled {document['pulled_at']}")


def _total(each: "Reply") -> list[object]:
    sums = [each[side] for side in ("ledger", "report")]
    money = [[side["tickets"], format_amount(side["stake"]), format_amount(side["payout"])] for side in sums]
    return [each["day"], each["game"], each["currency"], *money[0], *money[1]]


def _cell(name: str, value: object) -> object:
    return format_amount(value) if isinstance(value, int) and name.endswith(("stake", "payout")) else value
