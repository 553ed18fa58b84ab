"""The history of all calls during a fault: every attempt of every call, answered or not."""

import time
from collections.abc import Iterator
from typing import NamedTuple

UNANSWERED = None
"""The code of an attempt without an answer, or with one that leaves the outcome open (HTTP 503)."""


class Attempt(NamedTuple):
    """One attempt of a call. Times are seconds of the monotonic clock, which all processes of a machine share.
    Amounts are in cents.

    `code` is the protocol's code, 0 for success. `balance` and `balance2` are as in the protocol: the sum and nothing
    in wallet-v2 and orbit, cash and bonus in vela and in the operator's transfers. `detail` is the other content of a
    provider's call, `is_bonus` marks a transfer of bonus, and `reference` is what a rollback reverses.

    A call with several commands is an attempt for each of them. The last one has the balances of the answer.
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
    code: int | str | None = UNANSWERED
    balance: int | None = None
    balance2: int | None = None
    detail: str | None = None
    is_bonus: bool = False
    reference: str | None = None


class History(list[Attempt]):
    """All attempts so far."""

    def answered(self) -> Iterator[Attempt]:
        return (each for each in self if each.code is not UNANSWERED)


def monotonic_s() -> float:
    """Return the time on the clock of all histories, in seconds."""
    return time.monotonic()
