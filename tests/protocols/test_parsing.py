"""The helpers for authors of protocols: amounts without floats, and strict readers of JSON and forms."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.money import MAX_CENTS
from minwallet.protocols.parsing import (
    InvalidRequest,
    encode_json,
    format_decimal,
    parse_decimal,
    parse_form,
    parse_json_object,
)

cents = st.integers(0, MAX_CENTS)


@given(cents)
def test_an_amount_is_the_same_after_both_directions(amount: int) -> None:
    """This holds for text, for a Decimal, and for a JSON number, up to the largest amount."""
    text = format_decimal(amount)
    assert parse_decimal(text) == parse_decimal(Decimal(text)) == amount
    assert parse_decimal(parse_json_object(b'{"amount":' + text.encode() + b"}")["amount"]) == amount
    document = {"a": [Decimal(text)], "b": {"c": None}}
    assert json.loads(encode_json(document), parse_float=Decimal) == document


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("12.5", 1250),
        ("12.5000", 1250),
        ("012", 1200),
        ("0", 0),
        ("0.01", 1),
        (12, 1200),
        (Decimal("12.50"), 1250),
        (Decimal("1E+2"), 10_000),
        (Decimal("0E-5"), 0),
    ],
)
def test_zeros_at_the_end_are_no_decimals(value: object, amount: int) -> None:
    """An amount may have more than two places if the others are zeros."""
    assert parse_decimal(value) == amount


INVALID_AMOUNTS = [
    *("12.505", "-1", "-0", "+1", "", ".", "1.", ".5", "1e2", "0x1", "1_0", " 1", "1\n", "1,5", "\uff11\uff12", "NaN"),
    *(True, None, 1.5, b"1", [1], -1, MAX_CENTS, 10**5000),
    *map(Decimal, ("12.505", "-1", "-0", "1E+1000000", "1E-1000000", "1E+20", "NaN", "Infinity")),
    *("92233720368547758.08", "9" * 21, "0." + "0" * 21),
]


@pytest.mark.parametrize("value", INVALID_AMOUNTS, ids=range(len(INVALID_AMOUNTS)))
def test_any_other_amount_is_refused(value: object) -> None:
    """The message does not repeat the value, which may be a token in the wrong field."""
    with pytest.raises(
        ValueError, match=r"^must be an amount from 0 to 92233720368547758\.07 with up to two decimals$"
    ):
        parse_decimal(value)


def test_the_message_begins_with_the_name_of_the_field() -> None:
    """A provider with two amounts in one request sees which one is wrong."""
    with pytest.raises(ValueError, match=r"^amount: must be an amount from 0 to "):
        parse_decimal("-1", "amount")
    assert parse_decimal("1", "amount") == 100


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"a":1,"a":1}', "a field is given twice"),
        (b'{"a":[{"b":1,"\\u0062":2}]}', "a field is given twice"),
        (b"[]", "the body is not a JSON object"),
        (b'"text"', "the body is not a JSON object"),
        (b"", "the body is not JSON"),
        (b'{"a":NaN}', "the body is not JSON"),
        (b'{"a":-Infinity}', "the body is not JSON"),
        (b'{"a":1e99999999999999999999999}', "the body is not JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "the body is not JSON"),
        (b'{"a":' * 20_000, "the body is not JSON"),
        (b'{"a":"\xff"}', "the body is not JSON"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_json_object_is_read_strictly(body: bytes, error: str) -> None:
    """The error is one fixed sentence."""
    with pytest.raises(InvalidRequest, match=f"^{error}$"):
        parse_json_object(body)


def test_a_json_number_is_never_a_float() -> None:
    """Fractions are Decimals with the digits of the request."""
    fields = parse_json_object(b'\xef\xbb\xbf{"amount":0.10,"id":18446744073709551615,"list":[1.5]}')
    assert fields == {"amount": Decimal("0.10"), "id": 2**64 - 1, "list": [Decimal("1.5")]}
    assert str(fields["amount"]) == "0.10"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"a=1&a=2", "a field is given twice"),
        (b"a=1&%61=2", "a field is given twice"),
        (b"a", "the fields are not a form"),
        (b"a=1&&b=2", "the fields are not a form"),
        (b"a=%FF", "the fields are not a form"),
        (b"a=\xff", "the fields are not a form"),
    ],
)
def test_a_form_is_read_strictly(content: bytes, error: str) -> None:
    """A part without a name or a value is refused, like bytes that are not UTF-8."""
    with pytest.raises(InvalidRequest, match=f"^{error}$"):
        parse_form(content)


def test_a_form_is_read_in_order() -> None:
    """Values are percent-decoded and may be empty, and the whole form may be."""
    assert list(parse_form(b"z=1+2&a=%C3%A9&b=").items()) == [("z", "1 2"), ("a", "é"), ("b", "")]
    assert parse_form(b"") == {}
