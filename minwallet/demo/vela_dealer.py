"""The dealer of vela: a ticket with a bet and a result, or with a betwin."""

import json
from collections.abc import Iterator

from minwallet.demo.dealer import RoundCalls
from minwallet.demo.game_rules import DemoGame, GameResult
from minwallet.ledger.commands import Authenticate, Bet, BetWin, Cancel, Settle
from minwallet.protocols.wire import Call


class VelaDealer:
    """Rounds of vela. The id of a round is its ticket, and each game has an address of its own."""

    game_path = "/play/{game}"

    def get_game_id(self, game: DemoGame) -> str:
        """Return the game's code."""
        return game.code

    def build_session_call(self, token: str) -> Call:
        """Return the call authenticate."""
        return Call("authenticate", token, Authenticate())

    def build_round(self, token: str, game: DemoGame, play: GameResult, ids: Iterator[int]) -> RoundCalls:
        """Return a betwin and its refund for the slot; a bet, its result and its refund for the other games.

        A correct wallet refuses the result of an unknown ticket, so the result may overtake its bet.
        """
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
            closing_may_overtake=True,
        )
