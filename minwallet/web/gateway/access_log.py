"""Who called what, how it ended and how long it took: one line per provider call, and never a token in it."""

import asyncio
import time
from contextlib import suppress
from functools import lru_cache
from typing import Protocol


class LogStream(Protocol):
    """What lines can be written to."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class AccessLog:
    """One protocol's lines: for a person on a terminal, as JSON for everything else.

    Calls that end together, as those of one batch do, are written together.
    """

    def __init__(self, stream: LogStream, protocol: str) -> None:
        self._stream = stream
        self._protocol = protocol
        self._is_terminal = stream.isatty()
        self._lines: list[str] = []
        self._timestamp = ""

    def write(self, operation: str, player: str, transaction: str, outcome: str, seconds: float) -> None:
        """Add a line, stamped with the time; every part is of a shape that JSON need not escape."""
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
        # A log that cannot be written must not cost a player the answer.
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


# Thousands of lines carry the same second.
@lru_cache(maxsize=2)
def _format_local_time(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


@lru_cache(maxsize=2)
def _format_utc_time(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
