"""Complete rounds against a correct wallet: with any fault, both sides end with the same balances."""

import asyncio
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minwallet.demo.faults import Fault, FaultRates
from minwallet.demo.game_rules import GAMES, DemoGame
from minwallet.demo.round_policy import RoundEnding
from minwallet.demo.round_store import INITIAL_GUEST_CREDIT, RoundRecord, RoundStore
from minwallet.demo.simulator import RoundRunner, SessionRejected
from minwallet.demo.wallet_client import NoAnswer
from minwallet.operations.verify import verify_ledger
from tests.demo.in_process_client import ALL_OPERATIONS, BONUS, CASH, PROTOCOLS, InProcessClient

pytestmark = pytest.mark.anyio

SLOT, _, ZODIAC = GAMES
INSTANT_FAULTS = sorted(set(Fault) - {Fault.DELAY, Fault.SLOW_REPLY})
INSTANT_FAULT_RATES = dict.fromkeys(INSTANT_FAULTS, 0.25)


@pytest.fixture(autouse=True)
def no_retry_delays() -> Iterator[None]:
    """Retry calls without a delay."""
    with patch("minwallet.demo.simulator.retry_delay_s", lambda _attempt: 0):
        yield


def create_runner(
    fault_rates: FaultRates | None = None, seed: int = 1, timeout_s: float = 10
) -> tuple[RoundRunner, InProcessClient]:
    client = InProcessClient()
    store = RoundStore(first_id=1, page_size=100, reported_protocols=["vela"])
    runner = RoundRunner(client, store, seed, 1, timeout_s)  # type: ignore[arg-type]  # it stands in for the real one
    runner.fault_rates = fault_rates or {}
    return runner, client


async def assert_balances_agree(runner: RoundRunner, client: InProcessClient, *tokens: str) -> None:
    """Check that each balance is the initial one plus the provider's net change, and that the ledger verifies."""
    assert runner.store.pending == {}
    for token in tokens:
        expected = CASH + BONUS + runner.store.net_changes[f"player.{token}", "USD"]
        assert await client.read_balance(token) == expected
    assert (await verify_ledger(client.store, lambda _done, _total: None))["problems"] == []


fault_rates = st.dictionaries(st.sampled_from(INSTANT_FAULTS), st.floats(0, 1))
stakes = st.sampled_from([1, 100, 5_000, 40_000, 150_000])


@settings(max_examples=60, deadline=None)
@given(fault_rates, st.integers(), st.lists(st.tuples(st.sampled_from(PROTOCOLS), st.sampled_from(GAMES), stakes)))
async def test_no_fault_changes_the_money(odds: FaultRates, seed: int, rounds: list[tuple[str, DemoGame, int]]) -> None:
    """With any fault rates and stakes, every round ends, and both sides agree on its amounts."""
    made, caller = create_runner(odds, seed)
    for protocol, game, stake in rounds:
        await made.play_round(await made.open_session(protocol, "a"), game, stake, None)
    await assert_balances_agree(made, caller, "a")
    rows = made.store.read_report_page("vela", 0).rows
    assert len(rows) == sum(protocol == "vela" for protocol, _, _ in rounds)


async def test_players_play_concurrently() -> None:
    """Each player plays several games at the same time, and each game round by round."""
    made, caller = create_runner(INSTANT_FAULT_RATES)
    tokens = ["a", "b", "c"]
    seats = [await made.open_session(protocol, token) for token in tokens for protocol in PROTOCOLS]
    await asyncio.gather(*(made.play_rounds(seat, game, 100, None, 15) for seat in seats for game in GAMES))
    assert len(made.store.completed) == 3 * 2 * 3 * 15
    assert {each.ending for each in made.store.completed} == set(RoundEnding)
    await assert_balances_agree(made, caller, *tokens)


async def _play_all_games(seed: int) -> tuple[list[RoundRecord], list[object]]:
    made, caller = create_runner(INSTANT_FAULT_RATES, seed)
    for protocol in PROTOCOLS:
        seat = await made.open_session(protocol, "a")
        for game in GAMES:
            await made.play_rounds(seat, game, 100, None, 20)
    return [played._replace(sent=()) for played in made.store.completed], list(caller.sent_calls)


async def test_the_same_seed_repeats_games_faults_and_calls() -> None:
    """The same seed gives the same games, faults and calls in the same order; another seed gives other games."""
    first, again, other = [await _play_all_games(seed) for seed in (1, 1, 2)]
    assert first == again
    assert [each.play for each in first[0]] != [each.play for each in other[0]]


async def test_faults_do_not_change_the_games() -> None:
    """Faults use their own random generator, so runs with and without faults can be compared."""

    async def plays(odds: FaultRates) -> list[object]:
        made, _ = create_runner(odds)
        return [
            each.play for each in await made.play_rounds(await made.open_session("vela", "a"), ZODIAC, 100, None, 20)
        ]

    assert await plays({}) == await plays(INSTANT_FAULT_RATES)


async def test_a_guest_plays_without_calling_the_wallet() -> None:
    """No wallet is called and no row is reported; virtual credit changes like money, and is refilled."""
    made, caller = create_runner(INSTANT_FAULT_RATES)
    seat = await made.open_session("vela", None, "guest")
    expected = INITIAL_GUEST_CREDIT
    for _ in range(50):
        played = await made.play_round(seat, ZODIAC, INITIAL_GUEST_CREDIT // 4, "z1")
        if expected < played.play.stake:
            expected = INITIAL_GUEST_CREDIT
        expected += played.net
        assert (played.ending, seat.balance) == (RoundEnding.DONE, expected)
    assert caller.sent_calls == []
    assert made.store.read_report_page("vela", 0).rows == []


async def test_a_session_the_wallet_does_not_know_cannot_play() -> None:
    """The error has the wallet's message."""
    made, _ = create_runner()
    with pytest.raises(SessionRejected, match="session not found"):
        await made.open_session("wallet-v2", "nobody")
    with pytest.raises(SessionRejected, match="Invalid Token"):
        await made.open_session("vela", "nobody")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_round_without_an_answer_goes_on_in_the_background(protocol: str) -> None:
    """The round is pending, the run of rounds stops there, and the round ends once the wallet answers."""
    made, caller = create_runner(timeout_s=0.003)
    seat = await made.open_session(protocol, "a")
    caller.unanswered_operations = ALL_OPERATIONS
    with pytest.raises(NoAnswer):
        await made.open_session(protocol, "a")
    (played,) = await made.play_rounds(seat, ZODIAC, 100, None, 5)
    assert played.ending is None
    assert list(made.store.pending) == [played.id]
    caller.unanswered_operations = ()
    await asyncio.gather(*made._tasks)
    (ended,) = made.store.completed
    assert ended.ending in {RoundEnding.REJECTED, RoundEnding.CANCELLED}
    await assert_balances_agree(made, caller, "a")


async def test_a_stopping_provider_leaves_pending_rounds() -> None:
    """It does not wait for a wallet that may never answer."""
    made, caller = create_runner(timeout_s=0.003)
    seat = await made.open_session("vela", "a")
    caller.unanswered_operations = ALL_OPERATIONS
    await made.play_round(seat, SLOT, 100, None)
    await made.stop()
    assert len(made.store.pending) == 1


async def test_the_same_token_returns_the_same_session() -> None:
    """Opening a session twice returns the same object."""
    made, _ = create_runner()
    assert await made.open_session("vela", "a") is await made.open_session("vela", "a")
