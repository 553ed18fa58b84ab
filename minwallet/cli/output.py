"""How commands speak: tables and sentences for people, one JSON document for scripts, errors on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from minwallet.ledger.money import format_amount

EXIT_REFUSED, EXIT_USAGE, EXIT_UNUSABLE = 1, 2, 3

WIDE = 240
"""The width of tables that go to a file or another program, which must not lose a column."""

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
AgentName = Annotated[str, typer.Option("--agent", help="The agent whose player it is.")]
CurrencyName = Annotated[str | None, typer.Option("--currency", help="Which currency, where the player has several.")]


class Refused(Exception):
    """The command was understood and not carried out; one reason a line."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(*reasons)


class BadUsage(Exception):
    """The command makes no sense as it was given."""


def print_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table, with the columns whose names end in ">" set to the right; `empty` is said where there are no rows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.removesuffix(">"), justify="right" if column.endswith(">") else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    if table.row_count:
        console.print(table)
    else:
        console.print(Text(empty))


def print_line(text: str) -> None:
    sys.stdout.write(text + "\n")


def money(reply: dict[str, Any]) -> str:
    """`150.00 USD and 5.00 bonus`."""
    bonus = f" and {format_amount(reply['bonus'])} bonus" if reply["bonus"] else ""
    return f"{format_amount(reply['cash'])} {reply['currency']}{bonus}"
