"""`minwallet export`: the ledger or the players as a file, whole and without loss, for other programs to read."""

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

from minwallet.cli.ending import tidily
from minwallet.cli.link import database, with_store
from minwallet.cli.output import BadUsage, NoOutput, counting, print_line
from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry
from minwallet.storage.database_files import COMPANION_SUFFIXES, companion_path, fsync_path
from minwallet.storage.models import AccountRow
from minwallet.storage.store import Store

PAGE = 10_000

LEDGER: Sequence[str] = (*AccountRef._fields, *(name for name in Entry._fields if name != "account_id"))

PLAYERS: Sequence[str] = AccountRow._fields[1:]


class What(StrEnum):
    LEDGER = "ledger"
    PLAYERS = "players"


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


Rows = Sequence[Sequence[Any]]
Write = Callable[[str], bool]
"""Takes lines; False where nobody reads them any more."""


def export(
    context: typer.Context,
    what: Annotated[What, typer.Argument(metavar="ledger|players", help="What is written down.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where; - is the standard output.")],
    form: Annotated[Format, typer.Option("--format", help="CSV, or a JSON document a line.")] = Format.CSV,
) -> None:
    """Write the ledger or the players to a file. Amounts are cents; empty stands for what there is not."""

    async def work(store: Store) -> None:
        total = await store.count_entries() if what is What.LEDGER else None
        names, pages = (LEDGER, _ledger(store)) if what is What.LEDGER else (PLAYERS, _players(store))
        with counting("writing") as tell, _destination(file) as write:
            done = 0
            is_read = form is Format.JSONL or write(_csv([names]))
            async for rows in pages:
                is_read = is_read and write(_csv(rows) if form is Format.CSV else _jsonl(names, rows))
                if not is_read:
                    return
                done += len(rows)
                tell(done, total)

    _check(file, database(context))
    with_store(context, work)


async def _ledger(store: Store) -> AsyncIterator[Rows]:
    """All rows of the ledger, the oldest first, as far as it is when the last page is read."""
    owners: dict[int, AccountRef] = {}
    seq = account = 0
    while True:
        page = await store.read_audit_page(seq, PAGE, account)
        owners |= page.owners
        if page.rows:
            yield [(*owners[row[2]], *row[:2], *row[3:-1], row[-1].hex()) for row in page.rows]
            seq = page.rows[-1][0]
        if page.accounts is not None:
            return
        account = max(page.owners, default=account)


async def _players(store: Store) -> AsyncIterator[Rows]:
    """All accounts with their players, in the order in which they were made."""
    account = 0
    while rows := await store.read_accounts(account, PAGE):
        yield [(*row[1:-2], row.head.hex(), row.last_seq) for row in rows]
        account = rows[-1].account_id


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _jsonl(names: Sequence[str], rows: Rows) -> str:
    encode = json.JSONEncoder(separators=(",", ":")).encode
    return "".join(f"{encode(dict(zip(names, row, strict=True)))}\n" for row in rows)


def _check(file: Path, database: Path) -> None:
    """BadUsage where writing to this file would take the wallet's own away."""
    own = database.resolve()
    if file != Path("-") and file.resolve() in (own, *(companion_path(own, ending) for ending in COMPANION_SUFFIXES)):
        raise BadUsage(f"{file} is the wallet itself, or belongs to it; choose another file")


@contextmanager
def _destination(file: Path) -> Iterator[Write]:
    """Where lines go: to the standard output, or to a file that is there with all of them or not at all. A pipe or a
    device stays what it is and gets them as they come."""
    if file == Path("-"):
        yield lambda text: print_line(text.removesuffix("\n"))
        return
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):
            with file.open("w", encoding="utf-8", newline="") as stream:
                yield lambda text: bool(stream.write(text))
            return
        with tidily(), _replacing(file.resolve()) as stream:
            yield lambda text: bool(stream.write(text))
    except OSError as error:
        raise NoOutput(f"cannot write {file}: {error.strerror}") from error


@contextmanager
def _replacing(file: Path) -> Iterator[TextIO]:
    """A new file that takes this one's place in the end, when all of it is on the disk."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink()
        raise
    fsync_path(file.parent)
