"""`minwallet export`: the complete ledger or all players as a file, for other programs and `minwallet import`."""

import csv
import io
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from minwallet.cli.dispatch import database_path, run_with_store
from minwallet.cli.output import OutputError, UsageError, describe_os_error, print_line, progress_bar
from minwallet.cli.signals import handle_termination
from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry
from minwallet.storage.database_files import COMPANION_SUFFIXES, companion_path, copy_owner, fsync_path
from minwallet.storage.models import AccountRow
from minwallet.storage.store import Store

PAGE_SIZE = 10_000

LEDGER_COLUMNS: Sequence[str] = (*AccountRef._fields, *(name for name in Entry._fields if name != "account_id"))

PLAYER_COLUMNS: Sequence[str] = AccountRow._fields[1:]


class ExportSubject(StrEnum):
    LEDGER = "ledger"
    PLAYERS = "players"


class ExportFormat(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


Rows = Sequence[Sequence[Any]]
WriteText = Callable[[str], bool]
"""A function that writes lines, and returns False if the reader is gone."""


def export(
    context: typer.Context,
    subject: Annotated[ExportSubject, typer.Argument(metavar="ledger|players", help="The data to export.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The file to write; - for stdout.")],
    file_format: Annotated[
        ExportFormat, typer.Option("--format", help="csv, or jsonl with one JSON document per line.")
    ] = ExportFormat.CSV,
) -> None:
    """Write the complete ledger or all players to a file.

    Amounts are in cents. A missing value is an empty field in CSV, and null in JSON. Every value is exact, so that
    `minwallet import` can read it. An id from outside may therefore be a formula: for a spreadsheet, use the back
    office's export.

    Example: minwallet export ledger ledger.csv
    """

    async def work(store: Store) -> None:
        total = await store.ledger.count_entries() if subject is ExportSubject.LEDGER else None
        names, pages = (
            (LEDGER_COLUMNS, _read_ledger_pages(store))
            if subject is ExportSubject.LEDGER
            else (PLAYER_COLUMNS, _read_player_pages(store))
        )
        with progress_bar("writing") as report_progress, _open_destination(file) as write:
            done = 0
            is_read = file_format is ExportFormat.JSONL or write(_format_csv([names]))
            async for rows in pages:
                is_read = is_read and write(
                    _format_csv(rows) if file_format is ExportFormat.CSV else _format_jsonl(names, rows)
                )
                if not is_read:
                    return
                done += len(rows)
                report_progress(done, total)

    _refuse_own_files(file, database_path(context))
    run_with_store(context, work)


async def _read_ledger_pages(store: Store) -> AsyncIterator[Rows]:
    """Yield all rows of the ledger in pages, oldest first, with rows that are committed in the meantime."""
    owners: dict[int, AccountRef] = {}
    seq = account = 0
    while True:
        page = await store.ledger.read_audit_page(seq, PAGE_SIZE, account)
        owners |= page.owners
        if page.rows:
            yield [
                (*owners[account_id], seq, at_ms, *fields, hash_.hex())
                for seq, at_ms, account_id, *fields, hash_ in page.rows
            ]
            seq = page.last_seq
        if page.accounts is not None:
            return
        account = max(page.owners, default=account)


async def _read_player_pages(store: Store) -> AsyncIterator[Rows]:
    """Yield all accounts with their players in pages, in order of creation."""
    account = 0
    while rows := await store.accounts.read_accounts(account, PAGE_SIZE):
        yield [(*row[1:-2], row.head.hex(), row.last_seq) for row in rows]
        account = rows[-1].account_id


def _format_csv(rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _format_jsonl(names: Sequence[str], rows: Rows) -> str:
    encode = json.JSONEncoder(separators=(",", ":")).encode
    return "".join(f"{encode(dict(zip(names, row, strict=True)))}\n" for row in rows)


def _refuse_own_files(file: Path, database: Path) -> None:
    """Raise UsageError if the file is the wallet file or one of its companions, which the export would replace."""
    own = database.resolve()
    if file != Path("-") and file.resolve() in (own, *(companion_path(own, ending) for ending in COMPANION_SUFFIXES)):
        raise UsageError(f"'{file}' is the wallet file or one of its companions; choose another file")


@contextmanager
def _open_destination(file: Path) -> Iterator[WriteText]:
    """Yield a function that writes lines to stdout or to the file.

    A regular file appears under its name when it is complete. A pipe or a device gets the lines as they come.
    """
    if file == Path("-"):
        yield lambda text: print_line(text.removesuffix("\n"))
        return
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):
            with file.open("w", encoding="utf-8", newline="") as stream:
                yield lambda text: bool(stream.write(text))
            return
        with handle_termination(), _replace_atomically(file.resolve()) as stream:
            yield lambda text: bool(stream.write(text))
    except OSError as error:
        raise OutputError(f"cannot write '{file}': {describe_os_error(error)}") from error


@contextmanager
def _replace_atomically(file: Path) -> Iterator[TextIO]:
    """Yield a temporary file that replaces `file` at the end, when it is complete and synced to the disk.

    What root writes belongs to the owner of the replaced file, or of the folder.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            copy_owner(file if file.exists() else file.parent, stream.fileno())
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink()
        raise
    fsync_path(file.parent)
