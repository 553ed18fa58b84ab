"""Money is a whole number of cents, never a float; ids are unsigned 64-bit numbers kept as decimal text."""

import re

MAX_CENTS = 2**63 - 1
"""The largest amount and the largest balance: what a signed 64-bit column can hold."""

MAX_ID = 2**64 - 1
"""The largest transaction id, round id or ticket: what the protocols call a 64 bit unsigned integer."""

MAX_ECHOED_CHARACTERS = 50
"""How much is repeated of what is no amount."""

_AMOUNT = re.compile(r"([0-9]{1,40})(?:\.([0-9]{1,2}))?", re.ASCII)


def parse_amount(text: str) -> int:
    """Cents of a decimal such as `12.50`; ValueError, saying what is wrong, for anything else."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        echoed = text if len(text) <= MAX_ECHOED_CHARACTERS else f"{text[:MAX_ECHOED_CHARACTERS]}…"
        raise ValueError(f"{echoed!r} is not an amount; write it like 12 or 12.50")
    units, fraction = match.groups()
    cents = int(units) * 100 + int((fraction or "").ljust(2, "0"))
    if cents > MAX_CENTS:
        raise ValueError(f"{text!r} is too large; the most is {format_amount(MAX_CENTS)}")
    return cents


def format_amount(cents: int) -> str:
    """`1250` as `12.50`, `-5` as `-0.05`."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"
