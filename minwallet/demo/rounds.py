"""A round as the calls it makes, and the one policy that sees every round through, whatever the protocol.

Nothing here sends anything. `see_through` yields a call and receives what the wallet answered, or None where nobody
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

from minwallet.demo.games import Game, Play
from minwallet.ledger.commands import Authenticate, Balance, Bet, BetWin, Cancel, Settle, Win
from minwallet.protocols.wire import Call, WalletResponse

BETWIN_TRIES = 3

LONGEST_PAUSE_S = 5.0


class Round(NamedTuple):
    """All that one round may say: `undo` calls the opening off, `closing` pays; a bet and win in one needs none."""

    id: str
    opening: Call
    closing: Call | None
    undo: Call


class Ending(StrEnum):
    """What became of a round. Only a round that is done has moved money for good."""

    DONE = "done"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


Script = Generator[Call, WalletResponse | None, Ending]


def greet(protocol: str, token: str) -> Call:
    """The call with which a game opens: who is this, and what do they have?"""
    return Call("credit", token, Balance()) if protocol == "wallet-v2" else Call("authenticate", token, Authenticate())


def deal(protocol: str, token: str, game: Game, play: Play, ids: Iterator[int]) -> Round:
    """The calls that move the money of this play."""
    return _DEALERS[protocol](token, game, play, ids)


def _deal_wallet_v2(token: str, game: Game, play: Play, ids: Iterator[int]) -> Round:
    bet, win = str(next(ids)), str(next(ids))
    return Round(
        bet,
        Call("bet", token, Bet(bet, play.stake, bet, game.number)),
        Call("win", token, Win(win, play.payout, bet, game.number)),
        Call("cancel", token, Cancel(bet, bet)),
    )


def _deal_vela(token: str, game: Game, play: Play, ids: Iterator[int]) -> Round:
    ticket = str(next(ids))
    undo = Call("refund", token, Cancel(ticket))
    if game.code == "slot":
        betwin = BetWin(ticket, play.stake, play.payout, game.code)
        return Round(ticket, Call("betwin", token, betwin), None, undo)
    key = json.dumps({"key": play.choice}) if play.choice else None
    used = json.dumps({"total_used": play.used}) if play.used is not None else None
    return Round(
        ticket,
        Call("bet", token, Bet(ticket, play.stake, ticket, game.code, key)),
        Call("result", token, Settle(ticket, play.payout, game.code, used)),
        undo,
    )


_DEALERS = {"wallet-v2": _deal_wallet_v2, "vela": _deal_vela}


def see_through(round_: Round) -> Script:
    """Play the round to its end, by the rules above."""
    answer = yield from _try(round_.opening, 1 if round_.closing else BETWIN_TRIES)
    if answer is None:
        undone = yield from _insist(round_.undo)
        if undone.code == 0:
            return Ending.CANCELLED
        answer = yield from _insist(round_.opening)
    if answer.code != 0:
        return Ending.REJECTED
    while round_.closing and (yield from _insist(round_.closing)).code != 0:
        continue
    return Ending.DONE


def _try(call: Call, times: int) -> Generator[Call, WalletResponse | None, WalletResponse | None]:
    for _ in range(times):
        if answer := (yield call):
            return answer
    return None


def _insist(call: Call) -> Generator[Call, WalletResponse | None, WalletResponse]:
    while not (answer := (yield call)):
        continue
    return answer


def pause_s(attempt: int) -> float:
    """How long to wait before a call is sent for the nth time: not at all for the first two, then longer and longer."""
    return 0 if attempt <= 2 else min(0.02 * 2 ** min(attempt - 3, 20), LONGEST_PAUSE_S)
