"""The view of a game on the page, before and after a round. Pure functions."""

from collections.abc import Sequence
from typing import NamedTuple

from minwallet.demo.game_rules import FISH as WORTH
from minwallet.demo.game_rules import MAX_BULLETS, REEL_SYMBOLS, ZODIAC_BETS, ZODIAC_SIGNS
from minwallet.web.demo.provider_client import PlayResponse, RoundResponse
from minwallet.web.formatting import format_money

REEL_LENGTH = 9
"""The number of symbols that a reel shows while it spins, including the last one."""

SYMBOL_NAMES = {"♥": "heart", "♣": "club", "★": "star", "7": "seven"}

PAYTABLE = (("♥♥", 1), ("♥♥♥", 3), ("♣♣♣", 7), ("★★★", 20), ("777", 120))
"""The payouts of the slot, as multiples of the stake."""

OUTSIDE_BETS = tuple(bet for bet, signs in ZODIAC_BETS.items() if len(signs) > 1)

SIGN_POSITIONS = ((1, 1), (1, 2), (1, 3), (1, 4), (2, 4), (3, 4), (4, 4), (4, 3), (4, 2), (4, 1), (3, 1), (2, 1))
"""The positions of the signs on the zodiac table, as row and column, clockwise."""


class Reel(NamedTuple):
    """A reel: its symbols by name, the result first, and whether it is part of a winning line."""

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
"""The payout of each fish, in bullets."""


def build_reels(play: PlayResponse | None) -> list[Reel]:
    """Return the three reels with their result. Before the first round they show the best line."""
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
    """Return the twelve signs of the table."""
    drawn = play.shown[0].partition(" ")[0] if play else ""
    return [
        Sign(number, name, number in ZODIAC_BETS["red"], row, column, name == drawn)
        for number, (name, (row, column)) in enumerate(zip(ZODIAC_SIGNS, SIGN_POSITIONS, strict=True), 1)
    ]


def list_catches(play: PlayResponse | None) -> list[str]:
    """Return the names of the caught fish."""
    return [name for name in (play.shown[1:] if play else ()) if name in FISH_VALUES]


def count_bullets(play: PlayResponse | None) -> tuple[int, int]:
    """Return how many bullets the stake bought, and how many of them were shot."""
    if play is None:
        return MAX_BULLETS, 0
    shot, _, bought, _ = play.shown[0].split(" ")
    return int(bought), int(shot)


def describe_outcome(round_: RoundResponse) -> str:
    """Return the outcome as text, which is complete without the picture."""
    play, currency = round_.play, round_.currency
    stake = f"{format_money(play.stake)} {currency}"
    match round_.ending:
        case "done":
            return f"{_describe_play(round_)} Staked {stake}, {_describe_payout(play)}."
        case "cancelled":
            return f"The bet of {stake} was cancelled and paid back."
        case "rejected":
            return f"The wallet refused the bet of {stake}. No money moved."
        case _:
            return "The wallet has not replied yet. The round stays pending until it replies."


def _describe_payout(play: PlayResponse) -> str:
    return f"paid out {format_money(play.payout)}" if play.payout else "paid out nothing"


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
    """Return the name of a bet, such as `Tiger` for `z3`."""
    return ZODIAC_SIGNS[int(choice[1:]) - 1] if choice.startswith("z") else choice
