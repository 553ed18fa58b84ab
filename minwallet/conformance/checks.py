"""Checks of single replies, and the words for amounts and balance changes in results."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from minwallet.ledger.money import format_amount

ResponseOutcome = Literal["accepted", "refused", "unclear"]


class Observed(NamedTuple):
    """A reply: its HTTP status and headers, its fields (None if it has none), and their meaning.

    Without a reply, `status` is 0, `summary` says why, and `is_interrupted` is True if there was no connection or it
    broke. `balance` has the parts that the protocol reports, in cents. `holder` has the player and the currency.
    """

    status: int
    headers: Mapping[str, str]
    fields: Mapping[str, Any] | None
    outcome: ResponseOutcome
    code: object
    balance: tuple[int, ...] | None
    summary: str
    text: str
    is_interrupted: bool = False
    holder: tuple[object, object] = (None, None)


class ResponseCheck(NamedTuple):
    """A further check of a reply. `describe` returns `expected` if the check passes, or what the reply has instead.

    `describe` gets the reply and the balance at the start of the case. `spec` is the contract's row, for a `should`.
    `balance_change` is the change that the check expects, in units, or None if the check is not about the balance.
    """

    name: str
    expected: str
    describe: Callable[[Observed, tuple[int, ...]], str]
    spec: str = ""
    balance_change: int | None = None

    def scale(self, unit: int) -> "ResponseCheck":
        """Return the check for amounts in this unit, in cents."""
        return self if self.balance_change is None else balance_change(self.balance_change, unit)


def cite_contract(row: str) -> str:
    return f"minwallet's contract: {row}"


def describe_balance_change(cents: int) -> str:
    """Return a balance change as `balance 0.05 higher`, `balance 0.05 lower` or `balance unchanged`."""
    return f"balance {format_difference(cents)}" if cents else "balance unchanged"


def format_difference(cents: int) -> str:
    """Return a difference as `0.05 higher` or `0.05 lower`."""
    return f"{format_amount(abs(cents))} {'higher' if cents > 0 else 'lower'}"


ACCEPTED = ResponseCheck(
    "answer", "accepted", lambda came, _: came.summary, cite_contract("The same request again gets the same success.")
)


def refusal_code(number: int | str, row: str) -> ResponseCheck:
    """Return a check of the code in a refusal."""

    def describe(came: Observed, _: tuple[int, ...]) -> str:
        if came.outcome != "refused":
            return came.summary
        return "no code" if came.code is None else f"code {came.code}"

    return ResponseCheck("code", f"code {number}", describe, cite_contract(row))


def http_status(status: int, row: str = "") -> ResponseCheck:
    return ResponseCheck("http", f"HTTP {status}", lambda came, _: f"HTTP {came.status}", cite_contract(row))


def balance_change(change: int, unit: int = 1) -> ResponseCheck:
    """Return a check of the balance in the reply, as a change since the start of the case, in units."""

    def describe(came: Observed, start: tuple[int, ...]) -> str:
        if came.balance is None:
            return "no reported balance"
        return f"reported {describe_balance_change(sum(came.balance) - sum(start))}"

    return ResponseCheck("tells", f"reported {describe_balance_change(change * unit)}", describe, balance_change=change)


def field_matches(name: str, predicate: Callable[[Any], bool], requirement: str) -> ResponseCheck:
    """Return a check of one field of the reply. `requirement` is the predicate in words."""
    expected = f"field {name} {requirement}"

    def describe(came: Observed, _: tuple[int, ...]) -> str:
        fields = came.fields or {}
        if predicate(fields.get(name)):
            return expected
        return f"field {name} is {fields[name]!r}" if name in fields else f"no field {name}"

    return ResponseCheck(name, expected, describe)


def is_whole_cents(value: object) -> bool:
    return type(value) is int and value >= 0


def is_nonempty_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


NO_STORE = ResponseCheck(
    "no-store",
    "the header Cache-Control: no-store",
    lambda came, _: (
        "the header Cache-Control: no-store"
        if "no-store" in came.headers.get("cache-control", "")
        else "no header Cache-Control: no-store"
    ),
)
