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

import json
from collections.abc import Generator, Iterator
from enum import StrEnum
from typing import NamedTuple

from minwallet.demo.game_rules import DemoGame, GameResult
from minwallet.ledger.commands import Authenticate, Balance, Bet, BetWin, Cancel, Settle, Win
from minwallet.protocols.wire import Call, WalletResponse

MAX_BETWIN_ATTEMPTS = 3

MAX_RETRY_DELAY_S = 5.0


class RoundCalls(NamedTuple):
    """The calls that one round may make.

    `opening` is the bet, `closing` pays, `cancel` takes the opening back. `closing` is None for a bet and win in one
    call.
    """

    id: str
    opening: Call
    closing: Call | None
    cancel: Call


class RoundEnding(StrEnum):
    """The outcome of a round. Only a round that is done has changed the balance permanently."""

    DONE = "done"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


CallScript = Generator[Call, WalletResponse | None, RoundEnding]


def build_session_call(protocol: str, token: str) -> Call:
    """Return the call with which a game opens. Its reply identifies the player and contains the balance."""
    return Call("credit", token, Balance()) if protocol == "wallet-v2" else Call("authenticate", token, Authenticate())


def build_round(protocol: str, token: str, game: DemoGame, play: GameResult, ids: Iterator[int]) -> RoundCalls:
    """Return the calls that move the money of this play."""
    return _ROUND_BUILDERS[protocol](token, game, play, ids)


def _build_wallet_v2_round(token: str, game: DemoGame, play: GameResult, ids: Iterator[int]) -> RoundCalls:
    bet, win = str(next(ids)), str(next(ids))
    return RoundCalls(
        bet,
        Call("bet", token, Bet(bet, play.stake, bet, game.number)),
        Call("win", token, Win(win, play.payout, bet, game.number)),
        Call("cancel", token, Cancel(bet, bet)),
    )


def _build_vela_round(token: str, game: DemoGame, play: GameResult, ids: Iterator[int]) -> RoundCalls:
    ticket = str(next(ids))
    cancel = Call("refund", token, Cancel(ticket))
    if game.code == "slot":
        betwin = BetWin(ticket, play.stake, play.payout, game.code)
        return RoundCalls(ticket, Call("betwin", token, betwin), None, cancel)
    key = json.dumps({"key": play.choice}) if play.choice else None
    used = json.dumps({"total_used": play.used}) if play.used is not None else None
    return RoundCalls(
        ticket,
        Call("bet", token, Bet(ticket, play.stake, ticket, game.code, key)),
        Call("result", token, Settle(ticket, play.payout, game.code, used)),
        cancel,
    )


_ROUND_BUILDERS = {"wallet-v2": _build_wallet_v2_round, "vela": _build_vela_round}

PLAYED_PROTOCOLS = tuple(_ROUND_BUILDERS)
"""The protocols that the demo provider plays. A third protocol of the registry is not among them."""


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
