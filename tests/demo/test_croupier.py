"""Whole rounds against an honest wallet: whatever happens on the way, the two sides end up with the same money."""

import asyncio
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minwallet.demo.book import GUEST_CREDIT, Book, Played
from minwallet.demo.caller import NoAnswer
from minwallet.demo.croupier import Croupier, Seat, TurnedAway
from minwallet.demo.games import GAMES, Game
from minwallet.demo.mischief import Mischief, Odds
from minwallet.demo.rounds import Ending
from minwallet.operations.verify import verify_ledger
from minwallet.protocols.registry import PROTOCOLS
from tests.demo.honest import BONUS, CASH, EVERYTHING, HonestCaller

SLOT, _, ZODIAC = GAMES
AT_ONCE = sorted(set(Mischief) - {Mischief.DELAY, Mischief.SLOW_REPLY})
AT_ODDS = dict.fromkeys(AT_ONCE, 0.25)


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """A call is repeated at once."""
    with patch("minwallet.demo.croupier.pause_s", lambda _attempt: 0):
        yield


def croupier(odds: Odds | None = None, seed: int = 1, timeout_s: float = 10) -> tuple[Croupier, HonestCaller]:
    caller = HonestCaller()
    book = Book(first_id=1, page_size=100)
    made = Croupier(caller, book, seed, 1, timeout_s)  # type: ignore[arg-type]  # it stands in for the real one
    made.odds = odds or {}
    return made, caller


async def assert_agreed(made: Croupier, caller: HonestCaller, *tokens: str) -> None:
    """Each player has what they began with and what the provider's book says; the ledger sums and chains up."""
    assert made.book.pending == {}
    for token in tokens:
        expected = CASH + BONUS + made.book.net[f"player.{token}", "USD"]
        assert await caller.has(token) == expected
    assert (await verify_ledger(caller.store, lambda _done, _total: None))["problems"] == []


odds = st.dictionaries(st.sampled_from(AT_ONCE), st.floats(0, 1))
stakes = st.sampled_from([1, 100, 5_000, 40_000, 150_000])


@settings(max_examples=60, deadline=None)
@given(odds, st.integers(), st.lists(st.tuples(st.sampled_from([*PROTOCOLS]), st.sampled_from(GAMES), stakes)))
def test_no_mischief_moves_money(odds: Odds, seed: int, wanted: list[tuple[str, Game, int]]) -> None:
    """Whatever the odds and however large the bets: every round ends, and both sides agree on what it moved."""

    async def run() -> None:
        made, caller = croupier(odds, seed)
        for protocol, game, stake in wanted:
            await made.play(await made.seat(protocol, "a"), game, stake, None)
        await assert_agreed(made, caller, "a")
        rows = made.book.report(0).rows
        assert len(rows) == sum(protocol == "vela" for protocol, _, _ in wanted)

    asyncio.run(run())


def test_players_play_side_by_side() -> None:
    """Each at their own tables, one round after another."""

    async def run() -> None:
        made, caller = croupier(AT_ODDS)
        tokens = ["a", "b", "c"]
        seats = [await made.seat(protocol, token) for token in tokens for protocol in PROTOCOLS]
        await asyncio.gather(*(made.play_on(seat, game, 100, None, 30) for seat in seats for game in GAMES))
        assert len(made.book.ended) == 3 * 2 * 3 * 30
        assert {each.ending for each in made.book.ended} == set(Ending)
        await assert_agreed(made, caller, *tokens)

    asyncio.run(run())


async def _story(seed: int) -> tuple[list[Played], list[object]]:
    made, caller = croupier(AT_ODDS, seed)
    for protocol in PROTOCOLS:
        seat = await made.seat(protocol, "a")
        for game in GAMES:
            await made.play_on(seat, game, 100, None, 20)
    return [played._replace(sent=()) for played in made.book.ended], list(caller.asked)


def test_the_same_seed_tells_the_same_story() -> None:
    """The same games, the same mischief, the same calls in the same order; another seed tells another."""
    first, again, other = (asyncio.run(_story(seed)) for seed in (1, 1, 2))
    assert first == again
    assert [each.play for each in first[0]] != [each.play for each in other[0]]


def test_mischief_does_not_change_the_games() -> None:
    """They are drawn apart, so that an honest run can be compared with a wild one."""

    async def plays(odds: Odds) -> list[object]:
        made, _ = croupier(odds)
        return [each.play for each in await made.play_on(await made.seat("vela", "a"), ZODIAC, 100, None, 20)]

    assert asyncio.run(plays({})) == asyncio.run(plays(AT_ODDS))


def test_a_guest_plays_for_nothing() -> None:
    """No wallet is called, no row reported; the virtual credit moves as money would, and is topped up."""

    async def run() -> None:
        made, caller = croupier(AT_ODDS)
        seat = await made.seat("vela", None, "guest")
        expected = GUEST_CREDIT
        for _ in range(50):
            played = await made.play(seat, ZODIAC, GUEST_CREDIT // 4, "z1")
            if expected < played.play.stake:
                expected = GUEST_CREDIT
            expected += played.net
            assert (played.ending, seat.balance) == (Ending.DONE, expected)
        assert caller.asked == []
        assert made.book.report(0).rows == []

    asyncio.run(run())


def test_a_session_the_wallet_does_not_know_cannot_play() -> None:
    """The wallet's own words say why."""

    async def run() -> None:
        made, _ = croupier()
        with pytest.raises(TurnedAway, match="session not found"):
            await made.seat("wallet-v2", "nobody")
        with pytest.raises(TurnedAway, match="Invalid Token"):
            await made.seat("vela", "nobody")

    asyncio.run(run())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_round_without_an_answer_goes_on_in_the_background(protocol: str) -> None:
    """The player is told that it is pending, a run of rounds ends there, and it is over once the wallet answers."""

    async def run() -> None:
        made, caller = croupier(timeout_s=0.003)
        seat = await made.seat(protocol, "a")
        caller.silent_about = EVERYTHING
        with pytest.raises(NoAnswer):
            await made.seat(protocol, "a")
        (played,) = await made.play_on(seat, ZODIAC, 100, None, 5)
        assert played.ending is None
        assert list(made.book.pending) == [played.id]
        caller.silent_about = ()
        await asyncio.gather(*made._tasks)
        (ended,) = made.book.ended
        assert ended.ending in {Ending.REJECTED, Ending.CANCELLED}
        await assert_agreed(made, caller, "a")

    asyncio.run(run())


def test_a_stopping_provider_leaves_what_is_pending() -> None:
    """It does not wait for a wallet that may never come back."""

    async def run() -> None:
        made, caller = croupier(timeout_s=0.003)
        seat = await made.seat("vela", "a")
        caller.silent_about = EVERYTHING
        await made.play(seat, SLOT, 100, None)
        await made.stop()
        assert len(made.book.pending) == 1

    asyncio.run(run())


def test_one_session_is_one_seat() -> None:
    """However often its page is opened."""

    async def run() -> tuple[Seat, Seat]:
        made, _ = croupier()
        return await made.seat("vela", "a"), await made.seat("vela", "a")

    first, second = asyncio.run(run())
    assert first is second
