"""`minwallet seed`: all players of a CSV file.

Without a server, one transaction adds all players. A running server gets them in slices, because a long transaction
would delay the bets that wait behind it. So that a bad line still stops everything, the whole file is checked before
the first slice. A slice that fails leaves the earlier ones, and the same command again adds the rest.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from minwallet.cli.dispatch import (
    ServerDidNotAnswer,
    announce_new_wallet,
    database_path,
    execute_on_file,
    require_not_lost,
    run_with_store_at,
)
from minwallet.cli.hints import format_failure
from minwallet.cli.options import JsonOption
from minwallet.cli.output import (
    CommandRefused,
    UsageError,
    format_count,
    print_error,
    print_json,
    print_line,
    progress_bar,
    truncate,
)
from minwallet.cli.text_lines import iter_text_lines, name_file
from minwallet.ledger.money import parse_amount
from minwallet.operations.errors import OperationError
from minwallet.storage.errors import StoreError
from minwallet.storage.file_lock import ControlEndpoint, DatabaseLock

if TYPE_CHECKING:
    from minwallet.operations.requests import SeedRow
    from minwallet.storage.sqlite import SqliteStore

SEED_COLUMNS = ("player_id", "currency", "balance", "bonus", "token", "agent")

AMOUNT_COLUMNS = ("balance", "bonus")

SEPARATORS = {",": "','", ";": "';'", "\t": "tab"}
"""The separators of columns, with their names. A spreadsheet with decimal commas writes `;` or a tab."""

SEPARATOR_LINE = re.compile('"?sep=(.)"?', re.IGNORECASE)
"""A first line in which a spreadsheet names the separator. Excel reads and obeys it, and other programs write it."""

DECIMAL_COMMA = re.compile("[0-9]+,[0-9]{1,2}", re.ASCII)

NO_BREAK_SPACE = re.compile("[\u00a0\u202f]")
"""The spaces that spreadsheets put between thousands. In a message they are shown as usual spaces."""

ROWS_PER_SLICE = 100
"""The number of lines in one request to a server. A bet may have to wait for its transaction of about 10 ms."""

REPEAT_ADVICE = "run the command again; it adds only what is missing"


class SeedFile(NamedTuple):
    """The records of a file, each with the number of its last line, and the separator of the columns.

    A record with too few or too many columns has only the field `""`, with the reason.
    """

    records: list[tuple[int, dict[str, str]]]
    separator: str

    @property
    def has_decimal_comma(self) -> bool:
        """Return True if an amount has a decimal comma."""
        amounts = (fields.get(name, "") for _, fields in self.records for name in AMOUNT_COLUMNS)
        return self.separator != "," and any(map(DECIMAL_COMMA.fullmatch, amounts))


def seed(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv",
            allow_dash=True,
            readable=False,
            help=f"A CSV file with the columns {','.join(SEED_COLUMNS)}; - reads standard input.",
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Add the players of a CSV file.

    If a line is invalid, nothing is added. Existing players stay unchanged, so an interrupted command can be repeated.
    A token in the file does not expire. The separator may be a comma, or with decimal commas a semicolon or a tab.
    A first line `sep=;` names it too, and empty rows are skipped. With --json, `rows` minus `accounts_added` is the
    number of accounts that existed already.

    Example: minwallet seed players.csv
    """
    rows = _read_rows(file)
    path = database_path(context)
    if _is_served(path):
        players_added, accounts_added = _add_to_server(path, rows, file)
    else:
        require_not_lost(context)
        players_added, accounts_added = _add_at_once(path, rows, file)
    if as_json:
        print_json({"rows": len(rows), "players_added": players_added, "accounts_added": accounts_added})
    else:
        added = f"{format_count(players_added, 'player')} and {format_count(accounts_added, 'account')} added"
        existing = len(rows) - accounts_added
        print_line(f"{added}; {_describe_existing(existing)}" if existing else added)


def _describe_existing(count: int) -> str:
    if count == 1:
        return "1 line names an account that exists already; its money was not changed"
    return f"{count} lines name accounts that exist already; their money was not changed"


def _read_rows(file: Path) -> "list[SeedRow]":
    """Return the rows of the file. Raise CommandRefused, with a reason for each invalid line, if there are any."""
    from rich.console import Console
    from rich.progress import track

    content = _read_file(file)
    records, separator = content
    if separator != ",":
        comma = ", decimal comma" if content.has_decimal_comma else ""
        print_error(f"minwallet: separator {SEPARATORS[separator]}{comma}")
    rows: list[SeedRow] = []
    reasons: list[str] = []
    seen: dict[tuple[str, str, str], int] = {}
    tokens: dict[str, int] = {}
    # Only a terminal gets a progress bar. It would spoil a log.
    stderr = Console(stderr=True)
    for number, fields in track(records, "reading", console=stderr, transient=True, disable=not stderr.is_terminal):
        try:
            row = _parse_row(number, fields, has_decimal_comma=separator != ",")
        except ValueError as error:
            reasons.append(f"line {number}: {error}")
            continue
        first = seen.setdefault((row.agent, row.player_id, row.currency), number)
        if first != number:
            reasons.append(f"line {number}: same player and currency as in line {first}")
        elif row.token and (first := tokens.setdefault(row.token, number)) != number:
            reasons.append(f"line {number}: same token as in line {first}")
        rows.append(row)
    if reasons:
        raise _build_refusal(truncate(reasons, "lines "), file)
    return rows


def _is_served(path: Path) -> bool:
    owner = DatabaseLock.acquire(path)
    if isinstance(owner, ControlEndpoint):
        return True
    owner.release()
    return False


def _add_at_once(path: Path, rows: "Sequence[SeedRow]", file: Path) -> tuple[int, int]:
    """Add the rows in one transaction. Return the numbers of players and of accounts that were added."""
    from rich.console import Console

    from minwallet.operations.requests import Seed

    stderr = Console(stderr=True)
    created: list[Path] = []
    try:
        with stderr.status(f"writing {len(rows)} lines") if stderr.is_terminal else nullcontext():
            reply = execute_on_file(path, Seed(rows=tuple(rows)), create=True, on_created=created.append)
    except CommandRefused as refused:
        raise _build_refusal(refused.args, file) from refused
    finally:
        # The line would be part of the moving one above, if it were printed before that one is cleared away.
        for new_file in created:
            announce_new_wallet(new_file)
    return reply["players_added"], reply["accounts_added"]


def _add_to_server(path: Path, rows: "Sequence[SeedRow]", file: Path) -> tuple[int, int]:
    """Check the rows, then send them in slices. Return the numbers of players and of accounts that were added."""
    from minwallet.operations.players import check_seed
    from minwallet.operations.requests import Seed

    async def check(store: "SqliteStore") -> None:
        await check_seed(store, rows)

    try:
        run_with_store_at(path, check)
    except OperationError as error:
        raise _build_refusal(format_failure(error.failure), file) from error
    players = accounts = 0
    with progress_bar(f"writing {len(rows)} lines") as report_progress:
        for start in range(0, len(rows), ROWS_PER_SLICE):
            part = rows[start : start + ROWS_PER_SLICE]
            try:
                reply = execute_on_file(path, Seed(rows=tuple(part), lines=f"{part[0].line} to {part[-1].line}"))
            except CommandRefused as refused:
                if not start:
                    raise _build_refusal(refused.args, file) from refused
                advice = (
                    f"the lines before line {part[0].line} are written; run the command again to add the others, after"
                    f" you have corrected {name_file(file)}"
                )
                raise CommandRefused([*refused.args, advice]) from refused
            except ServerDidNotAnswer as fault:
                raise StoreError(f"{fault.reason}; {REPEAT_ADVICE}") from fault
            except StoreError as fault:
                raise StoreError(f"{fault}; then {REPEAT_ADVICE}") from fault
            players += reply["players_added"]
            accounts += reply["accounts_added"]
            report_progress(start + len(part), len(rows))
    return players, accounts


def _build_refusal(reasons: Sequence[str], file: Path) -> CommandRefused:
    return CommandRefused([*reasons, f"nothing was added; correct {name_file(file)} and try again"])


def _read_file(file: Path) -> SeedFile:
    """Return the records of the file. Raise UsageError if it cannot be read, or is not CSV with these columns."""
    lines = iter_text_lines(file)
    header, header_line = next(lines, ""), 1
    if named := SEPARATOR_LINE.match(header):
        if named[1] not in SEPARATORS:
            raise UsageError(
                f"invalid separator {named[1]!r} in the first line of {name_file(file)}; use a comma, a semicolon or a"
                " tab"
            )
        header, header_line = next(lines, ""), 2
    separator = named[1] if named else _guess_separator(header)
    return SeedFile(list(_iter_records(chain([header], lines), separator, file, header_line)), separator)


def _guess_separator(header: str) -> str:
    return max(SEPARATORS, key=lambda each: len({*SEED_COLUMNS} & {*_split_header(header, each)}))


def _split_header(line: str, separator: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return []


def _iter_records(
    lines: Iterable[str], separator: str, file: Path, header_line: int
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the records with the numbers of their last lines. Raise UsageError for a bad header or bad CSV."""
    reader, skipped = csv.reader(lines, delimiter=separator, strict=True), header_line - 1
    try:
        header = [name.strip() for name in next(reader, [])]
        missing = [name for name in SEED_COLUMNS[:3] if name not in header]
        unknown = [name for name in header if name not in SEED_COLUMNS]
        if missing or unknown or len(set(header)) < len(header):
            if missing:
                wrong = f"missing {', '.join(missing)}"
            else:
                wrong = f"unknown {', '.join(map(repr, unknown))}" if unknown else "a column is there twice"
            known = f"{', '.join(SEED_COLUMNS[:3])} and optionally {', '.join(SEED_COLUMNS[3:])}"
            raise UsageError(
                f"invalid columns in the {'first' if header_line == 1 else 'second'} line of {name_file(file)}:"
                f" {wrong}; write {known},"
                " separated by commas, semicolons or tabs"
            )
        for values in reader:
            cells = [*map(str.strip, values)]
            # Spreadsheets write rows of empty cells below the last one.
            if any(cells):
                is_complete = len(cells) == len(header)
                fields = dict(zip(header, cells, strict=True)) if is_complete else None
                yield reader.line_num + skipped, fields or {"": _explain_width(cells, header, separator)}
    except csv.Error as error:
        raise UsageError(f"invalid CSV in {name_file(file)}, line {reader.line_num + skipped}: {error}") from error


def _explain_width(cells: Sequence[str], header: Sequence[str], separator: str) -> str:
    """Return the reason against a row with another number of columns than the header."""
    reason = f"expected {format_count(len(header), 'column')}, as in the header, found {len(cells)}"
    is_split = any(DECIMAL_COMMA.fullmatch(f"{units},{cents}") for units, cents in pairwise(cells))
    if separator == "," and len(cells) > len(header) and is_split:
        return f"{reason}; decimal commas need a semicolon or a tab as separator"
    return reason


def _parse_row(number: int, fields: dict[str, str], *, has_decimal_comma: bool = False) -> "SeedRow":
    """Return the player of one line. Raise ValueError, with the reason, if the line is invalid."""
    from pydantic import ValidationError

    from minwallet.operations.field_help import format_validation_error
    from minwallet.operations.requests import SeedRow

    if "" in fields:
        raise ValueError(fields[""])
    try:
        return SeedRow(
            line=number,
            player_id=fields["player_id"],
            currency=fields["currency"],
            balance=_parse_amount(fields["balance"], has_decimal_comma=has_decimal_comma),
            bonus=_parse_amount(bonus, has_decimal_comma=has_decimal_comma) if (bonus := fields.get("bonus")) else 0,
            token=fields.get("token") or None,
            agent=fields.get("agent") or "default",
        )
    except ValidationError as error:
        raise ValueError(format_validation_error(error)) from error


def _parse_amount(text: str, *, has_decimal_comma: bool) -> int:
    """Return the cents of the amount. Raise ValueError if it is not one, or has separators of thousands."""
    text = NO_BREAK_SPACE.sub(" ", text)
    if re.search("[0-9][.,' ][0-9]{3}(?![0-9])", text):
        example = "1234,50" if has_decimal_comma and "," in text else "1234.50"
        reason = f"write it like {example}, without a separator of thousands and with at most two decimals"
        raise ValueError(f"invalid amount {text!r:.60}: {reason}")
    if has_decimal_comma and DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return parse_amount(text)
