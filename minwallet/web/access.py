"""Who called what, how it ended and how long it took: one line per provider call, and never a token in it."""

import asyncio
import time
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple, TextIO


class Line(NamedTuple):
    """One call. What comes from outside in it are ids of a checked shape; empty where there is none."""

    protocol: str
    operation: str
    player: str
    transaction: str
    outcome: str
    seconds: float


class AccessLog:
    """Lines for a person on a terminal, JSON for everything else.

    Calls that end together, as those of one batch do, are written together.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._format = _for_people if stream.isatty() else _for_machines
        self._lines: list[str] = []

    def write(self, call: Line) -> None:
        """Add the line, stamped with the time."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush)
        self._lines.append(self._format(call, int(time.time()), round(call.seconds * 1000, 2)))

    def _flush(self) -> None:
        text = "".join(self._lines)
        self._lines.clear()
        # A log that cannot be written must not cost a player the answer.
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


def _for_people(call: Line, second: int, ms: float) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(second))
    what = f"{call.protocol:9} {call.operation:12} {call.player:16} {call.transaction:20}"
    return f"{clock}  {what} {call.outcome:18} {ms:8.2f} ms\n"


def _for_machines(call: Line, second: int, ms: float) -> str:
    # Every part is of a shape that JSON need not escape.
    what = f'"protocol":"{call.protocol}","operation":"{call.operation}","player":"{call.player}"'
    return f'{{"at":"{_utc(second)}",{what},"id":"{call.transaction}","outcome":"{call.outcome}","ms":{ms}}}\n'


@lru_cache(maxsize=2)  # thousands of lines carry the same second
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
