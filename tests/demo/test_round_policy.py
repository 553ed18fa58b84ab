"""The calls of a round, and the policy that drives a round to its ending."""

from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.demo.dealer import RoundCalls, load_dealer
from minwallet.demo.game_rules import GAMES, DemoGame, GameResult, find_game
from minwallet.demo.round_policy import MAX_RETRY_DELAY_S, RoundEnding, drive_round, retry_delay_s
from minwallet.ledger.commands import Authenticate, Balance, Bet, BetWin, Cancel, Settle, Win
from minwallet.protocols.wire import Call, WalletResponse
from tests.demo.in_process_client import PROTOCOLS, list_operations

DONE, CANCELLED, REJECTED = RoundEnding


def build_test_round(protocol: str, code: str) -> RoundCalls:
    game = find_game(code)
    assert game
    return load_dealer(protocol).build_round("t", game, game.play(100, game.choices[0], Random(1)), count(7))


def test_a_slot_in_vela_is_one_call() -> None:
    """The call is a betwin."""
    game = GAMES[0]
    round_ = load_dealer("vela").build_round("t", game, GameResult(100, 300, ()), count(7))
    assert round_ == RoundCalls(
        "7", Call("betwin", "t", BetWin("7", 100, 300, "slot")), None, Call("refund", "t", Cancel("7"))
    )


def test_the_other_vela_games_use_bet_and_result() -> None:
    """The fish game sends the bullets used, the zodiac game the sign."""
    shooting = load_dealer("vela").build_round("t", GAMES[1], GameResult(100, 60, (), used=50), count(7))
    assert shooting.opening.command == Bet("7", 100, "7", "fish")
    assert shooting.closing == Call("result", "t", Settle("7", 60, "fish", '{"total_used": 50}'))
    table = load_dealer("vela").build_round("t", GAMES[2], GameResult(100, 0, (), "small"), count(7))
    assert table.opening == Call("bet", "t", Bet("7", 100, "7", "zodiac", '{"key": "small"}'))
    assert table.closing == Call("result", "t", Settle("7", 0, "zodiac"))


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.code)
def test_a_wallet_v2_round_has_the_id_of_its_bet(game: DemoGame) -> None:
    """A win has its own id and the bet's id as `round_id`; the game is a number."""
    assert load_dealer("wallet-v2").build_round("t", game, GameResult(100, 0, ()), count(7)) == RoundCalls(
        "7",
        Call("bet", "t", Bet("7", 100, "7", game.number)),
        Call("win", "t", Win("8", 0, "7", game.number)),
        Call("cancel", "t", Cancel("7", "7")),
    )


def test_the_games_use_every_operation() -> None:
    """The games together use all operations of both protocols."""
    for protocol, every in (
        ("wallet-v2", {"credit", "bet", "win", "cancel"}),
        ("vela", {"authenticate", "bet", "result", "refund", "betwin"}),
    ):
        rounds = [build_test_round(protocol, game.code) for game in GAMES]
        said = {call.operation for round_ in rounds for call in round_[1:] if isinstance(call, Call)}
        assert said | {load_dealer(protocol).build_session_call("t").operation} == every
    assert load_dealer("wallet-v2").build_session_call("t").command == Balance()
    assert load_dealer("vela").build_session_call("t").command == Authenticate()


@pytest.mark.parametrize(
    ("protocol", "game", "codes", "said", "ending"),
    [
        ("wallet-v2", "slot", [0, 0], "bet win", DONE),
        ("wallet-v2", "slot", [105], "bet", REJECTED),
        # After a timeout the bet is cancelled, until a cancel is answered.
        ("wallet-v2", "slot", [None, 0], "bet cancel", CANCELLED),
        ("wallet-v2", "slot", [None, None, None, 0], "bet cancel cancel cancel", CANCELLED),
        # "A winning has to be taken."
        ("wallet-v2", "slot", [0, None, 110, None, 0], "bet win win win win", DONE),
        # The session is unknown, so the cancel is refused; the repeated bet confirms it.
        ("wallet-v2", "slot", [None, 102, 102], "bet cancel bet", REJECTED),
        ("vela", "fish", [0, 0], "bet result", DONE),
        ("vela", "fish", [0, None, 2, 0], "bet result result result", DONE),
        ("vela", "fish", [3], "bet", REJECTED),
        ("vela", "fish", [None, 0], "bet refund", CANCELLED),
        ("vela", "fish", [None, 2, None, 2], "bet refund bet bet", REJECTED),
        ("vela", "slot", [0], "betwin", DONE),
        ("vela", "slot", [3], "betwin", REJECTED),
        # A betwin is sent a few times, then cancelled.
        ("vela", "slot", [None, None, 0], "betwin betwin betwin", DONE),
        ("vela", "slot", [None, None, None, 0], "betwin betwin betwin refund", CANCELLED),
        # A refused refund means that the betwin was not applied, or that its win is spent. A retry tells which.
        ("vela", "slot", [None, None, None, 2, 2], "betwin betwin betwin refund betwin", REJECTED),
        ("vela", "slot", [None, None, None, None, 2, 0], "betwin betwin betwin refund refund betwin", DONE),
    ],
)
def test_a_round_is_driven_to_its_ending(
    protocol: str, game: str, codes: list[int | None], said: str, ending: RoundEnding
) -> None:
    """The policy has a next call or an ending for each answer, and for none."""
    answers = [None if code is None else WalletResponse(code) for code in codes]
    script = drive_round(build_test_round(protocol, game))
    calls = [next(script), *map(script.send, answers[:-1])]
    with pytest.raises(StopIteration) as over:
        script.send(answers[-1])
    assert list_operations(calls) == said.split()
    assert over.value.value == ending


@given(st.sampled_from(PROTOCOLS), st.sampled_from(GAMES), st.lists(st.none() | st.integers(0, 3)))
def test_no_round_ends_without_an_answer(protocol: str, game: DemoGame, codes: list[int | None]) -> None:
    """Each ending follows from the last answer: done and cancelled from a success, rejected from a refusal."""
    script = drive_round(build_test_round(protocol, game.code))
    next(script)
    for code in codes:
        try:
            script.send(None if code is None else WalletResponse(code))
        except StopIteration as over:
            ending, said = over.value, code
            break
    else:
        return  # the round has not ended
    assert said is not None
    assert (ending is REJECTED) == (said != 0)


def test_retry_delays_grow_up_to_a_maximum() -> None:
    """The first retry is immediate; later delays grow up to a maximum."""
    pauses = [retry_delay_s(attempt) for attempt in range(1, 1000)]
    assert pauses[:2] == [0, 0]
    assert pauses == sorted(pauses)
    assert pauses[2] > 0
    assert pauses[-1] == MAX_RETRY_DELAY_S
