"""vela, the caller's half: building requests and reading replies."""

import json
from typing import Any
from urllib.parse import parse_qsl

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
from minwallet.protocols.vela import Vela
from minwallet.protocols.wire import Call, WalletResponse

PROTOCOL = Vela()
NOW_MS = 1_695_266_603_000


def encode_detail(name: str, value: object) -> str | None:
    """What else of a request is content, as the ledger keeps it."""
    return None if value is None else json.dumps({name: value}, separators=(",", ":"), ensure_ascii=False)


ids = st.integers(0, MAX_ID).map(str)
cents = st.integers(0, MAX_CENTS)
texts = st.none() | st.text(min_size=1, max_size=64).filter(str.isprintable)
tokens = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
calls = st.one_of(
    st.builds(Call, st.just("authenticate"), tokens, st.just(Authenticate())),
    st.builds(
        lambda token, id_, stake, game, key: Call("bet", token, Bet(id_, stake, id_, game, encode_detail("key", key))),
        *(tokens, ids, cents, texts, texts),
    ),
    st.builds(
        lambda token, id_, payout, game, used: Call(
            "result", token, Settle(id_, payout, game, encode_detail("total_used", used))
        ),
        *(tokens, ids, cents, texts, st.none() | st.integers(0, MAX_ID)),
    ),
    st.builds(Call, st.just("betwin"), tokens, st.builds(BetWin, ids, cents, cents, texts)),
    st.builds(Call, st.just("refund"), tokens, st.builds(Cancel, ids, st.none())),
)


@given(calls)
def test_what_is_built_is_understood(call: Call) -> None:
    """Every call survives the way over the wire."""
    exchange = PROTOCOL.build_request(call, NOW_MS)
    assert PROTOCOL.parse(PROTOCOL.routes[exchange.path], exchange.query) == call


@pytest.mark.parametrize(
    ("operation", "command", "path", "fields"),
    [
        ("authenticate", Authenticate(), "/api/user/authenticate", {}),
        ("bet", Bet("3", 500, "3"), "/api/bet", {"ticket_id": "3", "total_bet": "500"}),
        (
            "bet",
            Bet("3", 500, "3", "fish", '{"key":"small"}'),
            "/api/bet",
            {"ticket_id": "3", "total_bet": "500", "key": "small", "game_code": "fish"},
        ),
        (
            "result",
            Settle("3", 0, "fish", '{"total_used":25}'),
            "/api/result",
            {"ticket_id": "3", "total_win": "0", "total_used": "25", "game_code": "fish"},
        ),
        ("refund", Cancel("3"), "/api/refund", {"ticket_id": "3"}),
        ("betwin", BetWin("3", 500, 700), "/api/betwin", {"ticket_id": "3", "total_bet": "500", "total_win": "700"}),
    ],
)
def test_a_request_is_built_as_the_specification_shows_it(
    operation: str, command: Command, path: str, fields: dict[str, str]
) -> None:
    """Everything is in the query, and the token comes first."""
    exchange = PROTOCOL.build_request(Call(operation, "t", command), NOW_MS)
    assert (exchange.method, exchange.path, exchange.body) == ("GET", path, b"")
    assert exchange.query.startswith(b"access_token=t")
    assert dict(parse_qsl(exchange.query.decode())) == {"access_token": "t", **fields}


def test_the_agents_wallet_token_is_another_protocols() -> None:
    """It changes nothing here."""
    call = Call("authenticate", "t", Authenticate())
    assert PROTOCOL.build_request(call, NOW_MS, "agent_1") == PROTOCOL.build_request(call, NOW_MS)


@pytest.mark.parametrize("command", [Balance(), Win("3", 1), Deposit("r", 1), Withdraw("r", 1)])
def test_what_the_protocol_does_not_have_cannot_be_built(command: Command) -> None:
    """A mistake of the caller's, named."""
    with pytest.raises(ValueError, match=f"vela has no {type(command).__name__}"):
        PROTOCOL.build_request(Call("bet", "t", command), NOW_MS)


def parse_response(body: object) -> WalletResponse:
    return PROTOCOL.parse_response(body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (
            {"status_code": 0, "member_id": "demo01", "balance": 100000, "balance2": 5, "currency": "MYR"},
            WalletResponse(0, None, 100000, 5, "demo01", "MYR"),
        ),
        ({"status_code": 0, "balance": 4, "balance2": 0}, WalletResponse(0, None, 4, 0)),
        ({"status_code": 1, "message": "Invalid Token"}, WalletResponse(1, "Invalid Token")),
        (
            {"status_code": 3, "message": "Insufficient Funds", "balance": 4, "balance2": 5},
            WalletResponse(3, "Insufficient Funds", 4, 5),
        ),
    ],
)
def test_a_reply_is_read(body: dict[str, Any], answer: WalletResponse) -> None:
    """`status_code` 0 is success; the rest is there as far as the wallet said it."""
    assert parse_response(body) == answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[" * 100_000,
        [],
        {},
        {"status_code": None},
        {"status_code": "0"},
        {"status_code": False},
        {"status_code": 0.0},
    ],
)
def test_a_reply_that_makes_no_sense_is_an_error(body: object) -> None:
    """Nothing is guessed where money is told."""
    with pytest.raises(ValueError, match=r"."):
        parse_response(body)


@given(st.binary(max_size=200))
def test_no_reply_surprises(body: bytes) -> None:
    """Any bytes are read, or a ValueError."""
    try:
        PROTOCOL.parse_response(body)
    except ValueError:
        return
