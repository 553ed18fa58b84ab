"""Parsing of vela requests: accepted requests, and requests rejected as malformed."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.commands import Authenticate, Bet, BetWin, Cancel, Settle
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.protocols.vela import Vela
from minwallet.protocols.wire import Call, HttpRequest, Malformed
from tests.protocols.unusual_texts import UNUSUAL_TEXTS

PROTOCOL = Vela()
NOW_MS = 1_695_266_603_000
CALL = Call("bet", "t", Bet("3", 500, "3"))

REQUIRED = {
    "authenticate": {"access_token": "t"},
    "bet": {"access_token": "t", "ticket_id": "3", "total_bet": "500"},
    "result": {"access_token": "t", "ticket_id": "3", "total_win": "500"},
    "refund": {"access_token": "t", "ticket_id": "3"},
    "betwin": {"access_token": "t", "ticket_id": "3", "total_bet": "500", "total_win": "700"},
}
AMOUNTS = [("bet", "total_bet"), ("result", "total_win"), ("betwin", "total_bet"), ("betwin", "total_win")]
OPTIONAL = [
    *((operation, "game_code") for operation in REQUIRED),
    ("bet", "key"),
    ("result", "total_used"),
]
OPERATIONS_WITH_TICKET = [operation for operation, fields in REQUIRED.items() if "ticket_id" in fields]


def parse(operation: str, query: str | dict[str, str], **more: str) -> Call | Malformed:
    text = query if isinstance(query, str) else urlencode(query | more)
    return parse_query(operation, text.encode())


def parse_query(operation: str, query: bytes) -> Call | Malformed:
    return PROTOCOL.parse(HttpRequest("GET", "/", query), operation)


def parse_malformed(operation: str, query: str | dict[str, str], **more: str) -> tuple[int | str, str]:
    """Return the status code and the message with which a query is rejected."""
    malformed = parse(operation, query, **more)
    assert isinstance(malformed, Malformed), malformed
    assert malformed.operation == operation
    return malformed.code, malformed.message


@pytest.mark.parametrize(
    ("operation", "more", "command"),
    [
        ("authenticate", {}, Authenticate()),
        ("authenticate", {"game_code": "fish"}, Authenticate()),
        ("bet", {}, Bet("3", 500, "3")),
        ("bet", {"game_code": "fish", "key": "small"}, Bet("3", 500, "3", "fish", '{"key":"small"}')),
        ("bet", {"game_code": "", "key": ""}, Bet("3", 500, "3")),
        ("bet", {"key": "k" * 64}, Bet("3", 500, "3", None, f'{{"key":"{"k" * 64}"}}')),
        ("bet", {"total_bet": "0", "ticket_id": "0"}, Bet("0", 0, "0")),
        (
            "bet",
            {"total_bet": str(MAX_CENTS), "ticket_id": str(MAX_ID)},
            Bet(str(MAX_ID), MAX_CENTS, str(MAX_ID)),
        ),
        ("bet", {"total_bet": "0" * 17 + "500", "ticket_id": "003"}, Bet("3", 500, "3")),
        ("result", {}, Settle("3", 500)),
        (
            "result",
            {"game_code": "fish", "total_used": "25"},
            Settle("3", 500, "fish", '{"total_used":25}'),
        ),
        ("result", {"total_used": "0"}, Settle("3", 500, None, '{"total_used":0}')),
        ("result", {"total_used": ""}, Settle("3", 500)),
        ("refund", {"game_code": "fish"}, Cancel("3")),
        ("betwin", {"game_code": "fish"}, BetWin("3", 500, 700, "fish")),
    ],
)
def test_a_request_is_parsed(operation: str, more: dict[str, str], command: Any) -> None:  # noqa: ANN401 any of them
    """A ticket becomes decimal text without loss or leading zeros, and is also the round; an empty parameter counts
    as missing."""
    assert parse(operation, REQUIRED[operation], **more) == Call(operation, "t", command)


@pytest.mark.parametrize("operation", REQUIRED)
def test_unknown_parameters_are_ignored(operation: str) -> None:
    """An operation ignores a parameter that it does not define, even if it occurs twice."""
    query = urlencode(REQUIRED[operation]) + "&x=1&x=2&&y"
    assert parse(operation, query) == parse(operation, REQUIRED[operation])


def test_parameters_may_be_percent_encoded() -> None:
    """Names and values may both be encoded."""
    assert parse("bet", "access_token=t&%74icket_id=%33&total_bet=500") == parse("bet", REQUIRED["bet"])


@pytest.mark.parametrize("operation", REQUIRED)
@pytest.mark.parametrize("token", ["", "access_token", "access_token=", "access_token=t&access_token=t"])
def test_a_token_is_required_once(operation: str, token: str) -> None:
    """A missing, empty or repeated token is `Invalid Token`, even if other parameters are wrong too."""
    assert parse_malformed(operation, f"{token}&ticket_id=x") == (1, "Invalid Token")


INVALID_NUMBERS = [
    "",
    " ",
    "-1",
    "+5",
    " 5",
    "5 ",
    "5\n",
    "5\x00",
    "1.5",
    "5.0",
    "1e2",
    "1_000",
    "1,000",
    "0x10",
    "\uff11\uff12",
    "\u0665",
    "\u00b2",
    "NaN",
    "true",
    "null",
    "five",
    "0" * 21,
    "9" * 5000,
]


@pytest.mark.parametrize("value", [*INVALID_NUMBERS, str(MAX_CENTS + 1)])
@pytest.mark.parametrize(("operation", "name"), AMOUNTS)
def test_an_amount_has_ascii_digits_only(operation: str, name: str, value: str) -> None:
    """An amount has 1 to 20 digits and is at most 2^63-1; anything else gets 2001, and the message names the
    parameter."""
    code, message = parse_malformed(operation, REQUIRED[operation], **{name: value})
    assert code == 2001
    assert message == f"{name}: required once, as digits, from 0 to {MAX_CENTS}"


@pytest.mark.parametrize("value", [*INVALID_NUMBERS, str(MAX_ID + 1)])
@pytest.mark.parametrize("operation", OPERATIONS_WITH_TICKET)
def test_a_ticket_has_ascii_digits_only(operation: str, value: str) -> None:
    """A ticket has 1 to 20 digits and is at most 2^64-1; anything else is an invalid transaction id."""
    code, message = parse_malformed(operation, REQUIRED[operation], ticket_id=value)
    assert code == 2
    assert message == f"Invalid Transaction ID: ticket_id: required once, as digits, from 0 to {MAX_ID}"


@pytest.mark.parametrize("value", [*INVALID_NUMBERS[1:], str(MAX_ID + 1)])
def test_total_used_has_ascii_digits_only(value: str) -> None:
    """`total_used` is optional; any other value gets 2001."""
    code, message = parse_malformed("result", REQUIRED["result"], total_used=value)
    assert code == 2001
    assert message.startswith("total_used: ")


@pytest.mark.parametrize(("operation", "name"), [*AMOUNTS, *((each, "ticket_id") for each in OPERATIONS_WITH_TICKET)])
@pytest.mark.parametrize("times", [0, 2])
def test_a_required_parameter_occurs_once(operation: str, name: str, times: int) -> None:
    """A parameter that is missing, or repeated even with the same value, is rejected, and the message names it."""
    fields = REQUIRED[operation]
    others = {key: value for key, value in fields.items() if key != name}
    code, message = parse_malformed(operation, urlencode([*others.items(), *[(name, fields[name])] * times]))
    assert code == (2 if name == "ticket_id" else 2001)
    assert f"{name}: required once" in message


@pytest.mark.parametrize(("operation", "name"), OPTIONAL)
def test_an_optional_parameter_occurs_at_most_once(operation: str, name: str) -> None:
    """A repeated parameter is ambiguous, so the request is rejected, and the message names the parameter."""
    code, message = parse_malformed(operation, urlencode(REQUIRED[operation]) + f"&{name}=1&{name}=1")
    assert code == 2001
    assert message.startswith(f"{name}: at most once")


@pytest.mark.parametrize("value", ["g" * 65, "a\nb", "\x00", "\x1f", "\x7f", "\x80", "\x9f"])
@pytest.mark.parametrize(("operation", "name"), [each for each in OPTIONAL if each[1] != "total_used"])
def test_text_is_short_and_without_control_characters(operation: str, name: str, value: str) -> None:
    """Text has up to 64 characters, and none of category Cc."""
    code, message = parse_malformed(operation, REQUIRED[operation], **{name: value})
    assert code == 2001
    assert message == f"{name}: at most once, with up to 64 characters, none a control character"


@pytest.mark.parametrize("value", UNUSUAL_TEXTS)
def test_text_may_have_any_other_character(value: str) -> None:
    """Spaces, joiners, marks and unassigned characters are accepted and kept, whatever the version of Python."""
    key = json.dumps({"key": value}, ensure_ascii=False, separators=(",", ":"))
    given = parse("bet", REQUIRED["bet"], game_code=value, key=value)
    assert given == Call("bet", "t", Bet("3", 500, "3", value, key))
    assert PROTOCOL.parse(PROTOCOL.build_request(given, NOW_MS), "bet") == given


@pytest.mark.parametrize("bytes_", ["%FF", "%ED%A0%80", "%C3", "\xc3\xa9"])
@pytest.mark.parametrize("operation", REQUIRED)
def test_text_is_percent_encoded_utf_8(operation: str, bytes_: str) -> None:
    """Other bytes, halves of surrogate pairs and raw bytes are rejected in known parameters, and ignored in unknown
    ones."""
    good = urlencode(REQUIRED[operation]).encode()
    ignored = f"&x={bytes_}&{bytes_}".encode("latin-1")
    assert parse_query(operation, good + ignored) == parse_query(operation, good)
    malformed = parse_query(operation, good + f"&game_code={bytes_}".encode("latin-1"))
    assert malformed == Malformed(
        operation, 2001, "game_code: at most once, with up to 64 characters, none a control character"
    )


operations = st.sampled_from(list(REQUIRED))
names = st.sampled_from(["access_token", "ticket_id", "total_bet", "total_win", "total_used", "key", "game_code"])
values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=70).map(quote),
    st.integers(-5, MAX_ID * 2).map(str),
)


@given(operations, st.binary(max_size=200))
def test_any_bytes_are_parsed_or_rejected(operation: str, query: bytes) -> None:
    """The parser raises no error, whatever a caller sends."""
    assert isinstance(parse_query(operation, query), Call | Malformed)


@given(operations, st.lists(st.tuples(names, values), max_size=8))
def test_any_parameters_are_in_range_or_rejected(operation: str, pairs: list[tuple[str, str]]) -> None:
    """A request is rejected with a code of the protocol, or its numbers are in range."""
    match parse(operation, "&".join(f"{name}={value}" for name, value in pairs)):
        case Malformed(_, code, message):
            assert code in (1, 2, 2001)
            assert message
        case Call(_, token, command):
            assert token
            numbers = command._asdict()
            assert 0 <= int(numbers.get("id", 0)) <= MAX_ID
            assert 0 <= numbers.get("stake", 0) <= MAX_CENTS
            assert 0 <= numbers.get("payout", 0) <= MAX_CENTS
