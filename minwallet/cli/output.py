"""Output of commands: tables and sentences for people, one JSON document for scripts, errors on stderr."""

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

import typer

from minwallet.ledger.money import format_amount
from minwallet.operations.line_text import to_printable

EXIT_REFUSED, EXIT_USAGE, EXIT_UNUSABLE = 1, 2, 3

UNLIMITED_WIDTH = 10_000
"""The width of tables in a file or a pipe, which must not lose a column."""

MAX_REASONS = 20

PAGE_ROWS = 1000
"""The number of rows of a table that are measured together."""

COLUMN_GAP = "  "


class CommandRefused(Exception):
    """A valid command that was not carried out. Each argument is one reason and becomes one line."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(*reasons)


class UsageError(Exception):
    """A command line that is invalid in itself, whatever the wallet file contains."""


class OutputError(Exception):
    """A failure to write the command's output."""


def describe_os_error(error: OSError) -> str:
    """Return the reason in lower case, such as `permission denied`."""
    match error:
        case FileNotFoundError():
            return "no such file or folder"
        case IsADirectoryError():
            return "it is a folder"
        case _:
            reason = error.strerror or str(error)
            return reason[:1].lower() + reason[1:]


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


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    empty: str,
    *,
    required: int | None = None,
    wide: bool = False,
) -> None:
    """Print the rows as a table, or the text `empty` if there are none. See TablePrinter."""
    printer, iterator = TablePrinter(columns, required=required, wide=wide), iter(rows)
    while page := [*islice(iterator, PAGE_ROWS)]:
        if not printer.print_page(page):
            return
    printer.finish(empty)


class TablePrinter:
    """A table that is printed page by page, so that a long one begins immediately and needs little memory.

    A column whose name ends in ">" is right-aligned. Without `wide`, the first page chooses a form that fits into the
    terminal: all columns, or as many from the left as fit, or one line per value if the first `required` columns do not
    fit. By default all columns are required. A later page with longer values has wider columns.
    """

    def __init__(self, columns: Sequence[str], *, required: int | None = None, wide: bool = False) -> None:
        self._names = [column.removesuffix(">") for column in columns]
        self._is_right = [column.endswith(">") for column in columns]
        self._required = len(columns) if required is None else required
        self._terminal_width = UNLIMITED_WIDTH if wide or not _is_terminal() else shutil.get_terminal_size().columns
        self._widths = [_measure(name) for name in self._names]
        self._shown = 0
        """The number of columns that are shown; 0 in the form of one value per line."""
        self._has_rows = False

    def print_page(self, rows: Sequence[Sequence[object]]) -> bool:
        """Print the rows. Return False if stdout is closed."""
        if not rows:
            return True
        cells = [[to_printable("" if cell is None else str(cell)) for cell in row] for row in rows]
        self._widths = [
            max(width, *map(_measure, column))
            for width, column in zip(self._widths, zip(*cells, strict=True), strict=True)
        ]
        is_first, self._has_rows = not self._has_rows, True
        if is_first:
            fitting = [count for count in range(self._required, len(self._names) + 1) if self._fits(count)]
            self._shown = max(fitting, default=0)
        if not self._shown:
            blocks = [self._format_block(row) for row in cells]
            return _write_stdout("\n" * (not is_first) + "\n".join(blocks))
        header = [color_text(self._format_line(self._names), "bold")] if is_first else []
        return _write_stdout("".join(f"{line}\n" for line in [*header, *map(self._format_line, cells)]))

    def finish(self, empty: str) -> None:
        """Print the text `empty` if there were no rows, or the names of the columns that did not fit."""
        if not self._has_rows:
            print_line(empty)
        elif self._shown and (hidden := self._names[self._shown :]):
            print_line(f"(columns not shown: {', '.join(hidden)}; widen the terminal, or use --wide or --json)")

    def _fits(self, count: int) -> bool:
        return sum(self._widths[:count]) + len(COLUMN_GAP) * (count - 1) <= self._terminal_width

    def _format_line(self, cells: Sequence[str]) -> str:
        columns = zip(cells[: self._shown], self._widths, self._is_right, strict=False)
        return COLUMN_GAP.join(_pad(cell, width, is_right=is_right) for cell, width, is_right in columns).rstrip()

    def _format_block(self, cells: Sequence[str]) -> str:
        return "".join(f"{name}: {cell}\n" for name, cell in zip(self._names, cells, strict=True) if cell)


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


def _measure(text: str) -> int:
    """Return the number of columns that the text takes in a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _pad(text: str, width: int, *, is_right: bool) -> str:
    blanks = " " * (width - _measure(text))
    return blanks + text if is_right else text + blanks


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


def format_count(number: int, noun: str, plural: str | None = None) -> str:
    """Return the number with its noun, such as `1 entry` or `2 entries`. The plural is `noun` with an s by default."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or f'{noun}s'}"


def format_verified(entries: int, accounts: int) -> str:
    """Return what was verified, such as `2 entries of 1 account`."""
    return f"{format_count(entries, 'entry', 'entries')} of {format_count(accounts, 'account')}"


def format_balance(reply: Mapping[str, Any]) -> str:
    """Return the balance as text, such as `150.00 USD and 5.00 bonus`."""
    bonus = f" and {format_amount(reply['bonus'])} bonus" if reply["bonus"] else ""
    return f"{format_amount(reply['cash'])} {reply['currency']}{bonus}"
