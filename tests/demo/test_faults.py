"""Fault injection into the provider's calls."""

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.demo.dealer import RoundCalls
from minwallet.demo.faults import (
    DEFAULT_FAULT_RATE,
    FAST_FAULTS,
    MAX_CONSECUTIVE_LOSSES,
    DeliveryPlan,
    Fault,
    FaultPlan,
    FaultTarget,
    parse_fault_rates,
    plan_delivery,
    validate_fault_rates,
)
from minwallet.demo.game_rules import GAMES
from minwallet.demo.wallet_client import deliver_call
from minwallet.protocols.wire import Call, WalletResponse
from tests.demo.in_process_client import PROTOCOLS, list_operations
from tests.demo.test_round_policy import build_test_round

V2, VELA, SLOT = (
    build_test_round("wallet-v2", "fish"),
    build_test_round("vela", "fish"),
    build_test_round("vela", "slot"),
)
ALL_FAULTS = FaultPlan(dict.fromkeys(Fault, 1.0))

attempts = st.integers(1, 10)
rounds = st.builds(build_test_round, st.sampled_from(PROTOCOLS), st.sampled_from([game.code for game in GAMES]))


def plan_single_fault(kind: Fault, round_: RoundCalls, call: Call, seed: int = 1) -> DeliveryPlan:
    return plan_delivery(round_, call, 1, FaultPlan({kind: 1}), Random(seed))


@given(rounds, attempts, st.integers())
def test_no_rates_inject_no_fault(round_: RoundCalls, attempt: int, seed: int) -> None:
    """Without faults, each call is sent once and its answer is received."""
    assert plan_delivery(round_, round_.opening, attempt, FaultPlan({}), Random(seed)) == DeliveryPlan()


def test_each_fault_changes_the_delivery_plan() -> None:
    """Each fault has its own effect on the plan."""
    bet, win, cancel = V2.opening, V2.closing, V2.cancel
    assert win is not None
    assert plan_single_fault(Fault.LOST_REPLY, V2, bet).is_lost
    assert not plan_single_fault(Fault.LOST_REPLY, V2, bet).is_slow
    assert plan_single_fault(Fault.SLOW_REPLY, V2, bet).is_lost
    assert plan_single_fault(Fault.SLOW_REPLY, V2, bet).is_slow
    assert plan_single_fault(Fault.DELAY, V2, bet).delay_s > 0
    assert plan_single_fault(Fault.DUPLICATE, V2, bet).copies == 2
    assert plan_single_fault(Fault.CANCEL_FIRST, V2, bet).before == (cancel,)
    assert plan_single_fault(Fault.CANCEL_FIRST, V2, win) == DeliveryPlan()
    assert plan_single_fault(Fault.WIN_TWICE, V2, win).after == (win,)
    assert plan_single_fault(Fault.WIN_TWICE, V2, bet) == DeliveryPlan()
    assert plan_single_fault(Fault.WIN_TWICE, SLOT, SLOT.opening).after == (SLOT.opening,)
    assert {plan_single_fault(Fault.REORDER, V2, bet, seed).copies for seed in range(20)} == {0, 1}
    assert plan_single_fault(Fault.REORDER, V2, bet).is_held


@pytest.mark.parametrize("round_", [V2, VELA, SLOT])
def test_faults_can_target_one_call(round_: RoundCalls) -> None:
    """A fault can target the first delivery of the call that opens the round, or of the call that pays."""
    paying = round_.closing or round_.opening
    for fault_target, target in ((FaultTarget.OPENING, round_.opening), (FaultTarget.CLOSING, paying)):
        plan = FaultPlan({Fault.LOST_REPLY: 1}, fault_target)
        injected = [
            (call, attempt)
            for call in {round_.opening, paying, round_.cancel}
            for attempt in (1, 2)
            if plan_delivery(round_, call, attempt, plan, Random(1)).is_lost
        ]
        assert injected == [(target, 1)]


def test_a_result_may_overtake_its_bet_and_a_win_may_not() -> None:
    """A correct wallet refuses a result before its bet, but pays a win before its bet."""
    assert plan_single_fault(Fault.REORDER, VELA, VELA.opening).before == (VELA.closing,)
    assert plan_single_fault(Fault.REORDER, V2, V2.opening).before == ()


@given(rounds, attempts, st.integers())
def test_a_cancel_is_never_reordered(round_: RoundCalls, attempt: int, seed: int) -> None:
    """A late cancel could cancel a bet that is already settled."""
    assert not plan_delivery(round_, round_.cancel, attempt, ALL_FAULTS, Random(seed)).is_held


@given(rounds, st.integers(MAX_CONSECUTIVE_LOSSES + 1, 100), st.integers())
def test_consecutive_losses_are_limited(round_: RoundCalls, attempt: int, seed: int) -> None:
    """After a few retries the call and its answer arrive, however high the loss rate."""
    for call in filter(None, round_[1:4]):
        assert isinstance(call, Call)
        journey = plan_delivery(round_, call, attempt, ALL_FAULTS, Random(seed))
        assert journey.copies > 0
        assert not journey.is_lost


async def run_delivery(call: Call, plan: DeliveryPlan, held: list[Call]) -> tuple[list[str], WalletResponse | None]:
    """Deliver the call by the plan, and return the operations that arrive and the provider's answer."""
    arrived: list[Call] = []

    async def ask(each: Call) -> WalletResponse:
        arrived.append(each)
        return WalletResponse(len(arrived))

    heard = await deliver_call(call, plan, ask, held, timeout_s=0)
    return list_operations(arrived), heard


@pytest.mark.anyio
async def test_calls_arrive_in_the_order_of_the_plan() -> None:
    """The order is: earlier calls, all copies, later calls, and last the calls that were held back before."""
    held = [V2.opening]
    journey = DeliveryPlan(before=(V2.cancel,), copies=2, after=(V2.cancel,))
    assert V2.closing is not None
    arrived, heard = await run_delivery(V2.closing, journey, held)
    assert arrived == ["cancel", "win", "win", "cancel", "bet"]
    assert heard == WalletResponse(2)
    assert held == []


@pytest.mark.anyio
async def test_an_unanswered_earlier_call_stops_the_delivery() -> None:
    """A cancel without an answer may still arrive, so the bet is not sent."""
    arrived: list[Call] = []

    async def silent(each: Call) -> None:
        arrived.append(each)

    assert await deliver_call(V2.opening, DeliveryPlan(before=(V2.cancel,)), silent, [], timeout_s=0) is None
    assert list_operations(arrived) == ["cancel"]


@pytest.mark.anyio
async def test_a_call_may_be_held_back_until_after_the_next() -> None:
    """The call or a copy of it is held back; the provider gets no answer to a call that is held back."""
    held: list[Call] = []
    assert await run_delivery(V2.opening, DeliveryPlan(copies=0, is_held=True), held) == ([], None)
    assert held == [V2.opening]
    assert await run_delivery(V2.cancel, DeliveryPlan(), held) == (["cancel", "bet"], WalletResponse(1))
    assert await run_delivery(V2.opening, DeliveryPlan(is_held=True), held) == (["bet"], WalletResponse(1))
    assert held == [V2.opening]


@pytest.mark.anyio
async def test_a_lost_reply_returns_no_answer() -> None:
    """The call arrives, but the provider gets no answer."""
    assert await run_delivery(V2.opening, DeliveryPlan(is_lost=True), []) == (["bet"], None)


@pytest.mark.anyio
async def test_a_slow_reply_times_out() -> None:
    """The provider waits for its timeout; the wallet executes the call."""
    arrived: list[Call] = []

    async def ask(each: Call) -> WalletResponse:
        arrived.append(each)
        return WalletResponse(0)

    clock = asyncio.get_running_loop().time
    started = clock()
    heard = await deliver_call(V2.opening, DeliveryPlan(is_lost=True, is_slow=True), ask, [], timeout_s=0.05)
    # The clock of uvloop counts whole milliseconds.
    assert clock() - started >= 0.049
    assert (heard, list_operations(arrived)) == (None, ["bet"])


def test_fault_rates_are_parsed() -> None:
    """The text has names of faults with or without rates, or `all` for the faults that take no time."""
    assert parse_fault_rates("") == {}
    assert parse_fault_rates("lost-reply, delay=0.05") == {Fault.LOST_REPLY: DEFAULT_FAULT_RATE, Fault.DELAY: 0.05}
    assert parse_fault_rates("all") == dict.fromkeys(FAST_FAULTS, DEFAULT_FAULT_RATE)
    assert set(Fault) - set(FAST_FAULTS) == {Fault.SLOW_REPLY}
    assert parse_fault_rates("all=0.5,delay=0")[Fault.REORDER] == 0.5


@pytest.mark.parametrize("text", ["nonsense", "delay=2", "delay=-1", "delay=x", "delay=nan", "=", "all,other"])
def test_invalid_fault_rates_are_rejected(text: str) -> None:
    """The message lists the faults, or the range of a rate."""
    with pytest.raises(ValueError, match=r"unknown fault '.*'; use lost-reply|from 0 to 1"):
        parse_fault_rates(text)
    with pytest.raises(ValueError, match=r"from 0 to 1"):
        validate_fault_rates({"delay": True})
