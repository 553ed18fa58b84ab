"""`minwallet import`: a wallet from the files that `minwallet export` wrote."""

import asyncio
import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from minwallet.cli.dispatch import announce_new_wallet, database_path, require_not_lost
from minwallet.cli.export import LEDGER_COLUMNS, OLDER_LEDGER_COLUMNS, PAGE_SIZE, PLAYER_COLUMNS, IdScopeName
from minwallet.cli.hints import NEW_AGENT_HINT
from minwallet.cli.options import JsonOption
from minwallet.cli.output import (
    CommandRefused,
    UsageError,
    format_verified,
    print_json,
    print_line,
    progress_bar,
    truncate,
)
from minwallet.cli.text_lines import iter_text_lines
from minwallet.ledger.audit import AccountRef
from minwallet.protocols.registry import load_protocol
from minwallet.storage.file_lock import DatabaseLock
from minwallet.storage.models import OPENING_PROTOCOL, OPERATOR_PROTOCOL, AccountRow, ExportedEntry, PlayerStatus

T = TypeVar("T")

INTEGER_COLUMNS = {
    *("seq", "at_ms", "previous_seq", "stake", "payout", "amount", "bonus_amount", "cash_after", "bonus_after"),
    *("created_at_ms", "cash", "bonus", "last_seq"),
}

NULLABLE_COLUMNS = {"round", "game", "detail", "refusal", "reference"}
"""The fields that may be missing. In CSV a missing value is an empty field."""


def import_(
    context: typer.Context,
    ledger: Annotated[
        Path, typer.Argument(metavar="LEDGER", readable=False, help="A file of `minwallet export ledger`.")
    ],
    players: Annotated[
        Path, typer.Argument(metavar="PLAYERS", readable=False, help="A file of `minwallet export players`.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Create a wallet from an exported ledger and its players.

    The command imports everything or nothing. All hashes stay the same. The protocols of the entries need not be
    installed.

    Example: minwallet --db new.db import ledger.csv players.csv
    """
    from minwallet.storage.sqlite.ledger_import import ImportRejected

    path = database_path(context)
    require_not_lost(context)
    entry_count = last_seq = 0
    with progress_bar("reading") as report_progress:

        def parse_next_entry(fields: dict[str, Any]) -> ExportedEntry:
            nonlocal last_seq
            last_seq += 1
            if fields["seq"] != last_seq:
                raise ValueError(
                    f"invalid seq {fields['seq']}: expected {last_seq}, as the entries are numbered 1, 2, 3 …"
                )
            return _parse_entry(fields)

        def pages() -> Iterator[Sequence[ExportedEntry]]:
            nonlocal entry_count
            for page in _batch_rows(_read_file(ledger, (LEDGER_COLUMNS, OLDER_LEDGER_COLUMNS), parse_next_entry)):
                yield page
                entry_count += len(page)
                report_progress(entry_count, None)

        accounts = list(_read_file(players, (PLAYER_COLUMNS,), _parse_account))
        if len({(each.agent, each.player_id, each.currency) for each in accounts}) < len(accounts):
            raise CommandRefused([f"'{players}' has an account twice", "nothing was imported"])
        if not accounts:
            raise CommandRefused([f"'{players}' has no players", "nothing was imported"])
        try:
            _import_or_remove(path, accounts, pages())
        except ImportRejected as error:
            problems = truncate(error.problems)
            if error.missing_agent:
                problems = [*problems, NEW_AGENT_HINT.format(agent=error.missing_agent)]
            raise CommandRefused([*problems, "nothing was imported"]) from error
    if as_json:
        print_json({"file": str(path), "entries": entry_count, "accounts": len(accounts)})
    else:
        print_line(f"imported into {path}: verified {format_verified(entry_count, len(accounts))}")


def _import_or_remove(path: Path, accounts: Sequence[AccountRow], pages: Iterator[Sequence[ExportedEntry]]) -> None:
    owner = DatabaseLock.acquire_or_fail(path)
    is_new = not path.exists()
    try:
        asyncio.run(_import_into_store(path, accounts, pages))
    except BaseException:
        if is_new:
            path.unlink(missing_ok=True)
        raise
    finally:
        owner.release()
    if is_new:
        announce_new_wallet(path)


async def _import_into_store(
    path: Path, accounts: Sequence[AccountRow], pages: Iterator[Sequence[ExportedEntry]]
) -> None:
    from minwallet.storage.sqlite import SqliteStore
    from minwallet.wallet.service import clock_ms

    store = await SqliteStore.open(path, create=True, check=True)
    try:
        await store.import_ledger(accounts, pages, clock_ms())
    finally:
        await store.close()


def _parse_entry(fields: dict[str, Any]) -> ExportedEntry:
    from minwallet.operations.exported_rows import check_entry

    expected = _find_id_scope(fields["protocol"])
    if "id_scope" not in fields:
        if expected is None:
            advice = "install its package first, or export again with this version"
            raise ValueError(f"unknown protocol {fields['protocol']!r:.60}; {advice}")
        hash_ = fields.pop("hash")
        fields |= {"reference": None, "hash": hash_, "id_scope": expected}
    check_entry(fields)
    agent, player_id, currency, seq, at_ms, *others, hash_, id_scope = fields.values()
    if expected not in (None, id_scope):
        # In the other scope, a retry would not find its entry, and would move money again.
        raise ValueError(f"invalid id_scope '{id_scope}': protocol '{fields['protocol']}' has '{expected}'")
    row = (seq, at_ms, 0, *others, bytes.fromhex(hash_))
    return ExportedEntry(AccountRef(agent, player_id, currency), row, id_scope == IdScopeName.CURRENCY)


def _find_id_scope(protocol: str) -> IdScopeName | None:
    """Return the scope in which the protocol's ids are unique. Return None if it is not installed."""
    if protocol in (OPENING_PROTOCOL, OPERATOR_PROTOCOL):
        return IdScopeName.AGENT
    try:
        return IdScopeName.CURRENCY if load_protocol(protocol).ids_per_currency else IdScopeName.AGENT
    except KeyError:
        return None


def _parse_account(fields: dict[str, Any]) -> AccountRow:
    from minwallet.operations.exported_rows import check_account

    check_account(fields)
    fields |= {"status": PlayerStatus(fields["status"]), "head": bytes.fromhex(fields["head"])}
    return AccountRow(0, **fields)


def _read_file(file: Path, columns: Sequence[Sequence[str]], parse: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """Yield the parsed rows of a CSV or JSON lines file, which has one of these lists of columns.

    Raise UsageError with the line number for an invalid row.
    """
    text_lines = iter_text_lines(file)
    first = next(text_lines, "")
    is_json, text_lines = first.startswith("{"), chain([first], text_lines)
    # A CSV file starts with a line of names.
    number = 0 if is_json else 1
    lines = _iter_json_lines(text_lines) if is_json else _iter_csv_records(text_lines)
    while True:
        line = number + 1
        try:
            number, fields = next(lines)
            line = number
            parsed = parse(_validate_fields(fields, columns))
        except StopIteration:
            return
        except (ValueError, csv.Error, RecursionError) as error:
            raise UsageError(f"invalid row in '{file}', line {line}: {error}") from error
        yield parsed


def _iter_json_lines(lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, 1):
        yield number, json.loads(line, parse_int=_parse_integer)


def _iter_csv_records(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(lines, strict=True)
    header = next(reader, [])
    for values in reader:
        if len(values) != len(header):
            raise ValueError(f"{len(values)} fields; the first line names {len(header)}")
        yield reader.line_num, {name: _parse_cell(name, value) for name, value in zip(header, values, strict=True)}


def _parse_cell(name: str, value: str) -> str | int | None:
    # Only the spelling of an export: no leading zeros, and no -0.
    if name in INTEGER_COLUMNS and re.fullmatch(r"0|-?[1-9][0-9]{0,18}", value, re.ASCII):
        return int(value)
    return None if name in NULLABLE_COLUMNS and not value else value


def _parse_integer(text: str) -> int | str:
    # An integer has no negative zero, and no export has one. As a text it is refused by the check of the fields.
    return text if text == "-0" else int(text)


def _validate_fields(fields: object, columns: Sequence[Sequence[str]]) -> dict[str, Any]:
    if not isinstance(fields, dict) or tuple(fields) not in [tuple(names) for names in columns]:
        raise ValueError(f"expected exactly the fields {', '.join(columns[0])}")
    for name, value in fields.items():
        if name in INTEGER_COLUMNS:
            if type(value) is not int:
                raise ValueError(f"invalid {name} {value!r:.60}: must be an integer")
        elif not (isinstance(value, str) or (value is None and name in NULLABLE_COLUMNS)):
            raise ValueError(f"invalid {name} {value!r:.60}: must be a text")
    return fields


def _batch_rows(rows: Iterator[T]) -> Iterator[Sequence[T]]:
    while page := [*islice(rows, PAGE_SIZE)]:
        yield page
