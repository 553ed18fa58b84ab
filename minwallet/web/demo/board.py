"""What a game looks like on the page, before it was played and after. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from minwallet.demo.games import BETS, BULLETS, REEL, SIGNS
from minwallet.demo.games import FISH as WORTH
from minwallet.web.demo.table import PlayTold, RoundTold
from minwallet.web.formatting import format_money

STRIP = 9
"""How many symbols of a reel go by, with the one where it stops."""

SYMBOLS = {"♥": "heart", "♣": "club", "★": "star", "7": "seven"}

PAYS = (("♥♥", 1), ("♥♥♥", 3), ("♣♣♣", 7), ("★★★", 20), ("777", 120))
"""What the slot pays, as a multiple of the stake."""

OUTSIDE = tuple(bet for bet, signs in BETS.items() if len(signs) > 1)

RING = ((1, 1), (1, 2), (1, 3), (1, 4), (2, 4), (3, 4), (4, 4), (4, 3), (4, 2), (4, 1), (3, 1), (2, 1))
"""Where the signs stand on the zodiac table, as row and column, clockwise."""


class Reel(NamedTuple):
    """The symbols of a reel by name, the first is where it stops; and whether it is part of what pays."""

    symbols: Sequence[str]
    pays: bool


class Sign(NamedTuple):
    number: int
    name: str
    is_red: bool
    row: int
    column: int
    is_drawn: bool


FISH = {name: worth for name, (_, worth) in WORTH.items() if name}
"""How many bullets each fish is worth."""


def reels(play: PlayTold | None) -> list[Reel]:
    """The three reels as they stopped; at first with the best line there is."""
    line = "".join(play.shown) if play else "777"
    pays = play.payout > 0 if play else False
    hearts_only = pays and line.count("♥") == 2
    return [
        Reel(_strip(symbol, place), pays and (symbol == "♥" or not hearts_only)) for place, symbol in enumerate(line)
    ]


def _strip(symbol: str, place: int) -> list[str]:
    passing = [REEL[(place * 3 + step * 7) % len(REEL)] for step in range(1, STRIP)]
    return [SYMBOLS[each] for each in (symbol, *passing)]


def signs(play: PlayTold | None) -> list[Sign]:
    """The twelve signs around the table."""
    drawn = play.shown[0].partition(" ")[0] if play else ""
    return [
        Sign(number, name, number in BETS["red"], row, column, name == drawn)
        for number, (name, (row, column)) in enumerate(zip(SIGNS, RING, strict=True), 1)
    ]


def catches(play: PlayTold | None) -> list[str]:
    """The fish that were caught, by name."""
    return [name for name in (play.shown[1:] if play else ()) if name in FISH]


def bullets(play: PlayTold | None) -> tuple[int, int]:
    """How many bullets the stake bought, and how many of them were shot."""
    if play is None:
        return BULLETS, 0
    shot, _, bought, _ = play.shown[0].split(" ")
    return int(bought), int(shot)


def outcome(round_: RoundTold) -> str:
    """What came of it, in words that need no picture."""
    play, currency = round_.play, round_.currency
    stake = f"{format_money(play.stake)} {currency}"
    match round_.ending:
        case "done":
            return f"{_shown(round_)} Staked {stake}, {_returned(play)}."
        case "cancelled":
            return f"The bet of {stake} was called off and given back."
        case "rejected":
            return f"The wallet refused the bet of {stake}; nothing was taken."
        case _:
            return "The wallet has not answered yet; the round goes on until it does."


def _returned(play: PlayTold) -> str:
    return f"returned {format_money(play.payout)}" if play.payout else "returned nothing"


def _shown(round_: RoundTold) -> str:
    play = round_.play
    match round_.game:
        case "slot":
            return f"{', '.join(SYMBOLS[symbol] for symbol in play.shown).capitalize()}."
        case "fish":
            return f"{play.shown[0].capitalize()}, caught {_listed(catches(play))}."
        case _:
            return f"{play.shown[0].partition(' ')[0]} was drawn; you bet on {bet_name(play.choice)}."


def _listed(names: Sequence[str]) -> str:
    counts = {name: names.count(name) for name in names}
    return ", ".join(f"{number} {name}{'s' * (number > 1)}" for name, number in counts.items()) or "nothing"


def bet_name(choice: str) -> str:
    """`z3` as `Tiger`."""
    return SIGNS[int(choice[1:]) - 1] if choice.startswith("z") else choice
