"""`minwallet seed`: all players of a CSV file, in one transaction."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.dispatch import execute
from minwallet.cli.options import JsonOption
from minwallet.cli.output import CommandRefused, UsageError, format_count, print_json, print_line, truncate
from minwallet.ledger.money import parse_amount

if TYPE_CHECKING:
    import _csv

    from minwallet.operations.requests import SeedRow

SEED_COLUMNS = ("player_id", "currency", "balance", "bonus", "token", "agent")


def seed(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help=f"A CSV file with the columns {','.join(SEED_COLUMNS)}.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Add the players of a CSV file.

    The command adds all players or none. Existing players stay unchanged. A token in the file does not expire.

    Example: minwallet seed players.csv
    """
    from rich.console import Console
    from rich.progress import track

    from minwallet.operations.requests import Seed

    lines = _read_lines(file)
    rows: list[SeedRow] = []
    reasons: list[str] = []
    seen: dict[tuple[str, str, str], int] = {}
    # Only a terminal gets a progress bar. It would spoil a log.
    stderr = Console(stderr=True)
    for number, fields in track(lines, "reading", console=stderr, transient=True, disable=not stderr.is_terminal):
        try:
            row = _parse_row(number, fields)
        except ValueError as error:
            reasons.append(f"line {number}: {error}")
            continue
        first = seen.setdefault((row.agent, row.player_id, row.currency), number)
        if first != number:
            reasons.append(f"line {number}: same player and currency as in line {first}")
        rows.append(row)
    if reasons:
        raise _build_refusal(truncate(reasons, "lines "), file)
    try:
        with stderr.status(f"writing {len(rows)} lines") if stderr.is_terminal else nullcontext():
            reply = execute(context, Seed(rows=tuple(rows)), create=True)
    except CommandRefused as refused:
        raise _build_refusal(refused.args, file) from refused
    if as_json:
        print_json(reply)
    else:
        players = format_count(reply["players_added"], "player")
        added = f"{players} and {format_count(reply['accounts_added'], 'account')} added"
        existing = reply["rows"] - reply["accounts_added"]
        print_line(f"{added}; {existing} existed already" if existing else added)


def _build_refusal(reasons: Sequence[str], file: Path) -> CommandRefused:
    return CommandRefused([*reasons, f"nothing was added; correct '{file}' and try again"])


def _read_lines(file: Path) -> list[tuple[int, dict[str, str]]]:
    """Return each record with the number of its last line."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return list(_iter_records(csv.reader(stream, strict=True), file))
    except OSError as error:
        raise UsageError(f"cannot read '{file}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read '{file}': not UTF-8 text; save it as CSV in UTF-8") from error


def _iter_records(reader: "_csv.Reader", file: Path) -> Iterator[tuple[int, dict[str, str]]]:
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
                f"invalid columns in the first line of '{file}': {wrong}; write {known}, separated by commas"
            )
        for values in reader:
            if values:
                fields = dict(zip(header, map(str.strip, values), strict=False))
                yield reader.line_num, fields if len(values) == len(header) else {"": str(len(values))}
    except csv.Error as error:
        raise UsageError(f"invalid CSV in '{file}', line {reader.line_num}: {error}") from error


def _parse_row(number: int, fields: dict[str, str]) -> "SeedRow":
    """Return the player of one line. Raise ValueError, with the reason, if the line is invalid."""
    from pydantic import ValidationError

    from minwallet.operations.field_help import format_validation_error
    from minwallet.operations.requests import SeedRow

    if "" in fields:
        raise ValueError(f"expected as many columns as in the first line, found {fields['']}")
    try:
        return SeedRow(
            line=number,
            player_id=fields["player_id"],
            currency=fields["currency"],
            balance=parse_amount(fields["balance"]),
            bonus=parse_amount(bonus) if (bonus := fields.get("bonus")) else 0,
            token=fields.get("token") or None,
            agent=fields.get("agent") or "default",
        )
    except ValidationError as error:
        raise ValueError(format_validation_error(error)) from error
