"""Who called what, how it ended and how long it took: one line per provider call, and never a token in it."""

import time
from contextlib import suppress
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
    """Lines for a person on a terminal, JSON for everything else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._for_people = stream.isatty()

    def write(self, call: Line) -> None:
        """Add the line, stamped with the time."""
        now, ms = time.time(), round(call.seconds * 1000, 2)
        if self._for_people:
            clock = time.strftime("%H:%M:%S", time.localtime(now))
            what = f"{call.protocol:9} {call.operation:12} {call.player:16} {call.transaction:20}"
            line = f"{clock}  {what} {call.outcome:18} {ms:8.2f} ms\n"
        else:
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
            # Every part is of a shape that JSON need not escape.
            what = f'"protocol":"{call.protocol}","operation":"{call.operation}","player":"{call.player}"'
            line = f'{{"at":"{at}",{what},"id":"{call.transaction}","outcome":"{call.outcome}","ms":{ms}}}\n'
        # A log that cannot be written must not cost a player the answer.
        with suppress(OSError, ValueError):
            self._stream.write(line)
