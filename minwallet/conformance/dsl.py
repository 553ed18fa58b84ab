"""The language in which conformance cases are written.

Theory of operation
-------------------

A `Case` is a rule, the sentence of the specification behind it, and steps such as

    bet("a", 5).accepted(-5),
    bet("a", 5).moves(-5, should=ACCEPTED)

1. `bet("a", 5)` is a `RequestSpec`: a request without concrete ids. The number is the stake in cents.
2. `accepted`, `refused` or `moves` adds the `Expectation` and makes it a `CaseStep`. `moves` accepts any reply.
3. The runner resolves the letters to ids, sends the request, and compares reply and balance with the expectation.

Balance changes: the number in `accepted`, `refused` and `moves` is the change of the first player's balance, in cents.
It counts from the start of the case, not from the previous step. The runner reads the balance through the protocol.

Further checks: `check` is what the reply must contain. `should` is what minwallet's contract adds to a *must*; it
has a result of its own, which is advice, with the name `CASE/CHECK`.

Ids: a letter is a new id in each case, and the same letter is the same id. A capital letter is the small letter's id
plus 2^63. Amounts: `ALL` is the player's whole balance; as a balance change, `EMPTY` means that it becomes 0, and
`All(5)` that it becomes 5 cents.

Specs are immutable. `by`, `with_fields` and the other modifiers return a changed copy with an extended description,
which the table of results shows.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol

from minwallet.ledger.commands import Command
from minwallet.ledger.money import format_amount
from minwallet.protocols.wire import WireProtocol

ABSENT = object()
"""The value in `RequestSpec.changes` that removes a field."""

WATCHED_TOKENS = ("token", "second", "currency")
"""The tokens whose balances are compared."""

UNUSABLE_TOKENS = ("expired", "revoked", "unknown")
"""The tokens with which no bet should be possible. If a wallet takes one, the bet is the first player's."""

ResponseOutcome = Literal["accepted", "refused", "unclear"]


class All(NamedTuple):
    """The player's whole balance plus `plus` cents. As a balance change it means that the balance becomes `plus`."""

    plus: int = 0


ALL = EMPTY = All()

AmountSpec = int | All


class Bindings(Protocol):
    """The ids and amounts of one run of a case."""

    def resolve_id(self, letter: str) -> str: ...

    def resolve_amount(self, amount: AmountSpec) -> int: ...


class Observed(NamedTuple):
    """A reply: its HTTP status and headers, its JSON fields (None if it is not an object), and their meaning.

    Without a reply, `status` is 0 and `summary` says why. `balance` has the parts that the protocol reports, in cents.
    """

    status: int
    headers: Mapping[str, str]
    fields: Mapping[str, Any] | None
    outcome: ResponseOutcome
    code: object
    balance: tuple[int, ...] | None
    summary: str
    text: str


class ResponseCheck(NamedTuple):
    """A further check of a reply. `describe` returns `expected` if the check passes, or what the reply has instead.

    `describe` gets the reply and the balance at the start of the case. `spec` is the contract's row, for a `should`.
    """

    name: str
    expected: str
    describe: Callable[[Observed, tuple[int, ...]], str]
    spec: str = ""


class Expectation(NamedTuple):
    """The expected result of a step. `outcome` None means any reply, as long as the balances are right.

    `other_change` is the balance change of the other account in the case, in cents.
    """

    outcome: ResponseOutcome | None
    balance_change: AmountSpec
    other_change: int
    check: ResponseCheck | None
    should: ResponseCheck | None


class CaseStep(NamedTuple):
    """One step of a case: requests that are sent together, and what is expected of all their replies."""

    requests: tuple["RequestSpec", ...]
    expectation: Expectation

    def __str__(self) -> str:
        request, *more = self.requests
        if not more:
            return request.description
        if {each.description for each in more} == {request.description}:
            return f"{len(self.requests)} concurrent: {request.description}"
        return "concurrent: " + ", ".join(each.description for each in self.requests)


class StepBuilder(ABC):
    """One or more requests without an expectation yet. `money` and `other` are balance changes; see above."""

    @property
    @abstractmethod
    def requests(self) -> tuple["RequestSpec", ...]: ...

    def accepted(
        self,
        money: AmountSpec = 0,
        *,
        other: int = 0,
        check: ResponseCheck | None = None,
        should: ResponseCheck | None = None,
    ) -> CaseStep:
        return CaseStep(self.requests, Expectation("accepted", money, other, check, should))

    def refused(
        self,
        money: AmountSpec = 0,
        *,
        other: int = 0,
        check: ResponseCheck | None = None,
        should: ResponseCheck | None = None,
    ) -> CaseStep:
        return CaseStep(self.requests, Expectation("refused", money, other, check, should))

    def moves(
        self,
        money: AmountSpec,
        *,
        other: int = 0,
        check: ResponseCheck | None = None,
        should: ResponseCheck | None = None,
    ) -> CaseStep:
        """Expect the balance change only. The reply may be any, or none."""
        return CaseStep(self.requests, Expectation(None, money, other, check, should))


@dataclass(frozen=True)
class RequestSpec(StepBuilder):
    """One request. `build_command` builds its command with the ids and amounts of a run."""

    operation: str
    description: str
    build_command: Callable[[Bindings], Command]
    token: str = "token"  # noqa: S105 the name of a token, not one
    changes: Mapping[str, object] = field(default_factory=dict)
    method: str | None = None
    path: str | None = None
    body: bytes | None = None

    @property
    def requests(self) -> tuple["RequestSpec", ...]:
        return (self,)

    @property
    def required_tokens(self) -> set[str]:
        """Return the names of the tokens that the request needs."""
        return {self.token, *re.findall(r"\{(\w+)\}", self.path or "")}

    def by(self, token: str) -> "RequestSpec":
        """Return the request with the token of this name."""
        return replace(self, token=token, description=f"{self.description} by {token}")

    def with_fields(self, **changes: object) -> "RequestSpec":
        """Return the request with other values of fields. A function gets the old value and returns the new one."""
        shown = ", ".join(f"{name}={_describe_value(value)}" for name, value in changes.items())
        return replace(self, changes={**self.changes, **changes}, description=f"{self.description} with {shown}")

    def without(self, name: str) -> "RequestSpec":
        """Return the request without this field."""
        return replace(self, changes={**self.changes, name: ABSENT}, description=f"{self.description} without {name}")

    def with_method(self, method: str) -> "RequestSpec":
        """Return the request with another HTTP method."""
        return replace(self, method=method, description=f"{method} {self.description}")

    def to(self, path: str) -> "RequestSpec":
        """Return the request with another path. `{name}` in the path stands for the token of that name."""
        return replace(self, path=path, description=f"{self.description} to {_truncate(path)}")

    def with_body(self, body: bytes) -> "RequestSpec":
        """Return the request with these bytes as its body."""
        return replace(self, body=body, description=f"body {_truncate(repr(body)[1:])}")


@dataclass(frozen=True)
class ConcurrentRequests(StepBuilder):
    """Requests that are sent concurrently, each on its own connection."""

    specs: tuple[RequestSpec, ...]

    @property
    def requests(self) -> tuple[RequestSpec, ...]:
        return self.specs


def concurrently(*specs: RequestSpec) -> ConcurrentRequests:
    return ConcurrentRequests(specs)


class Case(NamedTuple):
    """One rule with its steps. `spec` is the sentence behind the rule. `is_advice` marks a *should*."""

    name: str
    rule: str
    spec: str
    steps: tuple[CaseStep, ...]
    is_advice: bool

    @property
    def required_tokens(self) -> set[str]:
        return set().union(*(request.required_tokens for step in self.steps for request in step.requests))

    @property
    def advice_check(self) -> ResponseCheck | None:
        """Return the `should` check of a *must*, which has a result of its own, or None."""
        return (
            None
            if self.is_advice
            else next((step.expectation.should for step in self.steps if step.expectation.should), None)
        )


def must(name: str, rule: str, spec: str, *steps: CaseStep) -> Case:
    """Return a case for a rule of the specification. `spec` quotes the specification."""
    return Case(name, rule, f"“{spec}”", steps, is_advice=False)


def should(name: str, rule: str, row: str, *steps: CaseStep) -> Case:
    """Return a case for a rule of minwallet's contract only. `row` cites the contract."""
    return Case(name, rule, cite_contract(row), steps, is_advice=True)


def cite_contract(row: str) -> str:
    return f"minwallet's contract: {row}"


@dataclass(frozen=True)
class ProtocolSuite:
    """The cases of one protocol, and the requests and fields that the runner needs."""

    protocol: WireProtocol
    balance_request: RequestSpec
    """A request that returns the balance and changes nothing."""
    cancel_bet: Callable[[str, Mapping[str, object]], RequestSpec]
    """Returns a request that cancels the bet of this id. The bet was sent with these changes."""
    drain: Callable[[str, int], Sequence[RequestSpec]]
    """Returns requests that take an amount in cents from the player permanently, in a bet with this letter as id."""
    is_success: Callable[[Mapping[str, Any]], bool | None]
    """Returns whether the reply's fields mean success, None if they do not say."""
    get_code: Callable[[Mapping[str, Any]], object]
    get_balance: Callable[[Mapping[str, Any]], tuple[int, ...] | None]
    get_player: Callable[[Mapping[str, Any]], tuple[object, object]]
    """Returns the player and the currency in the reply to `balance_request`."""
    cases: tuple[Case, ...]


def parse_whole_cents(value: object) -> int | None:
    """Return the number of cents, None if it is not a whole number.

    A float such as 5.0 is accepted here. One case checks for the decimal point, and only that case should fail.
    """
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def format_change(cents: int) -> str:
    """Return a change as `+0.05`, `-0.05` or `0.00`."""
    return f"{'+' if cents > 0 else ''}{format_amount(cents)}"


def describe_balance_change(cents: int) -> str:
    """Return a balance change as `balance +0.05`, `balance -0.05` or `balance unchanged`."""
    return f"balance {format_change(cents)}" if cents else "balance unchanged"


def describe_amount(amount: AmountSpec) -> str:
    """Return an amount as `0.05`, `all` or `all+0.01`."""
    if isinstance(amount, All):
        return f"all+{format_amount(amount.plus)}" if amount.plus else "all"
    return format_amount(amount)


ACCEPTED = ResponseCheck(
    "answer", "accepted", lambda came, _: came.outcome, cite_contract("the same request again: the same success")
)


def http_status(status: int, row: str = "") -> ResponseCheck:
    return ResponseCheck("http", f"HTTP {status}", lambda came, _: f"HTTP {came.status}", cite_contract(row))


def balance_change(change: int) -> ResponseCheck:
    """Return a check of the balance in the reply, as a change since the start of the case."""

    def describe(came: Observed, start: tuple[int, ...]) -> str:
        if came.balance is None:
            return "no reported balance"
        return f"reported {describe_balance_change(sum(came.balance) - sum(start))}"

    return ResponseCheck("tells", f"reported {describe_balance_change(change)}", describe)


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
    "no-store",
    lambda came, _: "no-store" if "no-store" in came.headers.get("cache-control", "") else "cacheable",
)


def _describe_value(value: object) -> str:
    return str(getattr(value, "__name__", None) or _truncate(repr(value)))


def _truncate(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}…"
