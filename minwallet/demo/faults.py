"""Fault injection between the provider and a wallet. This module is pure: it plans a delivery and sends nothing.

Theory of operation
-------------------

1. For each attempt to send a call, `plan_delivery` draws faults at random and returns a `DeliveryPlan`.
2. `wallet_client.deliver_call` executes the plan, in this order: the calls of `before`, the delay, `copies` copies of
   the call concurrently, the calls of `after`, the calls held back by an earlier plan. If `is_held`, it holds back one
   more copy of the call until after the player's next call.
3. `round_policy.drive_round` receives the reply, or None if the plan loses it, and decides on the next call.

Each attempt consumes the same number of random numbers, whatever the rates are. So a changed rate of one fault does
not change the numbers that the next attempts get.

Rules of the plans
------------------

Each fault can also occur on a real network. With a correct wallet no fault may change the money of either side:

- The closing call overtakes the opening one only if the dealer says that a correct wallet refuses it then. A wallet
  that pays a win in an unknown round could refuse the late bet.
- A cancel is never held back. It could arrive after the round went on, and cancel a bet that was settled since.
- The provider loses the same call up to `MAX_CONSECUTIVE_LOSSES` times in a row. Then the call and its reply get
  through, so each round ends.
- If an early call of `before` has no reply, the call itself is not sent. The early call may still be on its way and
  must not arrive after the call that it overtakes.
"""

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import NamedTuple

from minwallet.demo.dealer import RoundCalls
from minwallet.protocols.wire import Call

MAX_DELAY_S = 0.02

MAX_CONSECUTIVE_LOSSES = 3
"""The maximum of attempts in a row that lose the same call. Without it a rate of 1 would keep a round open forever."""


class Fault(StrEnum):
    """The faults that can be injected."""

    LOST_REPLY = "lost-reply"
    """The wallet commits, and the provider does not receive the reply."""
    SLOW_REPLY = "slow-reply"
    """Like `LOST_REPLY`, but the provider waits for the reply until its timeout."""
    DELAY = "delay"
    """The call arrives late, by up to `MAX_DELAY_S`."""
    DUPLICATE = "duplicate"
    """The same call arrives twice, concurrently."""
    REORDER = "reorder"
    """The call, or a copy of it, arrives after the next one. If the dealer allows it, the closing call may arrive
    before the opening one."""
    CANCEL_FIRST = "cancel-first"
    """The cancel of a bet arrives before the bet."""
    WIN_TWICE = "win-twice"
    """The provider sends an accepted win again."""


FaultRates = Mapping[Fault, float]
"""The probability of each fault per attempt, from 0 to 1. A missing fault has the probability 0."""


class FaultTarget(StrEnum):
    """The call of a round that gets the faults. Only its first attempt gets them."""

    OPENING = "opening"
    CLOSING = "closing"
    """The call that pays. For a bet and win in one call, that call."""


class FaultPlan(NamedTuple):
    """The faults of one round.

    `target` None means each call of the round. With `is_lucky` the player wins more than the stake.
    """

    rates: FaultRates
    target: FaultTarget | None = None
    is_lucky: bool = False


class DeliveryPlan(NamedTuple):
    """The delivery of one attempt; see the theory of operation above.

    - `copies`: how many copies are sent now; 0 if the call is only held back.
    - `is_held`: one more copy is sent after the player's next call.
    - `is_lost`: the provider does not receive the reply.
    - `is_slow`: the provider waits until its timeout.
    - `faults`: the faults that this plan contains.
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
    """Return the delivery of the round's call. `attempt` counts the attempts in a row to send it, from 1."""
    # All random numbers are drawn first and always, so that each attempt consumes equally many of them.
    drawn = [kind for kind in Fault if rng.random() < plan.rates.get(kind, 0)]
    delay_s, coin = rng.uniform(0, MAX_DELAY_S), rng.random() < 0.5
    is_targeted = plan.target is None or (attempt == 1 and call == _target_call(plan.target, round_))
    injected = [kind for kind in drawn if is_targeted and _is_applicable(kind, round_, call, attempt)]
    reordered = Fault.REORDER in injected
    before: list[Call] = []
    if Fault.CANCEL_FIRST in injected:
        before.append(round_.cancel)
    if reordered and call == round_.opening and round_.closing and round_.closing_may_overtake:
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

# A slow reply costs a whole timeout each time it occurs.
FAST_FAULTS = tuple(kind for kind in Fault if kind is not Fault.SLOW_REPLY)


def parse_fault_rates(text: str) -> dict[Fault, float]:
    """Parse `lost-reply,delay=0.05`; `all` stands for each fault but `slow-reply`. Raise ValueError if invalid."""
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
    """Return the probabilities by fault. Raise ValueError if a name or a probability is invalid."""
    rates: dict[Fault, float] = {}
    for name, value in given.items():
        if name not in set(Fault):
            raise ValueError(f"unknown fault {name!r:.60}; use {', '.join(Fault)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            # A list or an object may be nested too deep for repr.
            shown = f" {value!r:.60}" if isinstance(value, str | int | float) else ""
            raise ValueError(f"invalid probability{shown} of {name}: must be a number from 0 to 1")
        rates[Fault(name)] = float(value)
    return rates
