"""Helpers for the authors of protocols: strict readers of JSON and forms, and amounts in units of a currency.

Rules

1. A field that is given twice is refused: of two values, the intended one is unknown.
2. An amount is never a float. A reader returns each JSON number as an int or a Decimal.
3. An error message contains no value of the request, because a wrong field may contain a token. It can be the message
   of a Malformed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from minwallet.ledger.money import MAX_CENTS, format_amount
from minwallet.protocols.wire import reject_json_constants

MAX_DIGITS = 20
"""The longest number before and after the decimal point, in digits; MAX_CENTS has 17 digits before it."""

_DECIMAL = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20}))?", re.ASCII)


class InvalidRequest(ValueError):
    """A request that cannot be read; the message says why, without a value of the request."""


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Return the fields of a JSON object in UTF-8, its numbers as int or Decimal.

    Raise InvalidRequest if the body is not a JSON object, or if any object in it has a field twice.
    """
    try:
        fields = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_refuse_repeated_fields,
            parse_constant=reject_json_constants,
            parse_float=Decimal,
        )
    except InvalidRequest:
        raise
    # Decimal raises InvalidOperation for an exponent of 20 digits.
    except (ValueError, RecursionError, InvalidOperation):
        raise InvalidRequest("the body is not JSON") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("the body is not a JSON object")
    return fields


def parse_form(content: bytes) -> dict[str, str]:
    """Return the fields of a form or a query, percent-decoded from UTF-8, in the order of the request.

    Raise InvalidRequest if a part of it has no `=`, if it is not UTF-8, or if it has a field twice.
    """
    try:
        text = content.decode("ascii")
        if "%" in text or "+" in text:
            pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")
            return _refuse_repeated_fields(pairs)
        # Most forms have nothing to decode, and `parse_qsl` takes several times as long.
        return _refuse_repeated_fields([part.split("=", 1) for part in text.split("&")] if text else [])
    except InvalidRequest:
        raise
    except ValueError:
        raise InvalidRequest("the fields are not a form") from None


def parse_decimal(value: object, name: str = "") -> int:
    """Return the cents of an amount in units of the currency: 1250 for `12.5`, `12.50` and `12.5000`.

    `value` is text, an int or a Decimal, as the readers of this module return it. Raise ValueError for anything else,
    for a sign, for cents that are not whole, and for more than MAX_CENTS. Its message begins with `name`, the field's
    name, if there is one: `amount: must be …`.
    """
    if match := _DECIMAL.fullmatch(_to_decimal_text(value)):
        units, fraction = match[1], (match[2] or "").rstrip("0")
        cents = int(units) * 100 + int(fraction.ljust(2, "0"))
        if len(fraction) <= 2 and cents <= MAX_CENTS:
            return cents
    field = f"{name}: " if name else ""
    raise ValueError(f"{field}must be an amount from 0 to {format_amount(MAX_CENTS)} with up to two decimals")


def format_decimal(cents: int) -> str:
    """Return the cents as a decimal of the currency's units, with two places: `1250` as `12.50`."""
    return format_amount(cents)


def encode_json(value: object) -> bytes:
    """Return a value as JSON, with each Decimal as a number: `Decimal(format_decimal(1250))` becomes `12.50`."""
    return _to_json_text(value).encode()


def _to_decimal_text(value: object) -> str:
    """Return the digits of text, an int or a Decimal; "" for anything else, and for a number that is too long."""
    match value:
        case str():
            return value
        case bool():
            return ""
        case int():
            # Python refuses to write an int of more than 4,300 digits.
            return str(value) if abs(value) <= MAX_CENTS else ""
        case Decimal():
            # The exponent comes first: the digits of 1E+1000000 would fill the memory.
            exponent = value.as_tuple().exponent
            return f"{value:f}" if isinstance(exponent, int) and abs(exponent) <= MAX_DIGITS else ""
        case _:
            return ""


def _to_json_text(value: object) -> str:
    match value:
        case Decimal():
            return f"{value:f}"
        case Mapping():
            return f"{{{','.join(f'{json.dumps(str(name))}:{_to_json_text(each)}' for name, each in value.items())}}}"
        case list() | tuple():
            return f"[{','.join(map(_to_json_text, value))}]"
        case _:
            return json.dumps(value)


def _refuse_repeated_fields(pairs: Sequence[Any]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidRequest("a field is given twice")
    return fields
