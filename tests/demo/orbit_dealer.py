"""A dealer of a protocol package: rounds of orbit, which takes a bet back with a refund under an id of its own."""

from collections.abc import Iterator

from minwallet.demo.dealer import RoundCalls
from minwallet.demo.game_rules import DemoGame, GameResult
from minwallet.ledger.commands import Balance, Bet, Rollback, Win
from minwallet.protocols.wire import Call


class OrbitDealer:
    """Rounds of orbit. Its launch URLs share `/play` with those of wallet-v2."""

    game_path = "/play"

    def get_game_id(self, game: DemoGame) -> str:
        """Return the game's code."""
        return game.code

    def build_session_call(self, token: str) -> Call:
        """Return the query of the balance."""
        return Call("balance", token, Balance())

    def build_round(self, token: str, game: DemoGame, play: GameResult, ids: Iterator[int]) -> RoundCalls:
        """Return a bet, its win and its refund."""
        bet, win, refund = (f"orbit-{next(ids)}" for _ in range(3))
        return RoundCalls(
            bet,
            Call("bet", token, Bet(bet, play.stake, bet, game.code)),
            Call("win", token, Win(win, play.payout, bet, game.code)),
            Call("refund", token, Rollback(refund, bet)),
        )
