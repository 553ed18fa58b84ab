"""The rules of the demo games."""

from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.demo.game_rules import (
    FISH,
    GAMES,
    MAX_STAKE,
    REEL_SYMBOLS,
    ZODIAC_BETS,
    ZODIAC_SIGNS,
    DemoGame,
    find_game,
    slot_multiplier,
)

games = st.sampled_from(GAMES)


@given(games, st.integers(1, MAX_STAKE), st.integers(), st.data())
def test_a_game_is_played_in_whole_cents(game: DemoGame, stake: int, seed: int, data: st.DataObject) -> None:
    """The stake is the amount staked, the payout is not negative, and the used part of a buy-in is at most the
    stake."""
    play = game.play(stake, data.draw(st.sampled_from(game.choices)), Random(seed))
    assert (play.stake, type(play.payout)) == (stake, int)
    assert play.payout >= 0
    assert play.shown
    if play.used is not None:
        assert 0 < play.used <= stake
        assert play.payout >= stake - play.used


@given(games, st.integers(1, MAX_STAKE), st.integers())
def test_the_same_random_state_gives_the_same_result(game: DemoGame, stake: int, seed: int) -> None:
    """The result depends on stake, choice and random numbers only."""
    first, second = (game.play(stake, game.choices[0], Random(seed)) for _ in range(2))
    assert first == second


def test_the_slot_returns_about_95_percent() -> None:
    """This is the mean over all lines of its reels."""
    lines = ["".join(symbols) for symbols in product(REEL_SYMBOLS, repeat=3)]
    assert 0.94 < sum(map(slot_multiplier, lines)) / len(lines) < 0.96


def test_the_fish_game_returns_95_percent_of_the_bullets_used() -> None:
    """This is the mean prize of a bullet over all that it can hit."""
    assert sum(often for often, _ in FISH.values()) == 100
    assert sum(often * worth for often, worth in FISH.values()) == 95


@pytest.mark.parametrize("choice", ZODIAC_BETS)
def test_every_bet_of_the_zodiac_returns_95_percent(choice: str) -> None:
    """This is the mean over the twelve signs, for every choice."""
    (game,) = [game for game in GAMES if game.code == "zodiac"]
    paid = {(play := game.play(1000, choice, Random(seed))).shown[0]: play.payout for seed in range(500)}
    assert len(paid) == len(ZODIAC_SIGNS)
    assert sum(paid.values()) == 950 * len(ZODIAC_SIGNS)


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.code)
def test_the_long_run_return_is_below_100_percent(game: DemoGame) -> None:
    """This holds over 20,000 games with one random generator; only the used part of a buy-in counts."""
    chance = Random(7)
    plays = [game.play(1000, chance.choice(game.choices), chance) for _ in range(20_000)]
    used = sum(play.stake if play.used is None else play.used for play in plays)
    lost = sum(play.stake - play.payout for play in plays)
    assert 0.90 < 1 - lost / used < 1.0


def test_games_are_found_by_code_and_number() -> None:
    """vela uses the code of a game, wallet-v2 its number."""
    for game in GAMES:
        assert find_game(game.code) is game
        assert find_game(game.number) is game
    assert find_game("roulette") is None
