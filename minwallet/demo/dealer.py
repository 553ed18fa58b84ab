"""The interface of a dealer: how the demo provider plays the rounds of one protocol.

A protocol's class names its dealer in `dealer`, as `module:class`. A dealer is pure: it builds calls and sends none.
The demo provider does the rest in the same way for every protocol. It draws the results of the games, signs the
requests, adds the player's id and currency to each call, injects faults and completes each round.

A dealer of a protocol whose bet and win have ids of their own:

    class PicoDealer:
        game_path = "/play"

        def get_game_id(self, game: DemoGame) -> str:
            return game.code

        def build_session_call(self, token: str) -> Call:
            return Call("balance", token, Balance())

        def build_round(self, token: str, game: DemoGame, play: GameResult, ids: Iterator[int]) -> RoundCalls:
            bet, win = str(next(ids)), str(next(ids))
            return RoundCalls(
                bet,
                Call("bet", token, Bet(bet, play.stake, bet, game.code)),
                Call("win", token, Win(win, play.payout, bet, game.code)),
                Call("cancel", token, Cancel(bet)),
            )
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from minwallet.demo.game_rules import GAMES, DemoGame, GameResult, find_game
from minwallet.protocols.packages import describe_fault
from minwallet.protocols.registry import create_part, has_part, list_protocols, load_protocol
from minwallet.protocols.wire import Call, Launch


class RoundCalls(NamedTuple):
    """The calls that one round may make.

    - `id`: the round in the provider's report.
    - `opening`: the bet, or the bet and win in one call.
    - `closing`: the call that pays, also with a payout of 0; None if `opening` pays.
    - `cancel`: takes `opening` back. The wallet must accept it before and after `opening`, and permanently.
    - `closing_may_overtake`: True if a correct wallet refuses a `closing` that arrives before its `opening`. Then an
      injected fault may change their order. A wallet that pays a win without a bet would have to refuse the late bet.
    """

    id: str
    opening: Call
    closing: Call | None
    cancel: Call
    closing_may_overtake: bool = False

    def add_account(self, player_id: str, currency: str) -> "RoundCalls":
        """Return the same round with the player and the currency in each call."""

        def add(call: Call) -> Call:
            return call._replace(player_id=player_id, currency=currency)

        return self._replace(
            opening=add(self.opening), closing=add(self.closing) if self.closing else None, cancel=add(self.cancel)
        )


class Dealer(Protocol):
    """The rounds of one protocol; see above. The class is called without arguments."""

    game_path: str
    """The path of the launch URLs at the demo provider.

    It is `/play` if the URL names the game in its query, or has the game's id in `{game}`, such as `/pico/{game}`.
    Several protocols may share `/play`: the provider asks each `parse_launch_url` for a game that it knows.
    """

    def get_game_id(self, game: DemoGame) -> str:
        """Return the game's id in the launch URLs and the calls of this protocol."""

    def build_session_call(self, token: str) -> Call:
        """Return the call with which a game opens, a query. Its reply contains the player, currency and balance."""

    def build_round(self, token: str, game: DemoGame, play: GameResult, ids: Iterator[int]) -> RoundCalls:
        """Return the calls that move the money of this play. `ids` has new transaction ids, which grow."""


def list_played_protocols() -> tuple[str, ...]:
    """Return the names of the installed protocols whose dealer can be used, in alphabetical order."""
    return tuple(sorted(name for name in list_protocols() if not explain_unplayed(name)))


def explain_unplayed(protocol: str) -> str:
    """Return why the demo provider does not play this protocol, "" if it does."""
    if not has_part(protocol, "dealer"):
        return f"protocol '{protocol}' has no dealer, so the demo does not play it"
    try:
        load_dealer(protocol)
    except Exception as error:
        # A faulty package must not stop the demo of the others.
        return f"protocol '{protocol}' is not played, because its dealer cannot be loaded: {describe_fault(error)}"
    return ""


def load_dealer(protocol: str) -> Dealer:
    """Return the dealer of the protocol. Raise KeyError if it has none."""
    dealer: Dealer = create_part(protocol, "dealer")
    return dealer


def find_launched_game(protocol: str, launch: Launch) -> DemoGame | None:
    """Return the game of a launch URL, by its id in the protocol or by its code or number. Return None if unknown."""
    dealer = load_dealer(protocol)
    return next((game for game in GAMES if dealer.get_game_id(game) == launch.game), None) or find_game(launch.game)


def build_game_base(dealer: Dealer, provider_url: str, game: DemoGame) -> str:
    """Return the base of the game's launch URLs at the demo provider."""
    return provider_url + dealer.game_path.replace("{game}", dealer.get_game_id(game))


def build_game_url(protocol: str, provider_url: str, game: DemoGame, launch: Launch) -> str:
    """Return the URL that opens the game at the demo provider. `launch` has the rest of its content.

    Raise NotImplementedError if the protocol builds no launch URLs.
    """
    dealer = load_dealer(protocol)
    launch = launch._replace(base=build_game_base(dealer, provider_url, game), game=dealer.get_game_id(game))
    return load_protocol(protocol).build_launch_url(launch)


def get_operator_id(protocol: str, host_id: str, wallet_token: str | None) -> str | None:
    """Return the provider's id of the operator: the host id if the provider has a service for operators, otherwise
    the wallet token. None stands for every operator.
    """
    return host_id if has_part(protocol, "operator_service") else wallet_token
