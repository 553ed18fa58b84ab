"""What a person asks to see of the ledger: the fields of a form, in an address that can be shared."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

from minwallet.ledger.entries import Kind, State
from minwallet.operations.requests import ENTRY_SOURCES
from minwallet.storage.queries import Filter

CHOICES: Mapping[str, Sequence[str]] = {
    "protocol": ENTRY_SOURCES,
    "kind": tuple(Kind),
    "state": tuple(State),
}

FIELDS = {
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
"""What the address calls a field of the filter."""

LONGEST_FIELD = 200


class Asked(NamedTuple):
    """A filter as it was typed; `wrong` says what is amiss with a field, and then `wanted` is None."""

    wanted: Filter | None
    typed: Mapping[str, str]
    wrong: Mapping[str, str]

    @property
    def query(self) -> str:
        """The fields for an address, "" where nothing is asked for."""
        return urlencode(self.typed)


def read_filter(query: Mapping[str, str], agents: Sequence[str] = ()) -> Asked:
    """What the query of an address asks for. Where there is one agent only, a player is that agent's."""
    typed = {name: query[name].strip() for name in FIELDS if query.get(name, "").strip()}
    found: dict[str, str | int] = {}
    wrong: dict[str, str] = {}
    for name, value in typed.items():
        if len(value) > LONGEST_FIELD:
            wrong[name] = f"at most {LONGEST_FIELD} symbols"
        elif name in CHOICES and value not in CHOICES[name]:
            wrong[name] = f"one of {', '.join(CHOICES[name])}"
        elif name in ("from", "to"):
            moment = _read_time(value)
            if moment is None:
                wrong[name] = "a date and time in UTC, such as 2026-11-21T10:00"
            else:
                found[FIELDS[name]] = round(moment.timestamp() * 1000)
                typed[name] = moment.replace(tzinfo=None).isoformat(timespec="auto")
        else:
            found[FIELDS[name]] = value
    if wrong:
        return Asked(None, typed, wrong)
    wanted = Filter(**found)  # type: ignore[arg-type]  # texts and times go where FIELDS says
    if wanted.player_id and not wanted.agent and len(agents) == 1:
        wanted = wanted._replace(agent=agents[0])
    return Asked(wanted, typed, wrong)


def read_number(text: str | None, most: int = 2**63 - 1) -> int | None:
    """A whole number of an address, such as where a page begins; None for anything else."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) > most:
        return None
    return int(text)


def _read_time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
