"""Three small games, each a pure function of a stake, a choice and chance. Amounts are cents.

Each returns about 95 % of what is played, in whole cents, rounded in the house's favour.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

MOST_STAKE = 1_000_000_000
"""What may be staked at once: more than a demo's player is likely to have, so that a bet can be refused."""


class Play(NamedTuple):
    """What came of one game: `stake` was put in, `payout` comes back, `shown` is what the player gets to see.

    `used` is the part of a buy-in that was played, where the rest comes back with the payout.
    """

    stake: int
    payout: int
    shown: tuple[str, ...]
    choice: str = ""
    used: int | None = None


class Game(NamedTuple):
    """`code` is its name in vela, `number` in wallet-v2. The first of `choices` is the one to offer."""

    code: str
    number: str
    titles: Mapping[str, str]
    rules: str
    play: Callable[[int, str, Random], Play]
    choices: tuple[str, ...] = ("",)


REEL = "♥♥♥♥♣♣♣★★7"
THREE_ALIKE = {"♥♥♥": 3, "♣♣♣": 7, "★★★": 20, "777": 120}


def line_pays(line: str) -> int:
    """How many times the stake three symbols pay."""
    return THREE_ALIKE.get(line, 1 if line.count("♥") == 2 else 0)


def _spin(stake: int, choice: str, chance: Random) -> Play:
    del choice
    line = "".join(chance.choice(REEL) for _ in range(3))
    return Play(stake, stake * line_pays(line), tuple(line))


BULLETS = 20
FISH = {"minnow": (25, 2), "ray": (5, 5), "whale": (1, 20), "": (69, 0)}
"""How often in 100 shots, and how many bullets it is worth."""


def _shoot(stake: int, choice: str, chance: Random) -> Play:
    del choice
    bullets = min(BULLETS, stake)
    price = stake // bullets
    shots = chance.randint(1, bullets)
    hits = chance.choices(list(FISH), [often for often, _ in FISH.values()], k=shots)
    prize = price * sum(FISH[fish][1] for fish in hits)
    used = price * shots
    caught = [fish for fish in hits if fish]
    return Play(stake, stake - used + prize, (f"{shots} of {bullets} shots", *(caught or ["nothing"])), used=used)


SIGNS = ("Rat", "Ox", "Tiger", "Rabbit", "Dragon", "Snake", "Horse", "Goat", "Monkey", "Rooster", "Dog", "Pig")
_ALL = range(1, len(SIGNS) + 1)
_RED = frozenset({1, 3, 5, 8, 10, 12})

BETS: Mapping[str, frozenset[int]] = {
    "small": frozenset(n for n in _ALL if n <= 6),
    "big": frozenset(n for n in _ALL if n > 6),
    "red": _RED,
    "black": frozenset(_ALL) - _RED,
    "odd": frozenset(n for n in _ALL if n % 2),
    "even": frozenset(n for n in _ALL if not n % 2),
    **{f"z{n}": frozenset({n}) for n in _ALL},
}
"""What can be bet on, and the signs that win it."""


def _turn(stake: int, choice: str, chance: Random) -> Play:
    drawn = chance.choice(_ALL)
    winning = BETS[choice]
    payout = stake * 95 * len(SIGNS) // (100 * len(winning)) if drawn in winning else 0
    also = [name for name, signs in BETS.items() if drawn in signs and len(signs) > 1]
    return Play(stake, payout, (f"{SIGNS[drawn - 1]} (z{drawn})", *also), choice)


GAMES = (
    Game(
        "slot",
        "1012",
        {"en": "Lucky Hearts", "cn": "幸运红心", "de": "Glücksherzen", "es": "Corazones"},
        "Three reels. Two hearts return the stake; three alike pay 3, 7, 20 or 120 times.",
        _spin,
    ),
    Game(
        "fish",
        "1014",
        {"en": "Coral Hunter", "cn": "珊瑚猎手", "de": "Korallenjäger", "es": "Cazador de corales"},
        "Your stake buys up to 20 bullets. A minnow is worth 2, a ray 5, a whale 20; unused bullets come back.",
        _shoot,
    ),
    Game(
        "zodiac",
        "1053",
        {"en": "Zodiac Table", "cn": "生肖台", "de": "Tierkreistisch", "es": "Mesa del zodiaco"},
        "Twelve signs. One sign pays 11.4 times; small or big, red or black, odd or even 1.9 times.",
        _turn,
        tuple(BETS),
    ),
)


def find_game(name: str) -> Game | None:
    """The game of this code or number."""
    return next((game for game in GAMES if name in (game.code, game.number)), None)
