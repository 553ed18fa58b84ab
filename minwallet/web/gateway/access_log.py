"""Access log of provider calls: one line per call, without tokens.

uvicorn's own access log is off, because it prints the query string, and vela's tokens are in it. A line contains
only parsed values: operation, player, transaction id, outcome, duration, address, and the reason of a failure. It
contains no URL, header or body, so a token in an unexpected place cannot reach the log. `web.request_log` writes the
lines of all other requests.

A transaction id is a number in both built-in protocols, and may be any text without control characters in another one.
JSON escapes it. On a terminal a text with a space or a quote is in quotes and escaped, so that it stays one column.

The lines of one turn of the event loop are written together, because calls of one batch end together. A failing log
never fails a call.
"""

import asyncio
import time
from contextlib import suppress
from functools import lru_cache
from typing import Protocol

from minwallet.operations.line_text import to_column, to_json_text, to_printable
from minwallet.web.gateway.recent_calls import RecordedCall


class LogStream(Protocol):
    """A text stream for log lines; `sys.stderr` is one."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class LineLog:
    """Lines with the current time. Those of one turn of the event loop are written to the stream together."""

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._lines: list[str] = []
        self._timestamp = ""

    def _begin_turn(self) -> None:
        """Take the time, and write the lines of this turn at its end. Call this before the first one is added."""
        asyncio.get_running_loop().call_soon(self._flush)
        self._timestamp = (_format_local_time if self._is_terminal else _format_utc_time)(int(time.time()))

    def _flush(self) -> None:
        text = "".join(self._lines)
        self._lines.clear()
        # The calls are committed. A full disk or a closed stream must not prevent their answers.
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


class AccessLog(LineLog):
    """The log of one protocol: aligned text on a terminal, one JSON document per line elsewhere."""

    def __init__(self, stream: LogStream, protocol: str) -> None:
        super().__init__(stream)
        self._protocol = protocol
        self._head = ""

    def write(self, call: RecordedCall) -> None:
        """Add a line with the current time.

        Operations and outcomes are fixed words, so only the other texts are escaped.
        """
        if not self._lines:
            self._begin_turn()
            self._head = f'{{"at":"{self._timestamp}","protocol":"{self._protocol}","operation":"'
        self._lines.append(
            f"{self._timestamp}  {self._protocol:9} {call.operation:12} {to_column(call.player):16}"
            f" {to_column(call.transaction):20} {call.outcome:18} {call.seconds * 1000:8.2f} ms"
            f"  {to_column(call.address):15}  {to_printable(call.reason)}".rstrip()
            + "\n"
            if self._is_terminal
            else f'{self._head}{call.operation}","player":{to_json_text(call.player)},'
            f'"id":{to_json_text(call.transaction)},"outcome":"{call.outcome}","ms":{call.seconds * 1000:.2f},'
            f'"address":{to_json_text(call.address)}'
            + (f',"reason":{to_json_text(call.reason)}}}\n' if call.reason else "}\n")
        )


# Thousands of lines have the same second, so it is formatted once.
@lru_cache(maxsize=2)
def _format_local_time(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


@lru_cache(maxsize=2)
def _format_utc_time(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
