"""Times in every form that people, programs and file names use. Inside, a time is an int of ms since 1970 UTC.

All forms are UTC. A day is the number of days since 1970-01-01, and begins at midnight UTC. Two forms live elsewhere: a
protocol's own (`protocols`, which cannot import this module), and the times of log lines (`web`).
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from minwallet.ledger.time_units import DAY_MS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TIMESTAMP_PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)

DAY_PATTERN = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

FILE_TIME_FORMAT = "%Y%m%dT%H%M%SZ"

FILE_TIME_PATTERN = r"\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3])[0-5]\d[0-5]\dZ"
"""A regular expression for the form that FILE_TIME_FORMAT writes."""


def to_datetime(ms: int) -> datetime:
    """Return the time as a datetime in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def parse_timestamp(text: object) -> int:
    """Parse ISO 8601 with a zone into ms since 1970 UTC. Raise ValueError for anything else."""
    if not isinstance(text, str) or not TIMESTAMP_PATTERN.fullmatch(text):
        raise ValueError("a time has the form 2026-11-21T10:00:00Z")
    # Subtracting avoids a conversion to UTC, which fails in the first hours of year 1.
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def parse_day(text: object) -> int:
    """Parse `2026-11-21` into the number of days since 1970. Raise ValueError for anything else."""
    if not isinstance(text, str) or not DAY_PATTERN.fullmatch(text):
        raise ValueError("a day has the form 2026-11-21")
    return (date.fromisoformat(text) - EPOCH.date()).days


def parse_file_time_s(text: str) -> int:
    """Parse `20261121T100000Z` into seconds since 1970 UTC. Accept day 31 in every month, as file names may have it."""
    month_start = datetime(int(text[:4]), int(text[4:6]), 1, tzinfo=UTC)
    days, hours, minutes, seconds = int(text[6:8]) - 1, int(text[9:11]), int(text[11:13]), int(text[13:15])
    time_in_month = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return (month_start - EPOCH + time_in_month) // timedelta(seconds=1)


def format_iso(ms: int | None) -> str | None:
    """Return ISO 8601 in UTC with milliseconds, `2026-11-21T10:00:00.000Z`. Return None for None."""
    return None if ms is None else to_datetime(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_minute(ms: int) -> str:
    """Return `2026-11-21 10:00 UTC`, for people. Round up, so that what starts at `ms` has started by then."""
    return f"{EPOCH + timedelta(minutes=-(-ms // 60_000)):%Y-%m-%d %H:%M} UTC"


def format_past_minute(ms: int) -> str:
    """Return the minute in which `ms` is, as `format_minute` does. Round down: it is not a time of the future."""
    return format_minute(ms // 60_000 * 60_000)


def iso_to_minute(text: str) -> str:
    """Return an ISO 8601 time as `2026-11-21 10:00 UTC`, for people."""
    return format_minute(parse_timestamp(text))


def format_date(day: int) -> str:
    """Return the day as `2026-11-21`."""
    return to_datetime(day * DAY_MS).strftime("%Y-%m-%d")


def format_file_time(ms: int) -> str:
    """Return `20261121T100000Z`, to the second: names with it sort in order of time."""
    return to_datetime(ms).strftime(FILE_TIME_FORMAT)


def _validate_timestamp(text: str) -> str:
    parse_timestamp(text)
    return text


Timestamp = Annotated[
    str, AfterValidator(_validate_timestamp), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""A validated time that stays as it was written, so that the audit log shows the original text."""
