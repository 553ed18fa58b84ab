"""What a round says, and the policy that sees it through."""

from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.demo.games import GAMES, Game, Play, find_game
from minwallet.demo.rounds import LONGEST_PAUSE_S, Ending, Round, deal, greet, pause_s, see_through
from minwallet.ledger.commands import Authenticate, Balance, Bet, BetWin, Cancel, Settle, Win
from minwallet.protocols.registry import PROTOCOLS
from minwallet.protocols.wire import Call, WalletResponse
from tests.demo.honest import operations

DONE, CANCELLED, REJECTED = Ending


def round_of(protocol: str, code: str) -> Round:
    game = find_game(code)
    assert game
    return deal(protocol, "t", game, game.play(100, game.choices[0], Random(1)), count(7))


def test_a_slot_in_vela_is_one_call() -> None:
    """Bet and win in one."""
    game = GAMES[0]
    round_ = deal("vela", "t", game, Play(100, 300, ()), count(7))
    assert round_ == Round(
        "7", Call("betwin", "t", BetWin("7", 100, 300, "slot")), None, Call("refund", "t", Cancel("7"))
    )


def test_the_other_games_of_vela_bet_and_have_a_result() -> None:
    """The shooting game says what was used, the zodiac table what was bet on."""
    shooting = deal("vela", "t", GAMES[1], Play(100, 60, (), used=50), count(7))
    assert shooting.opening.command == Bet("7", 100, "7", "fish")
    assert shooting.closing == Call("result", "t", Settle("7", 60, "fish", '{"total_used": 50}'))
    table = deal("vela", "t", GAMES[2], Play(100, 0, (), "small"), count(7))
    assert table.opening == Call("bet", "t", Bet("7", 100, "7", "zodiac", '{"key": "small"}'))
    assert table.closing == Call("result", "t", Settle("7", 0, "zodiac"))


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.code)
def test_a_round_of_wallet_v2_is_named_after_its_bet(game: Game) -> None:
    """The win has an id of its own and the bet's as `round_id`; the game is a number."""
    assert deal("wallet-v2", "t", game, Play(100, 0, ()), count(7)) == Round(
        "7",
        Call("bet", "t", Bet("7", 100, "7", game.number)),
        Call("win", "t", Win("8", 0, "7", game.number)),
        Call("cancel", "t", Cancel("7", "7")),
    )


def test_together_the_games_use_every_call() -> None:
    """Nothing of either specification goes unused."""
    for protocol, every in (
        ("wallet-v2", {"credit", "bet", "win", "cancel"}),
        ("vela", {"authenticate", "bet", "result", "refund", "betwin"}),
    ):
        rounds = [round_of(protocol, game.code) for game in GAMES]
        said = {call.operation for round_ in rounds for call in round_[1:] if isinstance(call, Call)}
        assert said | {greet(protocol, "t").operation} == every
    assert greet("wallet-v2", "t").command == Balance()
    assert greet("vela", "t").command == Authenticate()


@pytest.mark.parametrize(
    ("protocol", "game", "codes", "said", "ending"),
    [
        ("wallet-v2", "slot", [0, 0], "bet win", DONE),
        ("wallet-v2", "slot", [105], "bet", REJECTED),
        # A time-out: the bet is called off, until that is answered.
        ("wallet-v2", "slot", [None, 0], "bet cancel", CANCELLED),
        ("wallet-v2", "slot", [None, None, None, 0], "bet cancel cancel cancel", CANCELLED),
        # "A winning has to be taken."
        ("wallet-v2", "slot", [0, None, 110, None, 0], "bet win win win win", DONE),
        # Nobody to call it off for: the bet, asked again, says so.
        ("wallet-v2", "slot", [None, 102, 102], "bet cancel bet", REJECTED),
        ("vela", "fish", [0, 0], "bet result", DONE),
        ("vela", "fish", [0, None, 2, 0], "bet result result result", DONE),
        ("vela", "fish", [3], "bet", REJECTED),
        ("vela", "fish", [None, 0], "bet refund", CANCELLED),
        ("vela", "fish", [None, 2, None, 2], "bet refund bet bet", REJECTED),
        ("vela", "slot", [0], "betwin", DONE),
        ("vela", "slot", [3], "betwin", REJECTED),
        # A bet and win in one is asked a few times, then called off.
        ("vela", "slot", [None, None, 0], "betwin betwin betwin", DONE),
        ("vela", "slot", [None, None, None, 0], "betwin betwin betwin refund", CANCELLED),
        # What cannot be called off either never was, or stands because its win is spent.
        ("vela", "slot", [None, None, None, 2, 2], "betwin betwin betwin refund betwin", REJECTED),
        ("vela", "slot", [None, None, None, None, 2, 0], "betwin betwin betwin refund refund betwin", DONE),
    ],
)
def test_a_round_goes_on_until_it_is_over(
    protocol: str, game: str, codes: list[int | None], said: str, ending: Ending
) -> None:
    """Whatever the wallet answers, and where it does not."""
    answers = [None if code is None else WalletResponse(code) for code in codes]
    script = see_through(round_of(protocol, game))
    calls = [next(script), *map(script.send, answers[:-1])]
    with pytest.raises(StopIteration) as over:
        script.send(answers[-1])
    assert operations(calls) == said.split()
    assert over.value.value == ending


@given(st.sampled_from([*PROTOCOLS]), st.sampled_from(GAMES), st.lists(st.none() | st.integers(0, 3)))
def test_no_round_ends_on_an_unheard_answer(protocol: str, game: Game, codes: list[int | None]) -> None:
    """Every ending rests on what the wallet said last: done and cancelled on a success, rejected on a refusal."""
    script = see_through(round_of(protocol, game.code))
    next(script)
    for code in codes:
        try:
            script.send(None if code is None else WalletResponse(code))
        except StopIteration as over:
            ending, said = over.value, code
            break
    else:
        return  # it is not over
    assert said is not None
    assert (ending is REJECTED) == (said != 0)


def test_pauses_grow() -> None:
    """None before the first repetition, then longer and longer, up to a bound."""
    pauses = [pause_s(attempt) for attempt in range(1, 1000)]
    assert pauses[:2] == [0, 0]
    assert pauses == sorted(pauses)
    assert pauses[2] > 0
    assert pauses[-1] == LONGEST_PAUSE_S
