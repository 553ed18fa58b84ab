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
from minwallet.ledger.audit import AccountRef, EntryRow
from minwallet.ledger.entries import Entry
from minwallet.storage.database_files import COMPANION_SUFFIXES, companion_path, copy_owner, fsync_path
from minwallet.storage.models import AccountRow, IdScope
from minwallet.storage.store import Store

PAGE_SIZE = 10_000

LEDGER_COLUMNS: Sequence[str] = (
    *AccountRef._fields,
    *(name for name in Entry._fields if name != "account_id"),
    "id_scope",
)

OLDER_LEDGER_COLUMNS = tuple(name for name in LEDGER_COLUMNS if name not in ("reference", "id_scope"))
"""The columns that older versions exported."""

PLAYER_COLUMNS: Sequence[str] = AccountRow._fields[1:]


class ExportSubject(StrEnum):
    LEDGER = "ledger"
    PLAYERS = "players"


class IdScopeName(StrEnum):
    """The values of `id_scope`: a transaction id is unique per agent, or per agent and currency.

    The protocol says which. An export has it, so that an import knows it even if the protocol is not installed.
    """

    AGENT = "agent"
    CURRENCY = "currency"


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

    Amounts are in cents. A missing value is an empty field in CSV, and null in JSON. `id_scope` says where a
    transaction id is unique: `agent`, or `currency` for an agent and a currency. Every value is exact, so that
    `minwallet import` can read it. An id from outside could be a formula in a spreadsheet, so use the back office's
    export there.

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
        # After the page, as an entry's scope is created with the first entry.
        scopes = frozenset(await store.ledger.list_id_scopes())
        owners |= page.owners
        if page.rows:
            yield [_build_ledger_row(owners[row[2]], row, scopes) for row in page.rows]
            seq = page.last_seq
        if page.accounts is not None:
            return
        account = max(page.owners, default=account)


def _build_ledger_row(owner: AccountRef, row: EntryRow, scopes: frozenset[IdScope]) -> Sequence[Any]:
    """Return the values of LEDGER_COLUMNS."""
    seq, at_ms, _, previous_seq, protocol, *fields, hash_ = row
    is_per_currency = IdScope(owner.agent, protocol, owner.currency) in scopes
    id_scope = IdScopeName.CURRENCY if is_per_currency else IdScopeName.AGENT
    return (*owner, seq, at_ms, previous_seq, protocol, *fields, hash_.hex(), str(id_scope))


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
