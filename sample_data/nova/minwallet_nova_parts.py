"""The optional parts of nova: the cases for `minwallet conformance`, and the rounds of the demo provider."""

from collections.abc import Iterator

from minwallet_nova import Nova

from minwallet.conformance.command_requests import CommandRequests
from minwallet.conformance.dsl import ProtocolSuite, must
from minwallet.demo.dealer import RoundCalls
from minwallet.demo.game_rules import DemoGame, GameResult
from minwallet.ledger.commands import Balance, Bet, EndRound, Group, Rollback, Win
from minwallet.protocols.wire import Call

nova = Nova()
orders = CommandRequests(nova)

SUITE = ProtocolSuite(
    nova,
    balance_request=orders.query(),
    cancel_bet=lambda letter: orders.rollback(f"back {letter}", letter),
    id_field="id",
    drain=lambda letter, amount: [orders.bet(letter, amount)],
    cases=(
        must(
            "bet-retry",
            "A retry of a bet takes nothing more.",
            "An id is processed once.",
            orders.bet("a", 5).accepted(-5),
            orders.bet("a", 5).moves(-5),
        ),
        must(
            "play-all-or-nothing",
            "If one action is refused, none is done.",
            "All actions of a request are done, or none.",
            orders.bet("a", 5).accepted(-5),
            orders.group(orders.win("b", 3, "a"), orders.bet("a", 6)).refused(-5),
        ),
        must("forged", "A forged request is refused.", "X-Nova-Sign", orders.bet("a", 5).forged().refused()),
    ),
)


class NovaDealer:
    """Rounds of a bet, and of a win with the end of the round."""

    game_path = "/nova-game"

    def get_game_id(self, game: DemoGame) -> str:
        return game.code

    def build_session_call(self, token: str) -> Call:
        return Call("balance", token, Balance())

    def build_round(self, token: str, game: DemoGame, play: GameResult, ids: Iterator[int]) -> RoundCalls:
        bet, win, back = (str(next(ids)) for _ in range(3))
        end = EndRound(f"end:{bet}", bet)
        return RoundCalls(
            bet,
            Call("bet", token, Bet(bet, play.stake, bet, game.code)),
            Call("play", token, Group((Win(win, play.payout, bet, game.code), end))),
            Call("rollback", token, Rollback(back, bet)),
        )
