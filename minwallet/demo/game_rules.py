"""The three games, each a pure function of a stake, a choice and a random generator. Amounts are in cents.

Each game pays back about 95 % of the stakes (RTP), in whole cents. Fractions of a cent go to the house.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

MAX_STAKE = 1_000_000_000
"""The maximum stake, in cents. It exceeds the usual balance of a demo player, so that a bet can be refused."""


class GameResult(NamedTuple):
    """The result of one game. `shown` is what the player sees.

    `used` is the played part of a buy-in, None in games without one. The payout includes the unplayed part.
    """

    stake: int
    payout: int
    shown: tuple[str, ...]
    choice: str = ""
    used: int | None = None


class DemoGame(NamedTuple):
    """A game. `code` is its id in vela, `number` its id in wallet-v2. The first of `choices` is the default."""

    code: str
    number: str
    titles: Mapping[str, str]
    rules: str
    play: Callable[[int, str, Random], GameResult]
    choices: tuple[str, ...] = ("",)


REEL_SYMBOLS = "♥♥♥♥♣♣♣★★7"
TRIPLE_MULTIPLIERS = {"♥♥♥": 3, "♣♣♣": 7, "★★★": 20, "777": 120}


def slot_multiplier(line: str) -> int:
    """Return by how much three symbols multiply the stake."""
    return TRIPLE_MULTIPLIERS.get(line, 1 if line.count("♥") == 2 else 0)


def _play_slot(stake: int, choice: str, rng: Random) -> GameResult:
    del choice
    line = "".join(rng.choice(REEL_SYMBOLS) for _ in range(3))
    return GameResult(stake, stake * slot_multiplier(line), tuple(line))


MAX_BULLETS = 20
FISH = {"minnow": (25, 2), "ray": (5, 5), "whale": (1, 20), "": (69, 0)}
"""For each fish: in how many of 100 shots it is caught, and its worth in bullets. The empty name is a miss."""


def _play_fish(stake: int, choice: str, rng: Random) -> GameResult:
    del choice
    bullets = min(MAX_BULLETS, stake)
    price = stake // bullets
    shots = rng.randint(1, bullets)
    hits = rng.choices(list(FISH), [often for often, _ in FISH.values()], k=shots)
    prize = price * sum(FISH[fish][1] for fish in hits)
    used = price * shots
    caught = [fish for fish in hits if fish]
    return GameResult(stake, stake - used + prize, (f"{shots} of {bullets} shots", *(caught or ["nothing"])), used=used)


ZODIAC_SIGNS = ("Rat", "Ox", "Tiger", "Rabbit", "Dragon", "Snake", "Horse", "Goat", "Monkey", "Rooster", "Dog", "Pig")
_SIGN_NUMBERS = range(1, len(ZODIAC_SIGNS) + 1)
_RED_NUMBERS = frozenset({1, 3, 5, 8, 10, 12})

ZODIAC_BETS: Mapping[str, frozenset[int]] = {
    "small": frozenset(n for n in _SIGN_NUMBERS if n <= 6),
    "big": frozenset(n for n in _SIGN_NUMBERS if n > 6),
    "red": _RED_NUMBERS,
    "black": frozenset(_SIGN_NUMBERS) - _RED_NUMBERS,
    "odd": frozenset(n for n in _SIGN_NUMBERS if n % 2),
    "even": frozenset(n for n in _SIGN_NUMBERS if not n % 2),
    **{f"z{n}": frozenset({n}) for n in _SIGN_NUMBERS},
}
"""The possible bets, each with the signs that win it."""


def _play_zodiac(stake: int, choice: str, rng: Random) -> GameResult:
    drawn = rng.choice(_SIGN_NUMBERS)
    winning = ZODIAC_BETS[choice]
    payout = stake * 95 * len(ZODIAC_SIGNS) // (100 * len(winning)) if drawn in winning else 0
    other_bets = [name for name, signs in ZODIAC_BETS.items() if drawn in signs and len(signs) > 1]
    return GameResult(stake, payout, (f"{ZODIAC_SIGNS[drawn - 1]} (z{drawn})", *other_bets), choice)


GAMES = (
    DemoGame(
        "slot",
        "1012",
        {"en": "Lucky Hearts", "cn": "幸运红心", "de": "Glücksherzen", "es": "Corazones"},
        "Three reels. Two hearts return the stake. Three equal symbols pay 3, 7, 20 or 120 times the stake.",
        _play_slot,
    ),
    DemoGame(
        "fish",
        "1014",
        {"en": "Coral Hunter", "cn": "珊瑚猎手", "de": "Korallenjäger", "es": "Cazador de corales"},
        "The stake buys up to 20 bullets. A minnow pays 2 bullets, a ray 5, a whale 20. Unused bullets are paid back.",
        _play_fish,
    ),
    DemoGame(
        "zodiac",
        "1053",
        {"en": "Zodiac Table", "cn": "生肖台", "de": "Tierkreistisch", "es": "Mesa del zodiaco"},
        "Twelve signs. A bet on one sign pays 11.4 times the stake, each other bet 1.9 times.",
        _play_zodiac,
        tuple(ZODIAC_BETS),
    ),
)


def find_game(name: str) -> DemoGame | None:
    """Return the game with this code or number, or None."""
    return next((game for game in GAMES if name in (game.code, game.number)), None)
