"""What was said over the wire while something was broken: every attempt of every call, answered or not."""

import time
from collections.abc import Iterator
from typing import NamedTuple

UNANSWERED = None
"""The code of an attempt that had no answer, or one that leaves open what happened (HTTP 503)."""


class Attempt(NamedTuple):
    """One attempt. Times are seconds of the monotonic clock, which all processes of a machine share; amounts cents.

    `code` is the protocol's own, 0 for success. `balance` and `balance2` are as the protocol has them: wallet-v2's
    credit and nothing, vela's cash and bonus; for the operator's changes cash and bonus, too. `detail` is
    what else of a provider's call is content, and `is_bonus` says that a change of the operator's is one of bonus.
    """

    sent_at: float
    answered_at: float
    protocol: str
    operation: str
    agent: str
    player: str
    currency: str
    id: str = ""
    round: str | None = None
    game: str | None = None
    stake: int = 0
    payout: int = 0
    code: int | None = UNANSWERED
    balance: int | None = None
    balance2: int | None = None
    detail: str | None = None
    is_bonus: bool = False


class History(list[Attempt]):
    """Grows as calls are made."""

    def answered(self) -> Iterator[Attempt]:
        return (each for each in self if each.code is not UNANSWERED)


def monotonic_s() -> float:
    """The clock of all histories."""
    return time.monotonic()
