"""Parsing of wallet-v2 requests: accepted requests, and requests rejected as malformed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.commands import Balance, Bet, Cancel, Win
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.protocols import wallet_v2
from minwallet.protocols.wallet_v2 import WalletV2
from minwallet.protocols.wire import Call, HttpRequest, Malformed
from tests.protocols.unusual_texts import UNUSUAL_TEXTS

PROTOCOL = WalletV2()
NOW_MS, NOW = 1_695_266_603_999, "21-09-2023 03:23:23"
CALL = Call("credit", "t", Balance())

CREDIT: dict[str, Any] = {"code": "t", "type": "credit"}
BET: dict[str, Any] = {"code": "t", "type": "bet", "bet": 500, "game": 1012, "id": 3}
WIN: dict[str, Any] = {"code": "t", "type": "win", "win": 500, "game": 1012, "id": 4}
CANCEL: dict[str, Any] = {"code": "t", "type": "cancel", "id": 5}


def parse(body: object) -> Call | Malformed:
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return PROTOCOL.parse(HttpRequest("POST", "/wallet", body=raw), "")


def with_value(fields: dict[str, Any], name: str, value: str) -> str:
    """Return the request as JSON, with this JSON text as the value of a field."""
    return json.dumps(fields | {name: "VALUE"}).replace('"VALUE"', value)


def parse_malformed(body: object) -> tuple[int | str, str]:
    """Return the code and the message with which a body is rejected."""
    malformed = parse(body)
    assert isinstance(malformed, Malformed), malformed
    return malformed.code, malformed.message


@pytest.mark.parametrize(
    ("fields", "call"),
    [
        (CREDIT, Call("credit", "t", Balance())),
        (CREDIT | {"time": None, "round_id": None}, Call("credit", "t", Balance())),
        (BET | {"round_id": None, "time": None}, Call("bet", "t", Bet("3", 500, "3", "1012"))),
        (WIN | {"round_id": None}, Call("win", "t", Win("4", 500, None, "1012"))),
        (CANCEL | {"round_id": None}, Call("cancel", "t", Cancel("5"))),
        (BET, Call("bet", "t", Bet("3", 500, "3", "1012"))),
        (BET | {"round_id": 2}, Call("bet", "t", Bet("3", 500, "2", "1012"))),
        (BET | {"round_id": 0}, Call("bet", "t", Bet("3", 500, "0", "1012"))),
        (BET | {"game": "slot 1"}, Call("bet", "t", Bet("3", 500, "3", "slot 1"))),
        (BET | {"game": "g" * 64}, Call("bet", "t", Bet("3", 500, "3", "g" * 64))),
        (BET | {"bet": 0, "id": 0}, Call("bet", "t", Bet("0", 0, "0", "1012"))),
        (BET | {"bet": MAX_CENTS, "id": MAX_ID}, Call("bet", "t", Bet(str(MAX_ID), MAX_CENTS, str(MAX_ID), "1012"))),
        (WIN, Call("win", "t", Win("4", 500, None, "1012"))),
        (WIN | {"round_id": 3, "win": 0}, Call("win", "t", Win("4", 0, "3", "1012"))),
        (CANCEL, Call("cancel", "t", Cancel("5"))),
        (CANCEL | {"round_id": 3}, Call("cancel", "t", Cancel("5", "3"))),
    ],
)
def test_a_request_is_parsed(fields: dict[str, Any], call: Call) -> None:
    """Ids become decimal text without loss; a bet without a round starts its own round."""
    assert parse(fields) == call


@pytest.mark.parametrize("extra", [{"x": 1}, {"x": {"deep": [None, 1.5, "\ud800"]}}, {"bet": "not asked"}])
def test_unknown_fields_are_ignored(extra: dict[str, Any]) -> None:
    """An operation ignores a field that it does not define, whatever its value."""
    assert parse(CREDIT | extra) == CALL


@pytest.mark.parametrize("time", ["", "yesterday", "x" * 40])
def test_the_time_may_be_any_text(time: str) -> None:
    """The wallet uses its own clock and ignores the caller's time."""
    assert parse(CREDIT | {"time": time}) == CALL


INVALID_NUMBERS = [
    *('"100"', '""', "true", "false", "1.5", "1.0", "0.0", "1e2", "0e0", "-1", "[1]", "[-0]", "{}", "1" * 400),
    *("-0", "-0 ", "\t-0\n", "-0.0", "-0e0", "-0e-0", "-" + "9" * 400),
]
NUMBERS = [(BET, "bet"), (BET, "id"), (BET, "round_id"), (WIN, "win"), (WIN, "id"), (WIN, "round_id"), (CANCEL, "id")]


@pytest.mark.parametrize("value", INVALID_NUMBERS)
@pytest.mark.parametrize(("fields", "name"), NUMBERS)
def test_a_number_is_a_whole_json_number(fields: dict[str, Any], name: str, value: str) -> None:
    """Text, booleans, fractions, negative and very large numbers are rejected, and the message names the field."""
    code, message = parse_malformed(with_value(fields, name, value))
    assert code == 100
    assert message.startswith(f"{name}: must be a whole number from 0 to ")


@pytest.mark.parametrize(
    ("fields", "name", "most"), [(BET, "bet", MAX_CENTS), (WIN, "win", MAX_CENTS), (BET, "id", MAX_ID)]
)
def test_a_number_has_a_range(fields: dict[str, Any], name: str, most: int) -> None:
    """An amount is at most 2^63-1, an id at most 2^64-1; the next number is rejected."""
    assert isinstance(parse(fields | {name: most}), Call)
    assert parse_malformed(fields | {name: most + 1}) == (100, f"{name}: must be a whole number from 0 to {most}")


def test_a_number_of_thousands_of_digits_is_rejected() -> None:
    """Such a number is out of range like any other, and the message names the field."""
    code, message = parse_malformed(with_value(BET, "bet", "9" * 5000))
    assert code == 100
    assert message.startswith("bet: ")


@pytest.mark.parametrize("name", ["code", "bet", "game", "id"])
def test_a_missing_field_is_named(name: str) -> None:
    """All fields of a bet are required, except time and round_id; the message names the missing field."""
    assert parse_malformed({key: value for key, value in BET.items() if key != name}) == (100, f"{name}: missing")


@pytest.mark.parametrize("name", ["code", "bet", "game", "id"])
def test_a_required_field_may_not_be_null(name: str) -> None:
    """`null` means absent, and a required field is named if it is absent."""
    assert parse_malformed(BET | {name: None}) == (100, f"{name}: missing")


@pytest.mark.parametrize("value", [1, True, 1.5, [], {}])
@pytest.mark.parametrize("name", ["type", "code", "time"])
def test_text_must_be_text(name: str, value: object) -> None:
    """Any other JSON type is rejected in a text field, and the message names the field."""
    code, message = parse_malformed(CREDIT | {name: value})
    assert code == 100
    assert message.startswith(f"{name}: must be text")


def test_a_missing_type_is_malformed() -> None:
    """A request without a type gets code 100."""
    assert parse_malformed({"code": "t"}) == (100, "type: missing")


@pytest.mark.parametrize("type_", ["", "refund", "BET", "bet ", "b\u0435t", "\ud800"])
def test_an_unknown_type_is_101(type_: str) -> None:
    """Types are case-sensitive and exact, and the type is checked before all other fields."""
    assert parse_malformed({"type": type_}) == (101, "type: must be credit, bet, win or cancel")


INVALID_GAMES: list[object] = [
    *(None, True, 1.5, -1, MAX_ID + 1, [], {}, "", "g" * 65),
    *("a\nb", "\x00", "\x1f", "\x7f", "\x80", "\x85", "\x9f", "\ud800", "a\udfff"),
]


@pytest.mark.parametrize("game", INVALID_GAMES)
def test_a_game_is_a_whole_number_or_text(game: object) -> None:
    """A game is a whole number in range, or text of up to 64 characters, none of category Cc or Cs."""
    code, message = parse_malformed(BET | {"game": game})
    assert code == 100
    assert message.startswith("game: ")


@pytest.mark.parametrize("game", ["-0", "-0.0", "-0e1"])
def test_a_game_has_no_sign(game: str) -> None:
    """A negative zero is no more a game's number than any other negative number."""
    code, message = parse_malformed(with_value(BET, "game", game))
    assert code == 100
    assert message.startswith("game: ")


def test_text_about_negative_zero_is_text() -> None:
    """Only numbers are checked for a sign, and fields that no operation defines may have one."""
    assert parse(BET | {"time": "-0, -0}", "game": "-0,"}) == parse(BET | {"game": "-0,"})
    assert parse(with_value(BET, "extra", "-0")) == parse(BET)
    assert parse(with_value(BET, "extra", "[-0,-0.0]")) == parse(BET)


@pytest.mark.parametrize("game", UNUSUAL_TEXTS)
def test_a_game_may_have_any_other_character(game: str) -> None:
    """Spaces, joiners, marks and unassigned characters are accepted, whatever the version of Python."""
    assert parse(BET | {"game": game}) == Call("bet", "t", Bet("3", 500, "3", game))


def test_a_byte_order_mark_is_ignored() -> None:
    """One mark before the body is ignored; a second one, or one elsewhere, is not JSON."""
    body = json.dumps(BET).encode()
    assert parse(b"\xef\xbb\xbf" + body) == parse(b"\xef\xbb\xbf \r\n" + body) == parse(body)
    for wrong in (b"\xef\xbb\xbf\xef\xbb\xbf" + body, body + b"\xef\xbb\xbf", b" \xef\xbb\xbf" + body):
        assert parse_malformed(wrong) == (100, "the body is not JSON")
    call = parse(b"\xef\xbb\xbf" + body)
    assert isinstance(call, Call)
    redacted = PROTOCOL.redact(call, HttpRequest("POST", "/wallet", body=b"\xef\xbb\xbf" + body), NOW_MS)
    assert parse(redacted) == call._replace(token="TOKEN")


@pytest.mark.parametrize(
    "body", [b"", b" ", b"credit", b"{", b"\xef\xbb\xbf", b"\xef\xbb{}", b"\xff\xfe", b'{"type":"\xed\xa0\x80"}']
)
def test_a_body_that_is_not_json_is_rejected(body: bytes) -> None:
    """JSON in another encoding than UTF-8, or with an encoded surrogate, is rejected too."""
    assert parse_malformed(body) == (100, "the body is not JSON")


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "+5", "007", "1_000", ".5", "0x10", "\uff11\uff12", " ", "'5'"]
)
def test_a_number_that_json_does_not_allow_is_rejected(value: str) -> None:
    """Signs, leading zeros, separators, digits of other scripts and NaN are not JSON."""
    assert parse_malformed(with_value(BET, "bet", value)) == (100, "the body is not JSON")


@pytest.mark.parametrize("body", ["null", "1", "true", '"credit"', "[]", '[{"type":"credit","code":"t"}]'])
def test_a_body_that_is_not_an_object_is_rejected(body: str) -> None:
    """A request is one JSON object."""
    assert parse_malformed(body) == (100, "the body is not a JSON object")


@pytest.mark.parametrize("deep", ["[" * 8000, '{"a":' * 1600, "[" * 4000 + "]" * 4000])
def test_deep_nesting_is_rejected(deep: str) -> None:
    """A deeply nested body or value gets code 100 and causes no error in the parser."""
    assert parse_malformed(deep)[0] == 100
    assert parse_malformed(with_value(BET, "bet", deep))[0] == 100


@pytest.mark.parametrize(
    "twice",
    ['"bet":1', '"b\\u0065t":2', '"code":"u"', '"type":"bet"', '"time":""', '"id":3', '"round_id":3', '"game":1'],
)
def test_a_repeated_field_is_rejected(twice: str) -> None:
    """A repeated field is ambiguous, even if both values agree; the message names the field."""
    body = json.dumps(BET | {"time": "", "round_id": 3}).removesuffix("}") + f",{twice}}}"
    (name,) = json.loads(f"{{{twice}}}")
    assert parse_malformed(body) == (100, f"{name}: given twice")


@pytest.mark.parametrize("twice", ['"extra":1,"extra":2', '"extra":{"a":1,"a":2}', '"\\ud800":1,"\\ud800":2'])
def test_an_unknown_field_may_be_repeated(twice: str) -> None:
    """A field that no operation defines is ignored, at any depth."""
    assert parse(json.dumps(BET).removesuffix("}") + f",{twice}}}") == parse(json.dumps(BET))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["type", "code", "time", "bet", "win", "id", "round_id", "game"])
kinds = st.sampled_from([CREDIT, BET, WIN, CANCEL])
extras = st.dictionaries(names | st.text(max_size=3), values, max_size=3)


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_rejected(body: bytes) -> None:
    """The parser raises no error, whatever a caller sends."""
    assert isinstance(parse(body), Call | Malformed)


@given(kinds, st.dictionaries(names, values, max_size=3))
def test_any_fields_are_in_range_or_rejected(fields: dict[str, Any], strange: dict[str, object]) -> None:
    """A request is rejected with code 100 or 101, or its numbers are in range."""
    match parse(fields | strange):
        case Malformed(_, code, message):
            assert code in (100, 101)
            assert message
        case Call(_, _, Bet(id_, stake, round_)):
            assert 0 <= stake <= MAX_CENTS
            assert 0 <= int(id_) <= MAX_ID
            assert 0 <= int(round_) <= MAX_ID
        case Call(_, _, command):
            assert isinstance(command, Balance | Win | Cancel)


@given(st.binary(max_size=200) | st.builds(lambda known, strange: json.dumps(known | strange).encode(), kinds, extras))
def test_both_json_parsers_agree(body: bytes) -> None:
    """A body that the fast parser accepts has the same meaning in the strict parser."""
    quickly = parse(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wallet_v2, "from_json", _raise_value_error)
        assert parse(body) == quickly


def _raise_value_error(*_: object, **__: object) -> None:
    raise ValueError
