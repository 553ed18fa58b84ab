"""The words in which cases are written. A case is a rule, the sentence it rests on, and steps such as

    bet("a", 5).accepted(-5),
    bet("a", 5).moves(-5, should=ACCEPTED)

The first number is a stake in cents. The one in `accepted`, `refused` and `moves` is by how much the player's money
then differs from what it was when the case began, read through the protocol itself. `says` is what the answer must
contain as well, `should` what minwallet's contract adds: where the case is a *must*, that is judged apart, as advice.

Ids are letters, which stand for fresh numbers in each case; a capital letter is the small letter's number plus 2^63.
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
"""What `with_fields` makes of a field that is to be left out."""

WATCHED_TOKENS = ("token", "second", "currency")
"""The tokens whose balances are watched."""

UNUSABLE_TOKENS = ("expired", "revoked", "unknown")
"""The tokens with which no bet should be possible; if one is, it is the first player's."""

ResponseOutcome = Literal["accepted", "refused", "unclear"]


class All(NamedTuple):
    """As an amount, all that the player has, and `plus` cents; as a change of money, that all is gone."""

    plus: int = 0

    def __str__(self) -> str:
        return f"all+{self.plus}" if self.plus else "all"


ALL = EMPTY = All()

AmountSpec = int | All


class Bindings(Protocol):
    """What a case's letters and amounts stand for in this run."""

    def resolve_id(self, letter: str) -> str: ...

    def resolve_amount(self, amount: AmountSpec) -> int: ...


class Observed(NamedTuple):
    """An answer: what HTTP says of it, its JSON object if it is one, and what the protocol makes of it.

    `status` is 0 and `words` says why where there was none.
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
    """Something an answer has to say: `describe` returns a text for what it does say, given the balance before."""

    name: str
    expected: str
    describe: Callable[[Observed, tuple[int, ...]], str]
    spec: str = ""


class Expectation(NamedTuple):
    """What has to come of a step; `outcome` is None where any answer will do as long as the money is right."""

    outcome: ResponseOutcome | None
    balance_change: AmountSpec
    other_change: int
    check: ResponseCheck | None
    should: ResponseCheck | None


class CaseStep(NamedTuple):
    requests: tuple["RequestSpec", ...]
    expectation: Expectation

    def __str__(self) -> str:
        request, *more = self.requests
        if not more:
            return request.description
        if {each.description for each in more} == {request.description}:
            return f"{len(self.requests)} at once: {request.description}"
        return "at once: " + " and ".join(each.description for each in self.requests)


class StepBuilder(ABC):
    """What is asked, waiting to be told what should come of it. `other_change` is the change of
    the other account's money."""

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
        """The money is what counts; the answer may be any, or none."""
        return CaseStep(self.requests, Expectation(None, money, other, check, should))


@dataclass(frozen=True)
class RequestSpec(StepBuilder):
    """One request; `build_command` gives its command once the letters stand for something."""

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
        """The tokens without which it cannot be sent."""
        return {self.token, *re.findall(r"\{(\w+)\}", self.path or "")}

    def by(self, token: str) -> "RequestSpec":
        """The same with another token, whose name is an option's."""
        return replace(self, token=token, description=f"{self.description} by {token}")

    def with_fields(self, **changes: object) -> "RequestSpec":
        """The same with other fields; a function makes the new value of the old one."""
        words = ", ".join(f"{name}={_describe_value(value)}" for name, value in changes.items())
        return replace(self, changes={**self.changes, **changes}, description=f"{self.description} but {words}")

    def without(self, name: str) -> "RequestSpec":
        return replace(self, changes={**self.changes, name: ABSENT}, description=f"{self.description} without {name}")

    def with_method(self, method: str) -> "RequestSpec":
        """The same by another method of HTTP."""
        return replace(self, method=method, description=f"{method} {self.description}")

    def to(self, path: str) -> "RequestSpec":
        """The same to another path, in which `{name}` stands for a token."""
        return replace(self, path=path, description=f"{self.description} to {_truncate(path)}")

    def with_body(self, body: bytes) -> "RequestSpec":
        """Nothing but these bytes."""
        return replace(self, body=body, description=f"the body {_truncate(repr(body)[1:])}")


@dataclass(frozen=True)
class ConcurrentRequests(StepBuilder):
    """Requests that are sent together, each on a connection of its own."""

    specs: tuple[RequestSpec, ...]

    @property
    def requests(self) -> tuple[RequestSpec, ...]:
        return self.specs


def concurrently(*specs: RequestSpec) -> ConcurrentRequests:
    return ConcurrentRequests(specs)


class Case(NamedTuple):
    """One rule. `spec` is the sentence behind it."""

    name: str
    rule: str
    spec: str
    steps: tuple[CaseStep, ...]
    is_advice: bool

    @property
    def required_tokens(self) -> set[str]:
        return set().union(*(ask.required_tokens for step in self.steps for ask in step.requests))

    @property
    def advice_check(self) -> ResponseCheck | None:
        """What is judged apart from a must, as it is only advice."""
        return (
            None
            if self.is_advice
            else next((step.expectation.should for step in self.steps if step.expectation.should), None)
        )


def must(name: str, rule: str, spec: str, *steps: CaseStep) -> Case:
    """A rule of the specification, with its sentence."""
    return Case(name, rule, f"“{spec}”", steps, is_advice=False)


def should(name: str, rule: str, row: str, *steps: CaseStep) -> Case:
    """A rule of minwallet's contract only, with its row."""
    return Case(name, rule, cite_contract(row), steps, is_advice=True)


def cite_contract(row: str) -> str:
    return f"minwallet's contract: {row}"


@dataclass(frozen=True)
class ProtocolSuite:
    """How one protocol says what every case needs."""

    protocol: WireProtocol
    balance_request: RequestSpec
    """What shows the balance and changes nothing."""
    cancel_bet: Callable[[str, Mapping[str, object]], RequestSpec]
    """Calls off the bet of this id, which was sent with these changes."""
    drain: Callable[[str, int], Sequence[RequestSpec]]
    """Takes so many cents from the player for good, with this letter."""
    is_success: Callable[[Mapping[str, Any]], bool | None]
    """What the answer's own field says; None where it has none."""
    get_code: Callable[[Mapping[str, Any]], object]
    get_balance: Callable[[Mapping[str, Any]], tuple[int, ...] | None]
    get_player: Callable[[Mapping[str, Any]], tuple[object, object]]
    """The player and the currency in the answer to the question."""
    cases: tuple[Case, ...]


def parse_whole_cents(value: object) -> int | None:
    """The cents that a number means. One with a point is taken too, if nothing follows it: that it has the point is
    one case's failure, and should not be every case's."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def format_change(cents: int) -> str:
    """`+0.05`, `-0.05`, `0.00`."""
    return f"{'+' if cents > 0 else ''}{format_amount(cents)}"


ACCEPTED = ResponseCheck(
    "answer", "accepted", lambda came, _: came.outcome, cite_contract("the same request again: the same success")
)


def http_status(status: int, row: str = "") -> ResponseCheck:
    return ResponseCheck("http", f"HTTP {status}", lambda came, _: f"HTTP {came.status}", cite_contract(row))


def balance_change(change: int) -> ResponseCheck:
    """The answer's own balance, against what it was when the case began."""

    def describe(came: Observed, start: tuple[int, ...]) -> str:
        return "no balance" if came.balance is None else f"tells {format_change(sum(came.balance) - sum(start))}"

    return ResponseCheck("tells", f"tells {format_change(change)}", describe)


def field_matches(name: str, predicate: Callable[[Any], bool], requirement: str) -> ResponseCheck:
    """A field of the answer is as it has to be."""

    def describe(came: Observed, _: tuple[int, ...]) -> str:
        value = (came.fields or {}).get(name)
        return f"{name} {requirement}" if predicate(value) else f"{name} {value!r}"

    return ResponseCheck(name, f"{name} {requirement}", describe)


def is_whole_cents(value: object) -> bool:
    return type(value) is int and value >= 0


def is_nonempty_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


NO_STORE = ResponseCheck(
    "no-store",
    "no-store",
    lambda came, _: "no-store" if "no-store" in came.headers.get("cache-control", "") else "may be stored",
)


def _describe_value(value: object) -> str:
    return str(getattr(value, "__name__", None) or _truncate(repr(value)))


def _truncate(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}…"
