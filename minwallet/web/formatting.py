"""Formatting of values for pages: money, times, numbers, sizes, durations."""

from markupsafe import Markup

from minwallet.operations.timestamps import parse_timestamp, to_datetime


def format_money(cents: int) -> str:
    """Format cents: `123450` as `1,234.50`, `-5` as `0.05` after a minus sign (U+2212)."""
    sign = "\N{MINUS SIGN}" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02d}"


def format_signed_money(cents: int) -> str:
    """Format cents as `format_money`, with a plus sign before a positive amount."""
    return f"+{format_money(cents)}" if cents > 0 else format_money(cents)


def format_time(timestamp: int | str) -> Markup:
    """Format ms since 1970 UTC, or ISO 8601 text with a zone, as a `<time>` in UTC, to the second."""
    at = to_datetime(timestamp if isinstance(timestamp, int) else parse_timestamp(timestamp))
    return Markup('<time datetime="{:%Y-%m-%dT%H:%M:%SZ}">{:%Y-%m-%d} {:%H:%M:%S}</time>').format(at, at, at)


def format_clock(at_ms: int) -> Markup:
    """Format ms since 1970 UTC as a `<time>` that shows the time of day in UTC, to the second."""
    at = to_datetime(at_ms)
    return Markup('<time datetime="{:%Y-%m-%dT%H:%M:%SZ}">{:%H:%M:%S}</time>').format(at, at)


def format_day(at_ms: int) -> Markup:
    """Format ms since 1970 UTC as the `<time>` of a UTC day."""
    at = to_datetime(at_ms)
    return Markup('<time datetime="{0:%Y-%m-%d}">{0:%Y-%m-%d}</time>').format(at)


def format_number(number: int) -> str:
    """Format an integer: `1234567` as `1,234,567`."""
    return f"{number:,}"


def format_size(size: int) -> str:
    """Format a size in bytes, with decimal units: `12.5 MB`."""
    if size < 1000:
        return f"{size} bytes"
    amount, unit = float(size), ""
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007 the loop ends at the unit to use, the last one at the latest
        amount /= 1000
        # 999.95 would be rounded to 1000.0.
        if amount < 999.95:
            break
    return f"{amount:.1f} {unit}"


def format_duration(seconds: int) -> str:
    """Format seconds in whole units of the largest possible kind: `3 days`, `5 hours`, `12 minutes`."""
    for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= size or size == 1:
            number = seconds // size
            return f"{number} {name}" if number == 1 else f"{number} {name}s"
    raise AssertionError(seconds)
