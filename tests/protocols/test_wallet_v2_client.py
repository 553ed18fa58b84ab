"""wallet-v2, the caller's half: building requests and reading replies."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.commands import (
    Authenticate,
    Balance,
    Bet,
    BetWin,
    Cancel,
    Command,
    Deposit,
    Settle,
    Win,
    Withdraw,
)
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.protocols.wallet_v2 import WalletV2
from minwallet.protocols.wire import Call, WalletResponse

PROTOCOL = WalletV2()
NOW_MS, NOW = 1_695_266_603_000, "21-09-2023 03:23:23"

ids = st.integers(0, MAX_ID).map(str)
cents = st.integers(0, MAX_CENTS)
names = st.text(min_size=1, max_size=64).filter(lambda text: text.isprintable() and not text.isdigit())
games = names | st.integers(0, MAX_ID).map(str)
tokens = st.text(max_size=40)
calls = st.one_of(
    st.builds(Call, st.just("credit"), tokens, st.just(Balance())),
    st.builds(Call, st.just("bet"), tokens, st.builds(Bet, ids, cents, ids, games, st.none())),
    st.builds(Call, st.just("win"), tokens, st.builds(Win, ids, cents, st.none() | ids, games)),
    st.builds(Call, st.just("cancel"), tokens, st.builds(Cancel, ids, st.none() | ids)),
)


@given(calls)
def test_what_is_built_is_understood(call: Call) -> None:
    """Every call survives the way over the wire."""
    exchange = PROTOCOL.build_request(call, NOW_MS)
    assert PROTOCOL.parse("", exchange.body) == call


@pytest.mark.parametrize("game", ["007", str(MAX_ID + 1), "1" * 64])
def test_a_game_whose_name_is_made_of_digits_survives(game: str) -> None:
    """Only what a number means completely may be sent as one."""
    call = Call("bet", "t", Bet("3", 500, "3", game))
    assert PROTOCOL.parse("", PROTOCOL.build_request(call, NOW_MS).body) == call


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        (Call("credit", "t", Balance()), {}),
        (Call("bet", "t", Bet("3", 500, "2", "1012")), {"bet": 500, "game": 1012, "id": 3, "round_id": 2}),
        (Call("bet", "t", Bet("3", 500, "3", "slot")), {"bet": 500, "game": "slot", "id": 3, "round_id": 3}),
        (Call("win", "t", Win("4", 50, None, "1012")), {"win": 50, "game": 1012, "id": 4}),
        (Call("win", "t", Win("4", 50, "3", "1012")), {"win": 50, "game": 1012, "id": 4, "round_id": 3}),
        (Call("cancel", "t", Cancel("3")), {"id": 3}),
        (Call("cancel", "t", Cancel("3", "2")), {"id": 3, "round_id": 2}),
    ],
)
def test_a_request_is_built_as_the_specification_shows_it(call: Call, fields: dict[str, Any]) -> None:
    """Numbers are numbers, and code, type and time go with every request."""
    exchange = PROTOCOL.build_request(call, NOW_MS)
    assert (exchange.method, exchange.path, exchange.query) == ("POST", "/wallet", b"")
    assert json.loads(exchange.body) == {"code": "t", "type": call.operation, "time": NOW, **fields}


def test_a_request_can_name_the_agent() -> None:
    """The wallet token goes into the path."""
    assert PROTOCOL.build_request(Call("credit", "t", Balance()), NOW_MS, "agent_1").path == "/wallet/agent_1"


@pytest.mark.parametrize(
    "command", [Authenticate(), Settle("3", 1), BetWin("3", 1, 1), Deposit("r", 1), Withdraw("r", 1)]
)
def test_what_the_protocol_does_not_have_cannot_be_built(command: Command) -> None:
    """A mistake of the caller's, named."""
    with pytest.raises(ValueError, match=f"wallet-v2 has no {type(command).__name__}"):
        PROTOCOL.build_request(Call("credit", "t", command), NOW_MS)


def parse_response(body: object) -> WalletResponse:
    return PROTOCOL.parse_response(body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (
            {"credit": 100000, "player_id": "usr-1", "result": 1, "time": NOW, "currency": "USD"},
            WalletResponse(0, None, 100000, None, "usr-1", "USD"),
        ),
        ({"credit": 99500, "result": 1}, WalletResponse(0, None, 99500)),
        ({"result": 0, "err_code": 105, "err_desc": "no money", "credit": 4}, WalletResponse(105, "no money", 4)),
        ({"result": 2, "err_code": 7}, WalletResponse(7)),
        ({"err_code": 7}, WalletResponse(7)),
    ],
)
def test_a_reply_is_read(body: dict[str, Any], answer: WalletResponse) -> None:
    """`result` 1 is success; "any other number" is not, and then the code is the wallet's own."""
    assert parse_response(body) == answer


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ([], "not a JSON object"),
        ({}, "err_code"),
        ({"result": 0}, "err_code"),
        ({"result": 0, "err_code": "105"}, "err_code"),
        ({"result": 0, "err_code": True}, "err_code"),
        ({"result": 0, "err_code": 105, "credit": "4"}, "credit"),
        ({"result": 1}, "credit"),
        ({"result": 1, "credit": None}, "credit"),
        ({"result": 1, "credit": True}, "credit"),
        ({"result": 1, "credit": -1}, "credit"),
        ({"result": 1, "credit": 1.5}, "credit"),
    ],
)
def test_a_reply_that_makes_no_sense_is_an_error(body: object, words: str) -> None:
    """Nothing is guessed where money is told."""
    with pytest.raises(ValueError, match=words):
        parse_response(body)


@given(st.binary(max_size=200))
def test_no_reply_surprises(body: bytes) -> None:
    """Any bytes are read, or a ValueError."""
    try:
        PROTOCOL.parse_response(body)
    except ValueError:
        return
