"""Access log of provider calls: one line per call, without tokens.

uvicorn's own access log is off, because it prints the query string, and vela's tokens are in it. A line contains
only parsed values: operation, player, transaction id, outcome and duration. It contains no URL, header or body, so a
token in an unexpected place cannot reach the log.

The lines of one turn of the event loop are written together, because calls of one batch end together. A failing log
never fails a call.
"""

import asyncio
import time
from contextlib import suppress
from functools import lru_cache
from typing import Protocol


class LogStream(Protocol):
    """A text stream for log lines; `sys.stderr` is one."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class AccessLog:
    """The log of one protocol: aligned text on a terminal, one JSON document per line elsewhere."""

    def __init__(self, stream: LogStream, protocol: str) -> None:
        self._stream = stream
        self._protocol = protocol
        self._is_terminal = stream.isatty()
        self._lines: list[str] = []
        self._timestamp = ""

    def write(self, operation: str, player: str, transaction: str, outcome: str, seconds: float) -> None:
        """Add a line with the current time.

        No value needs JSON escaping: operations and outcomes are fixed words, a player id and a transaction id have
        restricted characters. So the hot path does without `json.dumps`.
        """
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush)
            self._timestamp = (_format_local_time if self._is_terminal else _format_utc_time)(int(time.time()))
        at, ms = self._timestamp, seconds * 1000
        self._lines.append(
            f"{at}  {self._protocol:9} {operation:12} {player:16} {transaction:20} {outcome:18} {ms:8.2f} ms\n"
            if self._is_terminal
            else f'{{"at":"{at}","protocol":"{self._protocol}","operation":"{operation}","player":"{player}",'
            f'"id":"{transaction}","outcome":"{outcome}","ms":{ms:.2f}}}\n'
        )

    def _flush(self) -> None:
        text = "".join(self._lines)
        self._lines.clear()
        # The calls are committed. A full disk or a closed stream must not prevent their answers.
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


# Thousands of lines have the same second, so it is formatted once.
@lru_cache(maxsize=2)
def _format_local_time(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


@lru_cache(maxsize=2)
def _format_utc_time(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
