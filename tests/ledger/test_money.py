"""Amounts: integer cents in the program, decimals outside, and exact conversion in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.money import MAX_CENTS, MAX_ID, format_amount, parse_amount, parse_signed_amount


@given(st.integers(0, MAX_CENTS))
def test_a_formatted_amount_parses_to_itself(cents: int) -> None:
    """Every amount survives the round trip."""
    assert parse_amount(format_amount(cents)) == cents


@given(st.integers(1, MAX_CENTS))
def test_a_negative_amount_is_printed_with_one_sign(cents: int) -> None:
    """The sign stands before the same digits."""
    assert format_amount(-cents) == f"-{format_amount(cents)}"


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("0", 0),
        ("0.00", 0),
        ("12", 1200),
        ("12.5", 1250),
        ("12.50", 1250),
        ("0.05", 5),
        ("007", 700),
        ("92233720368547758.07", MAX_CENTS),
    ],
)
def test_a_decimal_is_parsed(text: str, cents: int) -> None:
    """A decimal has at most two places; missing places are zero."""
    assert parse_amount(text) == cents


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "12.",
        ".5",
        "12.505",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "1_000",
        "1,000",
        "1,5",
        "\uff11\uff12",
        "\u0663",
        "1e2",
        "0x10",
        "NaN",
        "inf",
        "twelve",
        "-0",
        "-0.00",
        "9" * 5000,
    ],
)
def test_any_other_text_is_not_an_amount(text: str) -> None:
    """Signs, spaces, separators, exponents and digits of other scripts are rejected, and the message names the
    format or the broken rule."""
    rules = r"write it like 12 or 12\.50|at most two decimals|must not be negative"
    with pytest.raises(ValueError, match=rf"invalid amount .*: ({rules})$"):
        parse_amount(text)


def test_a_usual_mistake_is_named() -> None:
    """A third decimal and a minus are mistakes of their own."""
    with pytest.raises(ValueError, match=r"^invalid amount '12\.505': at most two decimals$"):
        parse_amount("12.505")
    with pytest.raises(ValueError, match=r"^invalid amount '-5': must not be negative$"):
        parse_amount("-5")
    with pytest.raises(ValueError, match=r"^invalid amount '-12\.505': at most two decimals$"):
        parse_signed_amount("-12.505")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("twelve", "'twelve'"),
        ("x" * 50, f"'{'x' * 50}'"),
        ("x" * 51, f"'{'x' * 50}…'"),
    ],
)
def test_an_invalid_amount_is_in_the_message(text: str, shown: str) -> None:
    """The message quotes the text, truncated to fit on a line."""
    with pytest.raises(ValueError, match="invalid amount") as raised:
        parse_amount(text)
    assert str(raised.value).startswith(f"invalid amount {shown}: ")


@pytest.mark.parametrize("text", ["92233720368547758.08", "92233720368547759", "99999999999999999.99"])
def test_an_amount_above_the_maximum_is_rejected(text: str) -> None:
    """One cent above the maximum is rejected, and the message has the maximum."""
    with pytest.raises(ValueError, match=r"the maximum is 92233720368547758\.07"):
        parse_amount(text)


@pytest.mark.parametrize(("cents", "text"), [(0, "0.00"), (5, "0.05"), (1250, "12.50"), (-5, "-0.05"), (-100, "-1.00")])
def test_cents_are_printed_with_two_places(cents: int, text: str) -> None:
    """There are always two places, and no separators."""
    assert format_amount(cents) == text


@given(st.text(max_size=25))
def test_any_text_is_an_amount_or_a_value_error(text: str) -> None:
    """Any text is an amount in range, or raises ValueError."""
    try:
        cents = parse_amount(text)
    except ValueError:
        return
    assert 0 <= cents <= MAX_CENTS


def test_the_limits_are_those_of_signed_and_unsigned_64_bits() -> None:
    """A balance fits a signed column; an id is unsigned."""
    assert MAX_CENTS == 9_223_372_036_854_775_807
    assert MAX_ID == 18_446_744_073_709_551_615


@pytest.mark.parametrize(
    ("text", "cents"), [("12.50", 1250), ("+12.50", 1250), ("-12.50", -1250), ("-92233720368547758.07", -MAX_CENTS)]
)
def test_an_amount_may_have_one_sign(text: str, cents: int) -> None:
    """A correction adds or takes."""
    assert parse_signed_amount(text) == cents


@pytest.mark.parametrize("text", ["-", "--5", "+-5", "- 5", "-1e3", "-92233720368547758.08"])
def test_an_invalid_signed_amount_is_shown_with_its_sign(text: str) -> None:
    """The message quotes what was typed."""
    with pytest.raises(ValueError, match="invalid amount") as raised:
        parse_signed_amount(text)
    assert str(raised.value).startswith(f"invalid amount '{text}': ")
