"""The calls of a round, and the rules by which the provider completes each round, in every protocol.

Theory of operation
-------------------

This module is pure and sends nothing. `drive_round` is a generator, so that the same policy runs against HTTP, an
in-process wallet or a list of replies:

- It yields the call to send next.
- It receives the wallet's reply, or None if the outcome of the call is unknown (lost, late or unreadable reply).
- If it yields the same call again, the caller repeats it after `retry_delay_s(attempt)`.
- It returns the `RoundEnding`.

The provider must end with the same money as the wallet, so it never guesses the outcome of a call:

1. A bet without a reply is cancelled. A bet and win in one call is first sent up to `MAX_BETWIN_ATTEMPTS` times.
2. The cancel is repeated until the wallet replies. If the wallet refuses it, either no money moved, or the bet can no
   longer be taken back. To find out which, the provider sends the opening call again: its retry gets the first outcome.
3. A win is repeated until the wallet accepts it: "a winning has to be taken" (wallet API v.2).

Rules 2 and 3 repeat without a limit. A round whose wallet stays silent stays pending.
"""

from collections.abc import Generator
from enum import StrEnum

from minwallet.demo.dealer import RoundCalls
from minwallet.protocols.wire import Call, WalletResponse

MAX_BETWIN_ATTEMPTS = 3

MAX_RETRY_DELAY_S = 5.0


class RoundEnding(StrEnum):
    """The outcome of a round. Only a round that is done has changed the balance permanently."""

    DONE = "done"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


CallScript = Generator[Call, WalletResponse | None, RoundEnding]


def drive_round(round_: RoundCalls) -> CallScript:
    """Yield the calls of the round, by the rules above, and return its ending."""
    answer = yield from _retry(round_.opening, 1 if round_.closing else MAX_BETWIN_ATTEMPTS)
    if answer is None:
        cancelled = yield from _retry_until_answered(round_.cancel)
        if cancelled.code == 0:
            return RoundEnding.CANCELLED
        answer = yield from _retry_until_answered(round_.opening)
    if answer.code != 0:
        return RoundEnding.REJECTED
    # Even a refused win is repeated: the player has won, and the wallet must accept it.
    while round_.closing and (yield from _retry_until_answered(round_.closing)).code != 0:
        continue
    return RoundEnding.DONE


def _retry(call: Call, attempts: int) -> Generator[Call, WalletResponse | None, WalletResponse | None]:
    for _ in range(attempts):
        if answer := (yield call):
            return answer
    return None


def _retry_until_answered(call: Call) -> Generator[Call, WalletResponse | None, WalletResponse]:
    while not (answer := (yield call)):
        continue
    return answer


def retry_delay_s(attempt: int) -> float:
    """Return the pause before an attempt: 0 for the first two, then doubled each time up to `MAX_RETRY_DELAY_S`."""
    return 0 if attempt <= 2 else min(0.02 * 2 ** min(attempt - 3, 20), MAX_RETRY_DELAY_S)
