"""Set-up of the server's log: plain lines on a terminal, one JSON document per line elsewhere.

The access logs (`web.gateway.access_log`, `web.request_log`) write to the same stream. Their lines have no `level`.

A message can contain the text of a stranger. JSON escapes its control characters; the terminal's formatter does so too.
So no message can pretend to be a second line.
"""

import json
import logging
import time

from minwallet.operations.line_text import to_printable
from minwallet.web.gateway.access_log import LogStream

TRACEBACK_INTERVAL_S = 60
"""Minimum time between two tracebacks of the same line of code. A provider may repeat a failing call many times."""

MAX_CAUSES = 10
"""Maximum number of causes that are followed. `raise error from error` makes an exception its own cause."""


class _RepeatedTracebackFilter(logging.Filter):
    """Filter that removes a traceback which was logged within the last minute. Its message stays."""

    def __init__(self) -> None:
        super().__init__()
        self._logged_at_s: dict[tuple[object, ...], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True: every message is logged."""
        if record.exc_info and (error := record.exc_info[1]):
            # The size of this dictionary is bounded by the lines of code that can fail.
            place, now_s = _find_raise_site(error), time.monotonic()
            if now_s - self._logged_at_s.get(place, -TRACEBACK_INTERVAL_S) < TRACEBACK_INTERVAL_S:
                record.exc_info = None
            else:
                self._logged_at_s[place] = now_s
        return True


def _find_raise_site(error: BaseException) -> tuple[object, ...]:
    """Return the type of the first exception that led to this one, with the file and line that raised it."""
    for _ in range(MAX_CAUSES):
        error = error.__cause__ or error
    origin = error.__traceback__
    while origin and origin.tb_next:
        origin = origin.tb_next
    return (type(error), origin.tb_frame.f_code.co_filename, origin.tb_lineno) if origin else (type(error),)


class _TextFormatter(logging.Formatter):
    """Formatter for lines on a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s  %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 the name in the standard library
        return to_printable(super().formatMessage(record))


class _JsonFormatter(logging.Formatter):
    """Formatter for JSON lines with `at`, `level`, `message`, and `traceback` if there is an exception."""

    def format(self, record: logging.LogRecord) -> str:
        document = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document)


def configure_logging(stream: LogStream) -> None:
    """Write warnings and errors of the whole process to `stream`.

    `basicConfig` does nothing if a handler is already set, such as pytest's.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_TextFormatter() if stream.isatty() else _JsonFormatter())
    handler.addFilter(_RepeatedTracebackFilter())
    logging.basicConfig(handlers=[handler])
