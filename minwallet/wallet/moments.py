"""Moments, as people and programs write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def read_moment(text: object) -> int:
    """ISO 8601 with a zone as ms since 1970 UTC; with no detour over UTC, where the calendar's first hours are not."""
    if not isinstance(text, str) or not MOMENT.fullmatch(text):
        raise ValueError("a moment is written like 2026-11-21T10:00:00Z")
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def minute_text(ms: int) -> str:
    """`2026-11-21 10:00 UTC`, for people; what begins within a minute is told by the one after it."""
    return f"{EPOCH + timedelta(minutes=-(-ms // 60_000)):%Y-%m-%d %H:%M} UTC"


def shown(text: str) -> str:
    """A moment of an answer, for people."""
    return minute_text(read_moment(text))


def _checked(text: str) -> str:
    read_moment(text)
    return text


MomentText = Annotated[str, AfterValidator(_checked), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment that stays as it was written, for whoever reads of it later."""
