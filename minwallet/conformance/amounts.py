"""Amounts of conformance cases: numbers of units, or the player's whole balance."""

from typing import NamedTuple

from minwallet.ledger.money import MAX_CENTS, format_amount


class All(NamedTuple):
    """The player's whole balance plus `plus` units. As a balance change it means that the balance becomes `plus`."""

    plus: int = 0


ALL = EMPTY = All()

AmountSpec = int | All


def parse_whole_cents(value: object) -> int | None:
    """Return the number of cents, None if it is not a whole number.

    A float such as 5.0 is accepted here. One case checks for the decimal point, and only that case should fail.
    """
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def scale_amount(units: int, unit: int) -> int:
    """Return an amount in cents. The largest amount of all protocols stays the largest."""
    return min(units * unit, MAX_CENTS)


def describe_amount(amount: AmountSpec, unit: int) -> str:
    """Return an amount in this unit as `0.05`, `all` or `all+0.01`."""
    if isinstance(amount, All):
        return f"all+{format_amount(amount.plus * unit)}" if amount.plus else "all"
    return format_amount(scale_amount(amount, unit))
