"""Money as whole numbers of cents, never floats, and the ranges of amounts and ids."""

import re

MAX_CENTS = 2**63 - 1
"""The largest amount and the largest balance, in cents: the maximum of a signed 64-bit column."""

MAX_ID = 2**64 - 1
"""The largest transaction id, round id or ticket: "a 64 bit unsigned integer" in wallet-v2, "uint64" in vela."""

MAX_ECHOED_CHARACTERS = 50
"""The number of characters of an invalid amount that an error message repeats."""

_AMOUNT = re.compile(r"([0-9]{1,40})(?:\.([0-9]{1,2}))?", re.ASCII)

_ALMOST_AMOUNTS = (
    (re.compile(r"-[0-9.]+", re.ASCII), "must not be negative"),
    (re.compile(r"[0-9]+\.[0-9]{3,}", re.ASCII), "at most two decimals"),
)
"""The usual mistakes, each with the rule that it breaks."""


def parse_amount(text: str) -> int:
    """Return the cents of a decimal such as `12.50`. Raise ValueError if it is not one, or exceeds MAX_CENTS."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        echoed = text if len(text) <= MAX_ECHOED_CHARACTERS else f"{text[:MAX_ECHOED_CHARACTERS]}…"
        rules = [rule for mistake, rule in _ALMOST_AMOUNTS if mistake.fullmatch(text)]
        raise ValueError(f"invalid amount {echoed!r}: {rules[0] if rules else 'write it like 12 or 12.50'}")
    units, fraction = match.groups()
    cents = int(units) * 100 + int((fraction or "").ljust(2, "0"))
    if cents > MAX_CENTS:
        raise ValueError(f"invalid amount {text!r}: the maximum is {format_amount(MAX_CENTS)}")
    return cents


def parse_signed_amount(text: str) -> int:
    """Return the cents of a decimal with or without a sign, such as `-12.50`. Raise ValueError as `parse_amount`."""
    if text[:1] not in ("+", "-"):
        return parse_amount(text)
    try:
        cents = parse_amount(text[1:])
    except ValueError as error:
        raise ValueError(str(error).replace("'", f"'{text[0]}", 1)) from None
    return -cents if text[0] == "-" else cents


def format_amount(cents: int) -> str:
    """Return the cents as a decimal: `1250` as `12.50`, `-5` as `-0.05`."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"
