"""A round as the calls it makes, and the one policy that sees every round through, whatever the protocol.

Nothing here sends anything. `drive_round` yields a call and receives what the wallet answered, or None where nobody
knows what became of the call; a call that is yielded again is to be repeated, after a pause that grows. Its rules:

1. A bet without an answer is called off; a bet and win in one is asked a few times first.
2. Calling off is repeated until it is answered. Where it is refused the round's fate is settled, but not known: either
   no money moved, or it can no longer be given back. The opening, asked once more, tells which.
3. A win is repeated until it is taken: "a winning has to be taken" (wallet API v.2).
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
    """All that one round may say: `cancel` calls the opening off, `closing` pays; a bet and win in one needs none."""

    id: str
    opening: Call
    closing: Call | None
    cancel: Call


class RoundEnding(StrEnum):
    """What became of a round. Only a round that is done has moved money for good."""

    DONE = "done"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


CallScript = Generator[Call, WalletResponse | None, RoundEnding]


def build_session_call(protocol: str, token: str) -> Call:
    """The call with which a game opens: who is this, and what do they have?"""
    return Call("credit", token, Balance()) if protocol == "wallet-v2" else Call("authenticate", token, Authenticate())


def build_round(protocol: str, token: str, game: DemoGame, play: GameResult, ids: Iterator[int]) -> RoundCalls:
    """The calls that move the money of this play."""
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


def drive_round(round_: RoundCalls) -> CallScript:
    """Play the round to its end, by the rules above."""
    answer = yield from _retry(round_.opening, 1 if round_.closing else MAX_BETWIN_ATTEMPTS)
    if answer is None:
        cancelled = yield from _retry_until_answered(round_.cancel)
        if cancelled.code == 0:
            return RoundEnding.CANCELLED
        answer = yield from _retry_until_answered(round_.opening)
    if answer.code != 0:
        return RoundEnding.REJECTED
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
    """How long to wait before a call is sent for the nth time: not at all for the first two, then longer and longer."""
    return 0 if attempt <= 2 else min(0.02 * 2 ** min(attempt - 3, 20), MAX_RETRY_DELAY_S)
