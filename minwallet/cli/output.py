"""Output of commands: tables and sentences for people, one JSON document for scripts, errors on stderr."""

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer

from minwallet.ledger.money import format_amount
from minwallet.operations.line_text import to_printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

EXIT_REFUSED, EXIT_USAGE, EXIT_UNUSABLE = 1, 2, 3

UNLIMITED_WIDTH = 10_000
"""The width of tables in a file or a pipe, which must not lose a column."""

MAX_REASONS = 20


class CommandRefused(Exception):
    """A valid command that was not carried out. Each argument is one reason and becomes one line."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(*reasons)


class UsageError(Exception):
    """A command line that is invalid in itself, whatever the wallet file contains."""


class OutputError(Exception):
    """A failure to write the command's output."""


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar on stderr, if stderr is a terminal.

    Yield a function that takes the number of entries done and the total, or None if the total is unknown.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(description), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    stderr = Console(stderr=True)
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def print_json(document: object) -> bool:
    """Print the document in one line. Return False if stdout is closed."""
    return _write_stdout(json.dumps(document) + "\n")


def print_line(text: str) -> bool:
    """Print the text and a line break. Return False if stdout is closed."""
    return _write_stdout(text + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print the rows as a table, or the text `empty` if there are none. Right-align a column whose name ends in ">".

    A terminal that is too narrow shows fewer columns, from the left, so the last ones should be the least important.
    """
    from rich.console import Console
    from rich.text import Text

    cells = [[Text("" if cell is None else to_printable(str(cell))) for cell in row] for row in rows]
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
        print_line(f"(columns not shown: {', '.join(missing)}; widen the terminal, or use --json)")


def truncate(reasons: Sequence[str], noun: str = "") -> list[str]:
    """Return the first MAX_REASONS reasons, and a line with the number of the others, called `noun`."""
    more = len(reasons) - MAX_REASONS
    return [*reasons[:MAX_REASONS], *([f"and {more} more {noun}like these"] if more > 0 else [])]


def color_text(text: str, color: str) -> str:
    """Return the text in this colour if stdout is a terminal with colours, otherwise unchanged."""
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
    """Write and flush the text. Return False if stdout is closed. Raise OutputError if it cannot be written."""
    if sys.stdout is None:
        return False
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # A reader such as `head` has enough. That is not an error, and the interpreter's last flush must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"the command succeeded, but its output cannot be written: {error.strerror}") from error
    return True


def print_error(text: str) -> None:
    """Print a line on stderr. Ignore a failure, such as a log on a full disk: the command itself continues."""
    with suppress(OSError):
        typer.echo(text, err=True)


def discard_stderr() -> None:
    """Flush stderr, and discard its rest if it cannot be written. Otherwise Python would change the exit code."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def format_balance(reply: Mapping[str, Any]) -> str:
    """Return the balance as text, such as `150.00 USD and 5.00 bonus`."""
    bonus = f" and {format_amount(reply['bonus'])} bonus" if reply["bonus"] else ""
    return f"{format_amount(reply['cash'])} {reply['currency']}{bonus}"
