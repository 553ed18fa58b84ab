"""What a game looks like on the page, before it was played and after. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from minwallet.demo.game_rules import FISH as WORTH
from minwallet.demo.game_rules import MAX_BULLETS, REEL_SYMBOLS, ZODIAC_BETS, ZODIAC_SIGNS
from minwallet.web.demo.provider_client import PlayResponse, RoundResponse
from minwallet.web.formatting import format_money

REEL_LENGTH = 9
"""How many symbols of a reel go by, with the one where it stops."""

SYMBOL_NAMES = {"♥": "heart", "♣": "club", "★": "star", "7": "seven"}

PAYTABLE = (("♥♥", 1), ("♥♥♥", 3), ("♣♣♣", 7), ("★★★", 20), ("777", 120))
"""What the slot pays, as a multiple of the stake."""

OUTSIDE_BETS = tuple(bet for bet, signs in ZODIAC_BETS.items() if len(signs) > 1)

SIGN_POSITIONS = ((1, 1), (1, 2), (1, 3), (1, 4), (2, 4), (3, 4), (4, 4), (4, 3), (4, 2), (4, 1), (3, 1), (2, 1))
"""Where the signs stand on the zodiac table, as row and column, clockwise."""


class Reel(NamedTuple):
    """The symbols of a reel by name, the first is where it stops; and whether it is part of what pays."""

    symbols: Sequence[str]
    is_winning: bool


class Sign(NamedTuple):
    number: int
    name: str
    is_red: bool
    row: int
    column: int
    is_drawn: bool


FISH_VALUES = {name: worth for name, (_, worth) in WORTH.items() if name}
"""How many bullets each fish is worth."""


def build_reels(play: PlayResponse | None) -> list[Reel]:
    """The three reels as they stopped; at first with the best line there is."""
    line = "".join(play.shown) if play else "777"
    is_winning = play.payout > 0 if play else False
    only_hearts_win = is_winning and line.count("♥") == 2
    return [
        Reel(_build_strip(symbol, place), is_winning and (symbol == "♥" or not only_hearts_win))
        for place, symbol in enumerate(line)
    ]


def _build_strip(symbol: str, place: int) -> list[str]:
    passing_symbols = [REEL_SYMBOLS[(place * 3 + step * 7) % len(REEL_SYMBOLS)] for step in range(1, REEL_LENGTH)]
    return [SYMBOL_NAMES[each] for each in (symbol, *passing_symbols)]


def build_signs(play: PlayResponse | None) -> list[Sign]:
    """The twelve signs around the table."""
    drawn = play.shown[0].partition(" ")[0] if play else ""
    return [
        Sign(number, name, number in ZODIAC_BETS["red"], row, column, name == drawn)
        for number, (name, (row, column)) in enumerate(zip(ZODIAC_SIGNS, SIGN_POSITIONS, strict=True), 1)
    ]


def list_catches(play: PlayResponse | None) -> list[str]:
    """The fish that were caught, by name."""
    return [name for name in (play.shown[1:] if play else ()) if name in FISH_VALUES]


def count_bullets(play: PlayResponse | None) -> tuple[int, int]:
    """How many bullets the stake bought, and how many of them were shot."""
    if play is None:
        return MAX_BULLETS, 0
    shot, _, bought, _ = play.shown[0].split(" ")
    return int(bought), int(shot)


def describe_outcome(round_: RoundResponse) -> str:
    """What came of it, in words that need no picture."""
    play, currency = round_.play, round_.currency
    stake = f"{format_money(play.stake)} {currency}"
    match round_.ending:
        case "done":
            return f"{_describe_play(round_)} Staked {stake}, {_describe_payout(play)}."
        case "cancelled":
            return f"The bet of {stake} was called off and given back."
        case "rejected":
            return f"The wallet refused the bet of {stake}; nothing was taken."
        case _:
            return "The wallet has not answered yet; the round goes on until it does."


def _describe_payout(play: PlayResponse) -> str:
    return f"returned {format_money(play.payout)}" if play.payout else "returned nothing"


def _describe_play(round_: RoundResponse) -> str:
    play = round_.play
    match round_.game:
        case "slot":
            return f"{', '.join(SYMBOL_NAMES[symbol] for symbol in play.shown).capitalize()}."
        case "fish":
            return f"{play.shown[0].capitalize()}, caught {_format_counts(list_catches(play))}."
        case _:
            return f"{play.shown[0].partition(' ')[0]} was drawn; you bet on {get_bet_name(play.choice)}."


def _format_counts(names: Sequence[str]) -> str:
    counts = {name: names.count(name) for name in names}
    return ", ".join(f"{number} {name}{'s' * (number > 1)}" for name, number in counts.items()) or "nothing"


def get_bet_name(choice: str) -> str:
    """`z3` as `Tiger`."""
    return ZODIAC_SIGNS[int(choice[1:]) - 1] if choice.startswith("z") else choice
