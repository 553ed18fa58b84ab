"""The caller's side of both protocols: build a request, and parse the wallet's reply."""

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.commands import (
    Adjust,
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
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call, HttpRequest, HttpResponse, WalletResponse
from tests.protocols.golden_pairs import BUILT_IN_PROTOCOLS, find_operation

NOW_MS, NOW = 1_695_266_603_000, "21-09-2023 03:23:23"

both_protocols = pytest.mark.parametrize("protocol", BUILT_IN_PROTOCOLS)


def build_request(protocol: str, call: Call, wallet_token: str | None = None) -> HttpRequest:
    return load_protocol(protocol).build_request(call, NOW_MS, wallet_token)


def parse_request(protocol: str, request: HttpRequest) -> object:
    """Return the call that the wallet parses from a request."""
    wire = load_protocol(protocol)
    return wire.parse(request, find_operation(wire, request))


def read_fields(request: HttpRequest) -> Any:  # noqa: ANN401 JSON, or the parameters of a query
    """Return the fields of a request. Check that a GET has a query only, and a POST a body only."""
    if request.method == "GET":
        assert request.body == b""
        return dict(parse_qsl(request.query.decode()))
    assert request.query == b""
    return json.loads(request.body)


def parse_response(protocol: str, body: object) -> WalletResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return load_protocol(protocol).parse_response(HttpResponse(content))


def encode_detail(name: str, value: object) -> str | None:
    """Return a parameter in the form in which the ledger stores it, or None if there is no value."""
    return None if value is None else json.dumps({name: value}, separators=(",", ":"), ensure_ascii=False)


def make_call(operation: str, token: str, command: Command) -> Call:
    """Return a call without player and currency, which both protocols lack."""
    return Call(operation, token, command)


ids = st.integers(0, MAX_ID).map(str)
cents = st.integers(0, MAX_CENTS)

wallet_v2_tokens = st.text(max_size=40)
names = st.text(min_size=1, max_size=64).filter(lambda text: text.isprintable() and not text.isdigit())
games = names | st.integers(0, MAX_ID).map(str)

vela_tokens = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
texts = st.none() | st.text(min_size=1, max_size=64).filter(str.isprintable)

CALLS = {
    "wallet-v2": st.one_of(
        st.builds(make_call, st.just("credit"), wallet_v2_tokens, st.just(Balance())),
        st.builds(
            make_call,
            st.just("bet"),
            wallet_v2_tokens,
            st.builds(Bet, ids, cents, ids, games, st.none(), st.just(False)),
        ),
        st.builds(
            make_call, st.just("win"), wallet_v2_tokens, st.builds(Win, ids, cents, st.none() | ids, games, st.none())
        ),
        st.builds(make_call, st.just("cancel"), wallet_v2_tokens, st.builds(Cancel, ids, st.none() | ids)),
    ),
    "vela": st.one_of(
        st.builds(make_call, st.just("authenticate"), vela_tokens, st.just(Authenticate())),
        st.builds(
            lambda token, id_, stake, game, key: Call(
                "bet", token, Bet(id_, stake, id_, game, encode_detail("key", key))
            ),
            *(vela_tokens, ids, cents, texts, texts),
        ),
        st.builds(
            lambda token, id_, payout, game, used: Call(
                "result", token, Settle(id_, payout, game, encode_detail("total_used", used))
            ),
            *(vela_tokens, ids, cents, texts, st.none() | st.integers(0, MAX_ID)),
        ),
        st.builds(
            make_call, st.just("betwin"), vela_tokens, st.builds(BetWin, ids, cents, cents, texts, st.just(False))
        ),
        st.builds(make_call, st.just("refund"), vela_tokens, st.builds(Cancel, ids, st.none())),
    ),
}


@both_protocols
@given(st.data())
def test_a_built_request_parses_to_the_same_call(protocol: str, data: st.DataObject) -> None:
    """No field of a call is lost or changed on the wire."""
    call = data.draw(CALLS[protocol])
    assert parse_request(protocol, build_request(protocol, call)) == call


@pytest.mark.parametrize("game", ["007", str(MAX_ID + 1), "1" * 64])
def test_a_wallet_v2_game_name_of_digits_is_unchanged(game: str) -> None:
    """A game name is sent as a number only if the number has the same digits and is in range."""
    call = Call("bet", "t", Bet("3", 500, "3", game))
    assert parse_request("wallet-v2", build_request("wallet-v2", call)) == call


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
def test_a_wallet_v2_request_is_built_as_specified(call: Call, fields: dict[str, Any]) -> None:
    """A request is a JSON object with code, type, time and the operation's fields; numbers are JSON numbers."""
    request = build_request("wallet-v2", call)
    assert (request.method, request.path) == ("POST", "/wallet")
    assert read_fields(request) == {"code": "t", "type": call.operation, "time": NOW, **fields}


@pytest.mark.parametrize(
    ("call", "path", "fields"),
    [
        (Call("authenticate", "t", Authenticate()), "/api/user/authenticate", {}),
        (Call("bet", "t", Bet("3", 500, "3")), "/api/bet", {"ticket_id": "3", "total_bet": "500"}),
        (
            Call("bet", "t", Bet("3", 500, "3", "fish", '{"key":"small"}')),
            "/api/bet",
            {"ticket_id": "3", "total_bet": "500", "key": "small", "game_code": "fish"},
        ),
        (
            Call("result", "t", Settle("3", 0, "fish", '{"total_used":25}')),
            "/api/result",
            {"ticket_id": "3", "total_win": "0", "total_used": "25", "game_code": "fish"},
        ),
        (Call("refund", "t", Cancel("3")), "/api/refund", {"ticket_id": "3"}),
        (
            Call("betwin", "t", BetWin("3", 500, 700)),
            "/api/betwin",
            {"ticket_id": "3", "total_bet": "500", "total_win": "700"},
        ),
    ],
)
def test_a_vela_request_is_built_as_specified(call: Call, path: str, fields: dict[str, str]) -> None:
    """All fields are in the query, and the token comes first."""
    request = build_request("vela", call)
    assert (request.method, request.path) == ("GET", path)
    assert request.query.startswith(b"access_token=t")
    assert read_fields(request) == {"access_token": "t", **fields}


@pytest.mark.parametrize(
    ("protocol", "call", "path"),
    [
        ("wallet-v2", Call("credit", "t", Balance()), "/wallet/agent_1"),
        ("vela", Call("authenticate", "t", Authenticate()), "/api/user/authenticate"),
    ],
)
def test_the_wallet_token_of_an_agent_is_in_the_path_of_wallet_v2_only(protocol: str, call: Call, path: str) -> None:
    """It changes nothing else in a wallet-v2 request, and nothing at all in a vela request."""
    assert build_request(protocol, call, "agent_1") == build_request(protocol, call)._replace(path=path)


TRANSFERS = (Deposit("r", 1), Withdraw("r", 1), Adjust("r", -1))


@pytest.mark.parametrize(
    ("protocol", "command"),
    [
        *(("wallet-v2", command) for command in (Authenticate(), Settle("3", 1), BetWin("3", 1, 1), *TRANSFERS)),
        *(("vela", command) for command in (Balance(), Win("3", 1), *TRANSFERS)),
    ],
)
def test_a_command_that_the_protocol_lacks_is_rejected(protocol: str, command: Command) -> None:
    """A request for such a command raises ValueError, and the error names protocol and command."""
    with pytest.raises(ValueError, match=f"{protocol} has no {type(command).__name__}"):
        build_request(protocol, Call("bet", "t", command))


@pytest.mark.parametrize(
    ("protocol", "body", "response"),
    [
        # wallet-v2: `result` 1 is success; "any other number" is a failure, with the wallet's code.
        (
            "wallet-v2",
            {"credit": 100000, "player_id": "usr-1", "result": 1, "time": NOW, "currency": "USD"},
            WalletResponse(0, None, 100000, None, "usr-1", "USD"),
        ),
        ("wallet-v2", {"credit": 99500, "result": 1}, WalletResponse(0, None, 99500)),
        (
            "wallet-v2",
            {"result": 0, "err_code": 105, "err_desc": "no money", "credit": 4},
            WalletResponse(105, "no money", 4),
        ),
        ("wallet-v2", {"result": 2, "err_code": 7}, WalletResponse(7)),
        ("wallet-v2", {"err_code": 7}, WalletResponse(7)),
        # vela: `status_code` 0 is success; all other fields are optional.
        (
            "vela",
            {"status_code": 0, "member_id": "demo01", "balance": 100000, "balance2": 5, "currency": "MYR"},
            WalletResponse(0, None, 100000, 5, "demo01", "MYR"),
        ),
        ("vela", {"status_code": 0, "balance": 4, "balance2": 0}, WalletResponse(0, None, 4, 0)),
        ("vela", {"status_code": 1, "message": "Invalid Token"}, WalletResponse(1, "Invalid Token")),
        (
            "vela",
            {"status_code": 3, "message": "Insufficient Funds", "balance": 4, "balance2": 5},
            WalletResponse(3, "Insufficient Funds", 4, 5),
        ),
    ],
)
def test_a_reply_is_parsed(protocol: str, body: dict[str, Any], response: WalletResponse) -> None:
    """A reply gives code, message, balances, player and currency, as far as the wallet sent them."""
    assert parse_response(protocol, body) == response


@both_protocols
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ([], "not a JSON object"),
        ({}, "err_code"),
    ],
)
def test_a_reply_without_fields_is_rejected(protocol: str, body: object, words: str) -> None:
    """The parser raises ValueError; in wallet-v2 its message says what is wrong."""
    with pytest.raises(ValueError, match=words if protocol == "wallet-v2" else r"."):
        parse_response(protocol, body)


@pytest.mark.parametrize(
    ("protocol", "body", "words"),
    [
        ("wallet-v2", {"result": 0}, "err_code"),
        ("wallet-v2", {"result": 0, "err_code": "105"}, "err_code"),
        ("wallet-v2", {"result": 0, "err_code": True}, "err_code"),
        ("wallet-v2", {"result": 0, "err_code": 105, "credit": "4"}, "credit"),
        ("wallet-v2", {"result": 1}, "credit"),
        ("wallet-v2", {"result": 1, "credit": None}, "credit"),
        ("wallet-v2", {"result": 1, "credit": True}, "credit"),
        ("wallet-v2", {"result": 1, "credit": -1}, "credit"),
        ("wallet-v2", {"result": 1, "credit": 1.5}, "credit"),
        ("vela", {"status_code": None}, "status_code"),
        ("vela", {"status_code": "0"}, "status_code"),
        ("vela", {"status_code": False}, "status_code"),
        ("vela", {"status_code": 0.0}, "status_code"),
    ],
)
def test_a_reply_with_an_invalid_field_is_rejected(protocol: str, body: dict[str, Any], words: str) -> None:
    """The parser raises ValueError and names the field: it guesses neither a code nor an amount."""
    with pytest.raises(ValueError, match=words):
        parse_response(protocol, body)


@both_protocols
@given(st.binary(max_size=200))
def test_any_bytes_are_a_reply_or_a_value_error(protocol: str, body: bytes) -> None:
    """The parser raises no other error, whatever the wallet sends."""
    try:
        parse_response(protocol, body)
    except ValueError:
        return
