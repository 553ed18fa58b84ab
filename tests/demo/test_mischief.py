"""How calls are led astray."""

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.demo.caller import deliver
from minwallet.demo.games import GAMES
from minwallet.demo.mischief import (
    DEFAULT_ODDS,
    PATIENCE,
    QUICK,
    Aim,
    Journey,
    Mischief,
    Plan,
    check_odds,
    plot,
    read_odds,
)
from minwallet.demo.rounds import Round
from minwallet.protocols.registry import PROTOCOLS
from minwallet.protocols.wire import Call, WalletResponse
from tests.demo.honest import operations
from tests.demo.test_rounds import round_of

V2, VELA, SLOT = round_of("wallet-v2", "fish"), round_of("vela", "fish"), round_of("vela", "slot")
ALWAYS = Plan(dict.fromkeys(Mischief, 1.0))

attempts = st.integers(1, 10)
rounds = st.builds(round_of, st.sampled_from([*PROTOCOLS]), st.sampled_from([game.code for game in GAMES]))


def only(kind: Mischief, round_: Round, call: Call, seed: int = 1) -> Journey:
    return plot(round_, call, 1, Plan({kind: 1}), Random(seed))


@given(rounds, attempts, st.integers())
def test_without_odds_nothing_happens(round_: Round, attempt: int, seed: int) -> None:
    """An honest provider sends each call once, and hears its answer."""
    assert plot(round_, round_.opening, attempt, Plan({}), Random(seed)) == Journey()


def test_each_way_to_misbehave_does_what_it_says() -> None:
    """One at a time."""
    bet, win, cancel = V2.opening, V2.closing, V2.undo
    assert win is not None
    assert only(Mischief.LOST_REPLY, V2, bet).is_lost
    assert not only(Mischief.LOST_REPLY, V2, bet).is_slow
    assert only(Mischief.SLOW_REPLY, V2, bet).is_lost
    assert only(Mischief.SLOW_REPLY, V2, bet).is_slow
    assert only(Mischief.DELAY, V2, bet).delay_s > 0
    assert only(Mischief.DUPLICATE, V2, bet).copies == 2
    assert only(Mischief.CANCEL_FIRST, V2, bet).before == (cancel,)
    assert only(Mischief.CANCEL_FIRST, V2, win) == Journey()
    assert only(Mischief.WIN_TWICE, V2, win).after == (win,)
    assert only(Mischief.WIN_TWICE, V2, bet) == Journey()
    assert only(Mischief.WIN_TWICE, SLOT, SLOT.opening).after == (SLOT.opening,)
    assert {only(Mischief.REORDER, V2, bet, seed).copies for seed in range(20)} == {0, 1}
    assert only(Mischief.REORDER, V2, bet).is_held


@pytest.mark.parametrize("round_", [V2, VELA, SLOT])
def test_mischief_can_be_aimed_at_one_call(round_: Round) -> None:
    """At the call that opens the round or at the one that pays, and only when it is sent for the first time."""
    paying = round_.closing or round_.opening
    for aim, target in ((Aim.OPENING, round_.opening), (Aim.CLOSING, paying)):
        plan = Plan({Mischief.LOST_REPLY: 1}, aim)
        struck = [
            (call, attempt)
            for call in {round_.opening, paying, round_.undo}
            for attempt in (1, 2)
            if plot(round_, call, attempt, plan, Random(1)).is_lost
        ]
        assert struck == [(target, 1)]


def test_a_result_may_overtake_its_bet_and_a_win_may_not() -> None:
    """An honest wallet refuses the one, and pays the other."""
    assert only(Mischief.REORDER, VELA, VELA.opening).before == (VELA.closing,)
    assert only(Mischief.REORDER, V2, V2.opening).before == ()


@given(rounds, attempts, st.integers())
def test_what_calls_a_round_off_is_never_late(round_: Round, attempt: int, seed: int) -> None:
    """It could call off what has been settled since."""
    assert not plot(round_, round_.undo, attempt, ALWAYS, Random(seed)).is_held


@given(rounds, st.integers(PATIENCE + 1, 100), st.integers())
def test_no_line_loses_everything(round_: Round, attempt: int, seed: int) -> None:
    """However likely a loss is, after a few repetitions the call gets through and its answer back."""
    for call in filter(None, round_[1:]):
        assert isinstance(call, Call)
        journey = plot(round_, call, attempt, ALWAYS, Random(seed))
        assert journey.copies > 0
        assert not journey.is_lost


def journey_of(call: Call, journey: Journey, held: list[Call]) -> tuple[list[str], WalletResponse | None]:
    """What arrives at the wallet, and what the provider hears."""
    arrived: list[Call] = []

    async def ask(each: Call) -> WalletResponse:
        arrived.append(each)
        return WalletResponse(len(arrived))

    heard = asyncio.run(deliver(call, journey, ask, held, timeout_s=0))
    return operations(arrived), heard


def test_calls_arrive_in_the_order_of_their_journey() -> None:
    """What comes before, the copies, what comes after, and last what was held back earlier."""
    held = [V2.opening]
    journey = Journey(before=(V2.undo,), copies=2, after=(V2.undo,))
    assert V2.closing is not None
    arrived, heard = journey_of(V2.closing, journey, held)
    assert arrived == ["cancel", "win", "win", "cancel", "bet"]
    assert heard == WalletResponse(2)
    assert held == []


def test_what_comes_before_a_call_does_not_come_after_it() -> None:
    """A cancel of which nobody heard may be on its way still: then the bet stays at home, and is called off."""
    arrived: list[Call] = []

    async def silent(each: Call) -> None:
        arrived.append(each)

    assert asyncio.run(deliver(V2.opening, Journey(before=(V2.undo,)), silent, [], timeout_s=0)) is None
    assert operations(arrived) == ["cancel"]


def test_a_call_may_be_held_back_until_after_the_next() -> None:
    """Its copy, or the call itself, of which the provider then hears nothing."""
    held: list[Call] = []
    assert journey_of(V2.opening, Journey(copies=0, is_held=True), held) == ([], None)
    assert held == [V2.opening]
    assert journey_of(V2.undo, Journey(), held) == (["cancel", "bet"], WalletResponse(1))
    assert journey_of(V2.opening, Journey(is_held=True), held) == (["bet"], WalletResponse(1))
    assert held == [V2.opening]


def test_a_lost_reply_is_not_heard() -> None:
    """The call arrives all the same."""
    assert journey_of(V2.opening, Journey(is_lost=True), []) == (["bet"], None)


def test_a_slow_reply_is_waited_for_in_vain() -> None:
    """As long as the provider waits for any; the wallet has carried the call out meanwhile."""
    arrived: list[Call] = []

    async def run() -> tuple[WalletResponse | None, float]:
        async def ask(each: Call) -> WalletResponse:
            arrived.append(each)
            return WalletResponse(0)

        started = asyncio.get_running_loop().time()
        heard = await deliver(V2.opening, Journey(is_lost=True, is_slow=True), ask, [], timeout_s=0.05)
        return heard, asyncio.get_running_loop().time() - started

    heard, waited_s = asyncio.run(run())
    assert (heard, operations(arrived)) == (None, ["bet"])
    assert waited_s >= 0.05


def test_odds_are_read() -> None:
    """Names with odds or without, or all that takes no time."""
    assert read_odds("") == {}
    assert read_odds("lost-reply, delay=0.05") == {Mischief.LOST_REPLY: DEFAULT_ODDS, Mischief.DELAY: 0.05}
    assert read_odds("all") == dict.fromkeys(QUICK, DEFAULT_ODDS)
    assert set(Mischief) - set(QUICK) == {Mischief.SLOW_REPLY}
    assert read_odds("all=0.5,delay=0")[Mischief.REORDER] == 0.5


@pytest.mark.parametrize("text", ["nonsense", "delay=2", "delay=-1", "delay=x", "delay=nan", "=", "all,other"])
def test_strange_odds_are_named(text: str) -> None:
    """In words, with what there is."""
    with pytest.raises(ValueError, match=r"no mischief; there are lost-reply|from 0 to 1"):
        read_odds(text)
    with pytest.raises(ValueError, match=r"from 0 to 1"):
        check_odds({"delay": True})
