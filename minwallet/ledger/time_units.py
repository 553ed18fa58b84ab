"""Units of time in ms."""

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
