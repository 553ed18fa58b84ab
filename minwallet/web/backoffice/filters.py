"""The filter of the ledger pages: form fields in the query of an address, which can be shared."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

from minwallet.ledger.entries import Kind, State
from minwallet.operations.field_types import ENTRY_SOURCE_PATTERN
from minwallet.storage.queries import Filter

CHOICES: Mapping[str, Sequence[str]] = {
    "kind": tuple(Kind),
    "state": tuple(State),
}

QUERY_FIELDS = {
    "agent": "agent",
    "player": "player_id",
    "currency": "currency",
    "protocol": "protocol",
    "kind": "kind",
    "state": "state",
    "game": "game",
    "round": "round",
    "id": "id",
    "from": "since_ms",
    "to": "until_ms",
}
"""Maps a parameter of the address to the field of the filter."""

MAX_FIELD_LENGTH = 200


class ParsedFilter(NamedTuple):
    """A filter as entered. `errors` maps a field to its message; with errors, `ledger_filter` is None."""

    ledger_filter: Filter | None
    values: Mapping[str, str]
    errors: Mapping[str, str]

    @property
    def query(self) -> str:
        """Return the fields as a query, "" if no field is set."""
        return urlencode(self.values)


def parse_filter(query: Mapping[str, str], agents: Sequence[str] = ()) -> ParsedFilter:
    """Return the filter in the query of an address.

    With a single agent, a filter by player implies this agent.
    """
    values = {name: query[name].strip() for name in QUERY_FIELDS if query.get(name, "").strip()}
    fields: dict[str, str | int] = {}
    errors: dict[str, str] = {}
    for name, value in values.items():
        if len(value) > MAX_FIELD_LENGTH:
            errors[name] = f"Use up to {MAX_FIELD_LENGTH} characters."
        elif name in CHOICES and value not in CHOICES[name]:
            errors[name] = f"Use one of {', '.join(CHOICES[name])}."
        elif name == "protocol" and not ENTRY_SOURCE_PATTERN.fullmatch(value):
            # Not only the installed ones: the ledger may have entries of a protocol that was removed.
            errors[name] = "Use the name of a protocol."
        elif name in ("from", "to"):
            time = _parse_time(value)
            if time is None:
                errors[name] = "Use a date and time in UTC, such as 2026-11-21T10:00."
            else:
                fields[QUERY_FIELDS[name]] = round(time.timestamp() * 1000)
                values[name] = time.replace(tzinfo=None).isoformat(timespec="auto")
        else:
            fields[QUERY_FIELDS[name]] = value.upper() if name == "currency" else value
    if errors:
        return ParsedFilter(None, values, errors)
    ledger_filter = Filter(**fields)  # type: ignore[arg-type]  # QUERY_FIELDS names the fields, and each gets its type
    if ledger_filter.player_id and not ledger_filter.agent and len(agents) == 1:
        ledger_filter = ledger_filter._replace(agent=agents[0])
    return ParsedFilter(ledger_filter, values, errors)


def parse_number(text: str | None, maximum: int = 2**63 - 1) -> int | None:
    """Return a whole number from an address, such as a page's cursor; None for anything else."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) > maximum:
        return None
    return int(text)


def _parse_time(text: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
