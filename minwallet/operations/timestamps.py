"""Moments, as people and programs write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TIMESTAMP_PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_timestamp(text: object) -> int:
    """ISO 8601 with a zone as ms since 1970 UTC; with no detour over UTC, where the calendar's first hours are not."""
    if not isinstance(text, str) or not TIMESTAMP_PATTERN.fullmatch(text):
        raise ValueError("a moment is written like 2026-11-21T10:00:00Z")
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def format_minute(ms: int) -> str:
    """`2026-11-21 10:00 UTC`, for people; what begins within a minute is told by the one after it."""
    return f"{EPOCH + timedelta(minutes=-(-ms // 60_000)):%Y-%m-%d %H:%M} UTC"


def iso_to_minute(text: str) -> str:
    """A moment of an answer, for people."""
    return format_minute(parse_timestamp(text))


def _validate_timestamp(text: str) -> str:
    parse_timestamp(text)
    return text


Timestamp = Annotated[
    str, AfterValidator(_validate_timestamp), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""A moment that stays as it was written, for whoever reads of it later."""


def format_iso(ms: int | None) -> str | None:
    """ISO 8601 in UTC; None for what never comes."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_date(day: int) -> str:
    """`2026-11-21` of the days since 1970."""
    return datetime.fromtimestamp(day * 24 * 3600, UTC).strftime("%Y-%m-%d")
