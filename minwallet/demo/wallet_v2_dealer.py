"""The dealer of wallet-v2: a bet and a win in one round, each with an id of its own."""

from collections.abc import Iterator

from minwallet.demo.dealer import RoundCalls
from minwallet.demo.game_rules import DemoGame, GameResult
from minwallet.ledger.commands import Balance, Bet, Cancel, Win
from minwallet.protocols.wire import Call


class WalletV2Dealer:
    """Rounds of wallet-v2. The id of a round is that of its bet, and the query of a launch URL names the game."""

    game_path = "/play"

    def get_game_id(self, game: DemoGame) -> str:
        """Return the game's number."""
        return game.number

    def build_session_call(self, token: str) -> Call:
        """Return the call credit."""
        return Call("credit", token, Balance())

    def build_round(self, token: str, game: DemoGame, play: GameResult, ids: Iterator[int]) -> RoundCalls:
        """Return a bet, its win and its cancel.

        A correct wallet pays a win in an unknown round, so the win never overtakes its bet.
        """
        bet, win = str(next(ids)), str(next(ids))
        return RoundCalls(
            bet,
            Call("bet", token, Bet(bet, play.stake, bet, game.number)),
            Call("win", token, Win(win, play.payout, bet, game.number)),
            Call("cancel", token, Cancel(bet, bet)),
        )
