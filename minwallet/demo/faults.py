"""Fault injection between a provider and a wallet, decided by chance: `plan_delivery` is pure, and sends nothing.

All of it can happen on an honest network, and none of it may cost anybody money. So an honest wallet is never led to
pay for a bet that it then refuses (a wallet-v2 win does not overtake its bet), and no copy of a call that calls off a
round arrives after the round went on.
"""

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import NamedTuple

from minwallet.demo.round_policy import RoundCalls
from minwallet.ledger.commands import Settle
from minwallet.protocols.wire import Call

MAX_DELAY_S = 0.02

MAX_CONSECUTIVE_LOSSES = 3
"""How often in a row the same call may be lost; a line that loses everything would keep a round open for ever."""


class Fault(StrEnum):
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


FaultRates = Mapping[Fault, float]
"""How likely each is to befall a call, from 0 to 1."""


class FaultTarget(StrEnum):
    """At which call of a round mischief is aimed. It strikes there when the call is sent for the first time."""

    OPENING = "opening"
    CLOSING = "closing"
    """The call that pays; where one call bets and wins, that one."""


class FaultPlan(NamedTuple):
    """How a round is to be led astray: at every call, or at one only; and whether the player has to win it."""

    rates: FaultRates
    target: FaultTarget | None = None
    is_lucky: bool = False


class DeliveryPlan(NamedTuple):
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
    faults: tuple[Fault, ...] = ()


def plan_delivery(round_: RoundCalls, call: Call, attempt: int, plan: FaultPlan, rng: Random) -> DeliveryPlan:
    """What befalls the round's call when it is sent for the nth time in a row."""
    drawn = [kind for kind in Fault if rng.random() < plan.rates.get(kind, 0)]
    delay_s, coin = rng.uniform(0, MAX_DELAY_S), rng.random() < 0.5
    is_targeted = plan.target is None or (attempt == 1 and call == _target_call(plan.target, round_))
    injected = [kind for kind in drawn if is_targeted and _is_applicable(kind, round_, call, attempt)]
    reordered = Fault.REORDER in injected
    before: list[Call] = []
    if Fault.CANCEL_FIRST in injected:
        before.append(round_.cancel)
    if reordered and call == round_.opening and round_.closing and isinstance(round_.closing.command, Settle):
        before.append(round_.closing)
    return DeliveryPlan(
        tuple(before),
        delay_s if Fault.DELAY in injected else 0,
        0 if reordered and coin else 2 if Fault.DUPLICATE in injected else 1,
        (call,) if Fault.WIN_TWICE in injected else (),
        reordered,
        not {Fault.LOST_REPLY, Fault.SLOW_REPLY}.isdisjoint(injected),
        Fault.SLOW_REPLY in injected,
        tuple(injected),
    )


def _target_call(target: FaultTarget, round_: RoundCalls) -> Call:
    return round_.closing or round_.opening if target is FaultTarget.CLOSING else round_.opening


def _is_applicable(kind: Fault, round_: RoundCalls, call: Call, attempt: int) -> bool:
    match kind:
        case Fault.LOST_REPLY | Fault.SLOW_REPLY:
            return attempt <= MAX_CONSECUTIVE_LOSSES
        case Fault.REORDER:
            return attempt <= MAX_CONSECUTIVE_LOSSES and call != round_.cancel
        case Fault.CANCEL_FIRST:
            return call == round_.opening
        case Fault.WIN_TWICE:
            return call == (round_.closing or round_.opening)
        case Fault.DELAY | Fault.DUPLICATE:
            return True


DEFAULT_FAULT_RATE = 0.2

FAST_FAULTS = tuple(kind for kind in Fault if kind is not Fault.SLOW_REPLY)


def parse_fault_rates(text: str) -> dict[Fault, float]:
    """`lost-reply,delay=0.05`, or `all` that takes no time; ValueError, in words, for anything else."""
    given: dict[str, object] = {}
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, rate = part.partition("=")
        try:
            value: object = float(rate or DEFAULT_FAULT_RATE)
        except ValueError:
            value = rate
        given |= dict.fromkeys(FAST_FAULTS if name == "all" else [name], value)
    return validate_fault_rates(given)


def validate_fault_rates(given: Mapping[str, object]) -> dict[Fault, float]:
    """Odds by the names of mischief; ValueError, in words."""
    rates: dict[Fault, float] = {}
    for name, value in given.items():
        if name not in set(Fault):
            raise ValueError(f"{name!r:.60} is no mischief; there are {', '.join(Fault)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"{name}: the odds must be a number from 0 to 1")
        rates[Fault(name)] = float(value)
    return rates
