"""How a call may be led astray between a provider and a wallet, decided by chance: `plot` is pure, and sends nothing.

All of it can happen on an honest network, and none of it may cost anybody money. So an honest wallet is never led to
pay for a bet that it then refuses (a wallet-v2 win does not overtake its bet), and no copy of a call that calls off a
round arrives after the round went on.
"""

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import NamedTuple

from minwallet.demo.rounds import Round
from minwallet.ledger.commands import Settle
from minwallet.protocols.wire import Call

LONGEST_DELAY_S = 0.02

PATIENCE = 3
"""How often in a row the same call may be lost; a line that loses everything would keep a round open for ever."""


class Mischief(StrEnum):
    """The ways to misbehave."""

    LOST_REPLY = "lost-reply"
    """The wallet commits, and the provider hears nothing of it."""
    SLOW_REPLY = "slow-reply"
    """The same, but the provider waits for the reply as long as it ever does, and gives up."""
    DELAY = "delay"
    """The call takes its time."""
    DUPLICATE = "duplicate"
    """The same call twice at once."""
    REORDER = "reorder"
    """The call, or a copy of it, arrives after the one sent next; a vela result arrives before its bet, too."""
    CANCEL_FIRST = "cancel-first"
    """The bet is called off before it arrives."""
    WIN_TWICE = "win-twice"
    """A win that was taken is sent again."""


Odds = Mapping[Mischief, float]
"""How likely each is to befall a call, from 0 to 1."""


class Aim(StrEnum):
    """At which call of a round mischief is aimed. It strikes there when the call is sent for the first time."""

    OPENING = "opening"
    CLOSING = "closing"
    """The call that pays; where one call bets and wins, that one."""


class Plan(NamedTuple):
    """How a round is to be led astray: at every call, or at one only; and whether the player has to win it."""

    odds: Odds
    aim: Aim | None = None
    is_lucky: bool = False


class Journey(NamedTuple):
    """How a call gets to the wallet: what is sent `before` it and `after` it, how many `copies` at once (0: not now),
    whether one more is held back until after the player's next call, whether the provider hears the reply, and whether
    it waits for it until its time is up.
    """

    before: tuple[Call, ...] = ()
    delay_s: float = 0
    copies: int = 1
    after: tuple[Call, ...] = ()
    is_held: bool = False
    is_lost: bool = False
    is_slow: bool = False
    mischief: tuple[Mischief, ...] = ()


def plot(round_: Round, call: Call, attempt: int, plan: Plan, chance: Random) -> Journey:
    """What befalls the round's call when it is sent for the nth time in a row."""
    drawn = [kind for kind in Mischief if chance.random() < plan.odds.get(kind, 0)]
    delay_s, coin = chance.uniform(0, LONGEST_DELAY_S), chance.random() < 0.5
    is_aimed = plan.aim is None or (attempt == 1 and call == _target(plan.aim, round_))
    struck = [kind for kind in drawn if is_aimed and _applies(kind, round_, call, attempt)]
    reordered = Mischief.REORDER in struck
    before: list[Call] = []
    if Mischief.CANCEL_FIRST in struck:
        before.append(round_.undo)
    if reordered and call == round_.opening and round_.closing and isinstance(round_.closing.command, Settle):
        before.append(round_.closing)
    return Journey(
        tuple(before),
        delay_s if Mischief.DELAY in struck else 0,
        0 if reordered and coin else 2 if Mischief.DUPLICATE in struck else 1,
        (call,) if Mischief.WIN_TWICE in struck else (),
        reordered,
        not {Mischief.LOST_REPLY, Mischief.SLOW_REPLY}.isdisjoint(struck),
        Mischief.SLOW_REPLY in struck,
        tuple(struck),
    )


def _target(aim: Aim, round_: Round) -> Call:
    return round_.closing or round_.opening if aim is Aim.CLOSING else round_.opening


def _applies(kind: Mischief, round_: Round, call: Call, attempt: int) -> bool:
    match kind:
        case Mischief.LOST_REPLY | Mischief.SLOW_REPLY:
            return attempt <= PATIENCE
        case Mischief.REORDER:
            return attempt <= PATIENCE and call != round_.undo
        case Mischief.CANCEL_FIRST:
            return call == round_.opening
        case Mischief.WIN_TWICE:
            return call == (round_.closing or round_.opening)
        case Mischief.DELAY | Mischief.DUPLICATE:
            return True


DEFAULT_ODDS = 0.2

QUICK = tuple(kind for kind in Mischief if kind is not Mischief.SLOW_REPLY)


def read_odds(text: str) -> dict[Mischief, float]:
    """`lost-reply,delay=0.05`, or `all` that takes no time; ValueError, in words, for anything else."""
    given: dict[str, object] = {}
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, odds = part.partition("=")
        try:
            value: object = float(odds or DEFAULT_ODDS)
        except ValueError:
            value = odds
        given |= dict.fromkeys(QUICK if name == "all" else [name], value)
    return check_odds(given)


def check_odds(given: Mapping[str, object]) -> dict[Mischief, float]:
    """Odds by the names of mischief; ValueError, in words."""
    odds: dict[Mischief, float] = {}
    for name, value in given.items():
        if name not in set(Mischief):
            raise ValueError(f"{name!r:.60} is no mischief; there are {', '.join(Mischief)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"{name}: the odds must be a number from 0 to 1")
        odds[Mischief(name)] = float(value)
    return odds
