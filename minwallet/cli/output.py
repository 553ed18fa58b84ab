"""How commands speak: tables and sentences for people, one JSON document for scripts, errors on stderr."""

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minwallet.ledger.money import format_amount

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

EXIT_REFUSED, EXIT_USAGE, EXIT_UNUSABLE = 1, 2, 3

UNLIMITED_WIDTH = 10_000
"""The width of tables that go to a file or another program, which must not lose a column."""

MAX_REASONS = 20

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
AgentOption = Annotated[str, typer.Option("--agent", help="The agent whose player it is.")]
TimeoutOption = Annotated[str, typer.Option("--timeout", help="How long to wait for an answer: 10s, 2m.")]
CurrencyOption = Annotated[str | None, typer.Option("--currency", help="Which currency, where the player has several.")]


class CommandRefused(Exception):
    """The command was understood and not carried out; one reason a line."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(*reasons)


class UsageError(Exception):
    """The command makes no sense as it was given."""


class OutputError(Exception):
    """What was to be said could not be written."""


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar for what takes a while, where a person is looking. It is told how many entries are done, of how many."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(description), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    stderr = Console(stderr=True)
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def print_json(document: object) -> bool:
    return _write_stdout(json.dumps(document) + "\n")


def print_line(text: str) -> bool:
    return _write_stdout(text + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table, or what `empty` says where there are no rows; columns whose names end in ">" hold numbers.

    In a terminal that is too narrow the columns at the right are left out, so they should be the least important.
    """
    from rich.console import Console
    from rich.text import Text

    cells = [[Text("" if cell is None else str(cell)) for cell in row] for row in rows]
    if not cells:
        print_line(empty)
        return
    is_terminal = _is_terminal()
    width = shutil.get_terminal_size().columns if is_terminal else UNLIMITED_WIDTH
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=UNLIMITED_WIDTH)
    shown = len(columns)
    while shown > 1 and console.measure(_build_table(columns[:shown], cells)).maximum > width:
        shown -= 1
    with console.capture() as written:
        console.print(_build_table(columns[:shown], cells))
    _write_stdout(written.get())
    if missing := [column.removesuffix(">") for column in columns[shown:]]:
        print_line(f"(no room for {', '.join(missing)}; widen the terminal, or ask for --json)")


def truncate(reasons: Sequence[str], noun: str = "") -> list[str]:
    """The first reasons, and how many more there are; `what` is what they are called."""
    more = len(reasons) - MAX_REASONS
    return [*reasons[:MAX_REASONS], *([f"and {more} more {noun}like these"] if more > 0 else [])]


def color_text(text: str, color: str) -> str:
    """The text in this colour, where it goes to a terminal that shows colours."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=io.StringIO(), force_terminal=_is_terminal(), width=UNLIMITED_WIDTH)
    with console.capture() as written:
        console.print(Text(text, color), end="")
    return written.get()


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _build_table(columns: Sequence[str], rows: "Sequence[Sequence[Text]]") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.removesuffix(">"), justify="right" if column.endswith(">") else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row[: len(columns)])
    return table


def _write_stdout(text: str) -> bool:
    """Whether anybody reads it. If nobody does, that is no reason to fail, nor to end with another code."""
    if sys.stdout is None:
        return False
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"the command was carried out, but its output was not written: {error.strerror}") from error
    return True


def print_error(text: str) -> None:
    """A line on stderr. Where none can be written, as to a log on a full disk, the work is done all the same."""
    with suppress(OSError):
        typer.echo(text, err=True)


def discard_stderr() -> None:
    """Python would end with a code of its own if something were left for stderr that cannot be written."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def format_balance(reply: Mapping[str, Any]) -> str:
    """`150.00 USD and 5.00 bonus`."""
    bonus = f" and {format_amount(reply['bonus'])} bonus" if reply["bonus"] else ""
    return f"{format_amount(reply['cash'])} {reply['currency']}{bonus}"
