"""wallet-v2, the wallet's half: what is understood, what is refused as malformed, and what is answered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.commands import Balance, Bet, Cancel, Win
from minwallet.ledger.entries import Refusal
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.ledger.outcomes import Outcome, SessionUnknown
from minwallet.protocols import wallet_v2
from minwallet.protocols.wallet_v2 import WalletV2
from minwallet.protocols.wire import Call, Malformed
from tests.protocols.sample_outcomes import APPLIED, CLOSED, CLOSED_AGAIN, HOLDER, REPLAYED, SHOWN, make_refused

PROTOCOL = WalletV2()
NOW_MS, NOW = 1_695_266_603_999, "21-09-2023 03:23:23"
CALL = Call("credit", "t", Balance())

CREDIT: dict[str, Any] = {"code": "t", "type": "credit"}
BET: dict[str, Any] = {"code": "t", "type": "bet", "bet": 500, "game": 1012, "id": 3}
WIN: dict[str, Any] = {"code": "t", "type": "win", "win": 500, "game": 1012, "id": 4}
CANCEL: dict[str, Any] = {"code": "t", "type": "cancel", "id": 5}


def parse(body: object) -> Call | Malformed:
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return PROTOCOL.parse("", raw)


def with_value(fields: dict[str, Any], name: str, value: str) -> str:
    """The request with this JSON text as the value of a field."""
    return json.dumps(fields | {name: "VALUE"}).replace('"VALUE"', value)


def parse_malformed(body: object) -> tuple[int, str]:
    """The code and words with which a body is refused."""
    malformed = parse(body)
    assert isinstance(malformed, Malformed), malformed
    return malformed.code, malformed.message


@pytest.mark.parametrize(
    ("fields", "call"),
    [
        (CREDIT, Call("credit", "t", Balance())),
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
def test_a_request_is_understood(fields: dict[str, Any], call: Call) -> None:
    """Ids become decimal text without loss; a bet without a round begins its own."""
    assert parse(fields) == call


@pytest.mark.parametrize("extra", [{"x": 1}, {"x": {"deep": [None, 1.5, "\ud800"]}}, {"bet": "not asked"}])
def test_unknown_fields_are_ignored(extra: dict[str, Any]) -> None:
    """What an operation does not know, it does not look at."""
    assert parse(CREDIT | extra) == CALL


@pytest.mark.parametrize("time", ["", "yesterday", "x" * 40])
def test_the_time_may_be_any_text(time: str) -> None:
    """It is the caller's own; the wallet has its clock."""
    assert parse(CREDIT | {"time": time}) == CALL


INVALID_NUMBERS = ['"100"', '""', "true", "false", "null", "1.5", "1.0", "1e2", "-1", "-0.0", "[1]", "{}", "1" * 400]
NUMBERS = [(BET, "bet"), (BET, "id"), (BET, "round_id"), (WIN, "win"), (WIN, "id"), (WIN, "round_id"), (CANCEL, "id")]


@pytest.mark.parametrize("value", INVALID_NUMBERS)
@pytest.mark.parametrize(("fields", "name"), NUMBERS)
def test_a_number_is_a_whole_number_and_nothing_else(fields: dict[str, Any], name: str, value: str) -> None:
    """Text, truth, fractions, negative and enormous numbers are refused, and the field is named."""
    code, message = parse_malformed(with_value(fields, name, value))
    assert code == 100
    assert message.startswith(f"{name}: must be a whole number from 0 to ")


@pytest.mark.parametrize(
    ("fields", "name", "most"), [(BET, "bet", MAX_CENTS), (WIN, "win", MAX_CENTS), (BET, "id", MAX_ID)]
)
def test_a_number_has_a_range(fields: dict[str, Any], name: str, most: int) -> None:
    """Amounts are signed 64-bit, ids unsigned; one more is too much."""
    assert isinstance(parse(fields | {name: most}), Call)
    assert parse_malformed(fields | {name: most + 1}) == (100, f"{name}: must be a whole number from 0 to {most}")


def test_a_number_of_thousands_of_digits_is_named() -> None:
    """It is above its range like any other, however long it is."""
    code, message = parse_malformed(with_value(BET, "bet", "9" * 5000))
    assert code == 100
    assert message.startswith("bet: ")


@pytest.mark.parametrize("name", ["code", "bet", "game", "id"])
def test_a_missing_field_is_named(name: str) -> None:
    """Every field of a bet but time and round_id must be there."""
    code, message = parse_malformed({key: value for key, value in BET.items() if key != name})
    assert code == 100
    assert message.startswith(f"{name}: ")


@pytest.mark.parametrize("value", [None, 1, True, 1.5, [], {}])
@pytest.mark.parametrize("name", ["type", "code", "time"])
def test_text_must_be_text(name: str, value: object) -> None:
    """Nothing else is taken for text, and the field is named."""
    code, message = parse_malformed(CREDIT | {name: value})
    assert code == 100
    assert message.startswith(f"{name}: must be text")


def test_a_missing_type_is_malformed() -> None:
    """Without a type there is nothing to know about it."""
    assert parse_malformed({"code": "t"}) == (100, "type: must be text")


@pytest.mark.parametrize("type_", ["", "refund", "BET", "bet ", "b\u0435t", "\ud800"])
def test_an_unknown_type_is_101(type_: str) -> None:
    """The four operations are written in one way; the type is looked at first."""
    assert parse_malformed({"type": type_}) == (101, "type: must be credit, bet, win or cancel")


@pytest.mark.parametrize("game", [None, True, 1.5, -1, MAX_ID + 1, [], {}, "", "g" * 65, "a\nb", "\x00", "\ud800"])
def test_a_game_is_a_whole_number_or_printable_text(game: object) -> None:
    """Up to 64 symbols that can be shown and stored."""
    code, message = parse_malformed(BET | {"game": game})
    assert code == 100
    assert message.startswith("game: ")


@pytest.mark.parametrize(
    "body", [b"", b" ", b"credit", b"{", b"\xef\xbb\xbf{}", b"\xff\xfe", b'{"type":"\xed\xa0\x80"}']
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    """Nor is JSON in another encoding, or with half a character in it."""
    assert parse_malformed(body) == (100, "the body is not JSON")


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "+5", "007", "1_000", ".5", "0x10", "\uff11\uff12", " ", "'5'"]
)
def test_a_number_is_written_as_json_writes_it(value: str) -> None:
    """Signs, leading zeros, separators, other scripts' digits and NaN are not JSON."""
    assert parse_malformed(with_value(BET, "bet", value)) == (100, "the body is not JSON")


@pytest.mark.parametrize("body", ["null", "1", "true", '"credit"', "[]", '[{"type":"credit","code":"t"}]'])
def test_what_is_not_an_object_is_refused(body: str) -> None:
    """A request is one JSON object."""
    assert parse_malformed(body) == (100, "the body is not a JSON object")


@pytest.mark.parametrize("deep", ["[" * 8000, '{"a":' * 1600, "[" * 4000 + "]" * 4000])
def test_deep_nesting_is_refused(deep: str) -> None:
    """However deep, the answer is a clean refusal."""
    assert parse_malformed(deep)[0] == 100
    assert parse_malformed(with_value(BET, "bet", deep))[0] == 100


@pytest.mark.parametrize(
    "twice",
    ['"bet":1', '"b\\u0065t":2', '"code":"u"', '"type":"bet"', '"time":""', '"id":3', '"round_id":3', '"game":1'],
)
def test_a_field_given_twice_is_refused(twice: str) -> None:
    """Nobody can know which of the two was meant, not even where they agree; the field is named."""
    body = json.dumps(BET | {"time": "", "round_id": 3}).removesuffix("}") + f",{twice}}}"
    code, message = parse_malformed(body)
    assert code == 100
    (name,) = json.loads(f"{{{twice}}}")
    assert message.startswith(f"{name}: must be ")


@pytest.mark.parametrize("twice", ['"extra":1,"extra":2', '"extra":{"a":1,"a":2}', '"\\ud800":1,"\\ud800":2'])
def test_what_is_ignored_may_be_given_twice(twice: str) -> None:
    """A field that no rule knows is nobody's business, at any depth."""
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
def test_no_bytes_surprise(body: bytes) -> None:
    """Any bytes are refused or understood, never an error."""
    assert isinstance(parse(body), Call | Malformed)


@given(kinds, st.dictionaries(names, values, max_size=3))
def test_no_values_surprise(fields: dict[str, Any], strange: dict[str, object]) -> None:
    """Whatever the fields hold, the request is refused with a code of its kind, or has numbers in range."""
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
def test_both_readers_understand_the_same(body: bytes) -> None:
    """What the quick reader takes means what the patient one would have made of it."""
    quickly = parse(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wallet_v2, "from_json", _raise_value_error)
        assert parse(body) == quickly


def _raise_value_error(*_: object, **__: object) -> None:
    raise ValueError


def render(outcome: Outcome | SessionUnknown) -> Any:  # noqa: ANN401 the reply's JSON
    return json.loads(PROTOCOL.render(CALL, outcome, HOLDER, NOW_MS))


def test_a_balance_is_shown_with_its_holder() -> None:
    """`credit` is cash and bonus together."""
    assert render(SHOWN) == {
        "credit": 1200,
        "player_id": "usr-1122334455",
        "result": 1,
        "time": NOW,
        "currency": "USD",
    }


def test_an_applied_movement_tells_the_credit_after_it() -> None:
    """Cash and bonus together, after deducting the bet."""
    assert render(APPLIED) == {"credit": 100, "result": 1, "time": NOW}


def test_a_replay_tells_the_credit_as_it_stood() -> None:
    """A retry is told what the first answer told, whatever happened since."""
    assert render(REPLAYED) == {"credit": 100, "result": 1, "time": NOW}


def test_a_cancel_of_nothing_is_a_success() -> None:
    """\"If such transaction canceled or does not exist =1\", with the credit as it is, or was the first time."""
    assert render(CLOSED) == {"credit": 1200, "result": 1, "time": NOW}
    assert render(CLOSED_AGAIN) == {"credit": 1200, "result": 1, "time": NOW}


REFUSALS = {
    Refusal.SESSION_UNKNOWN: (102, "session not found"),
    Refusal.SESSION_REVOKED: (102, "session not found"),
    Refusal.SESSION_EXPIRED: (103, "session expired"),
    Refusal.PLAYER_BLOCKED: (104, "player blocked"),
    Refusal.PLAYER_EXCLUDED: (104, "player blocked"),
    Refusal.LOSS_LIMIT: (104, "player blocked"),
    Refusal.DEPOSIT_LIMIT: (104, "player blocked"),
    Refusal.INSUFFICIENT_FUNDS: (105, "insufficient funds"),
    Refusal.ID_TAKEN: (106, "transaction id already used"),
    Refusal.CANCELLED: (107, "transaction cancelled"),
    Refusal.ROUND_SETTLED: (108, "round already settled"),
    Refusal.ROUND_CANCELLED: (109, "round cancelled"),
    Refusal.OUT_OF_RANGE: (110, "amount out of range"),
    Refusal.WIN_SPENT: (110, "amount out of range"),
    Refusal.NOT_A_BET: (111, "not a bet"),
    Refusal.NO_OPEN_BET: (111, "not a bet"),
}


@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_has_its_code(refusal: Refusal) -> None:
    """`result` is 0, with code and words, and the credit of a session that is known."""
    code, words = REFUSALS[refusal]
    failure = {"result": 0, "err_code": code, "err_desc": words, "time": NOW}
    assert render(make_refused(refusal)) == {"credit": 1200, **failure}


def test_an_unknown_session_gets_no_credit() -> None:
    """Where no session is known there is no balance to tell."""
    assert render(SessionUnknown()) == {"result": 0, "err_code": 102, "err_desc": "session not found", "time": NOW}


def test_render_error_names_the_field() -> None:
    """In the protocol's own shape, with the field in `err_desc`."""
    reply = json.loads(PROTOCOL.render_error(Malformed("bet", 100, "id: is missing"), NOW_MS))
    assert reply == {"result": 0, "err_code": 100, "err_desc": "id: is missing", "time": NOW}


@pytest.mark.parametrize(
    ("status", "code"), [(403, 100), (405, 100), (413, 100), (414, 100), (429, 500), (500, 500), (503, 500)]
)
def test_a_fault_of_http_has_a_code_too(status: int, code: int) -> None:
    """500 says that asking again may help; 100 that it will not."""
    assert PROTOCOL.error_code_for_status(status) == code
