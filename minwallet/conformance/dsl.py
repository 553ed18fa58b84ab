"""The language in which conformance cases are written.

Theory of operation
-------------------

A `Case` is a rule, the sentence of the specification behind it, and steps such as

    bet("a", 5).accepted(-5),
    bet("a", 5).moves(-5, should=ACCEPTED)

1. `bet("a", 5)` is a `RequestSpec`: a request without concrete ids. The number is the stake in units. A unit is one
   cent, or the amount of `--unit` for a wallet with a minimum stake.
2. `accepted`, `refused`, `one_accepted` or `moves` adds the `Expectation` and makes it a `CaseStep`. `moves` accepts
   any reply.
3. The runner resolves the letters to ids, sends the request, and compares reply and balance with the expectation.

Balance changes: the number in `accepted`, `refused` and `moves` is the change of the first player's balance, in units.
It counts from the start of the case, not from the previous step. The runner reads the balance through the protocol.

Further checks: `check` is what the reply must contain. `should` is what minwallet's contract adds; it has a result of
its own, which is advice, with the name `CASE/CHECK`.

Ids: a letter is a new id in each case, and the same letter is the same id. A capital letter is the small letter's id
plus 2^63. Ids are numbers, unless the suite's `format_id` makes text of them.

Amounts: `ALL` is the player's whole balance, in whole units; as a balance change, `EMPTY` means that it becomes 0, and
`All(5)` that it becomes 5 units. Cases with `ALL` are the last of a suite: a wallet that loses the whole balance would
fail all cases after them.

Specs are immutable. `by`, `with_fields` and the other modifiers return a changed copy with an extended description,
which the table of results shows.

Signed requests: the kit signs each request after all its changes, with the secret of `--secret-file`. `unsigned`,
`forged` and `stale` make the signature wrong. Accounts: a request contains the player and the currency of its token,
if the protocol writes them into requests. `naming("second")` writes those of another token.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol

from minwallet.conformance.amounts import AmountSpec, describe_amount
from minwallet.conformance.checks import ResponseCheck, cite_contract
from minwallet.conformance.request_fields import parse_json_object, read_fields, write_fields
from minwallet.ledger.commands import Command
from minwallet.protocols.wire import HttpRequest, HttpResponse, WireProtocol

ABSENT = object()
"""The value in `RequestSpec.changes` that removes a field."""

WATCHED_TOKENS = ("token", "second", "currency")
"""The tokens whose balances are compared."""

TOKEN_WORDS = {
    "second": "by the second player",
    "currency": "in the second currency",
    "expired": "with an expired session",
    "revoked": "with a revoked session",
    "unknown": "with an unknown session",
    "blocked": "by a blocked player",
}
"""The tokens' names in the description of a request."""

UNUSABLE_TOKENS = ("expired", "revoked", "unknown")
"""The tokens with which no bet should be possible. If a wallet takes one, the bet is the first player's."""

Signing = Literal["valid", "missing", "forged", "stale"]
"""The signature of a request: right, none, made with another secret, or older than the protocol allows."""

ExpectedOutcome = Literal["accepted", "refused", "not accepted", "exactly one accepted"]


class SameAs(NamedTuple):
    """The value in `RequestSpec.changes` of a field that equals another field of the request."""

    field: str


class Bindings(Protocol):
    """The ids and amounts of one run of a case; amounts are resolved to cents."""

    def resolve_id(self, letter: str) -> str: ...

    def resolve_amount(self, amount: AmountSpec) -> int: ...


class Expectation(NamedTuple):
    """The expected result of a step. `outcome` None means any reply, as long as the balances are right.

    `other_change` is the balance change of the other account in the case, in units.
    """

    outcome: ExpectedOutcome | None
    balance_change: AmountSpec
    other_change: int
    check: ResponseCheck | None
    should: ResponseCheck | None


class CaseStep(NamedTuple):
    """One step of a case: requests that are sent together, and what is expected of all their replies."""

    requests: tuple["RequestSpec", ...]
    expectation: Expectation

    @property
    def effect(self) -> tuple[object, ...]:
        """Return what the step does and moves, without its further checks."""
        outcome, change, other_change, _, _ = self.expectation
        return (self.describe(1), outcome, change, other_change)

    def describe(self, unit: int) -> str:
        """Return the requests in words, with amounts in this unit, in cents."""
        request, *more = [each.describe(unit) for each in self.requests]
        if not more:
            return request
        if {*more} == {request}:
            return f"{len(self.requests)} concurrent: {request}"
        return "concurrent: " + ", ".join([request, *more])


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

    def not_accepted(self, money: AmountSpec = 0, *, should: ResponseCheck | None = None) -> CaseStep:
        """Expect a refusal, or a reply without a clear result such as HTTP 500."""
        return CaseStep(self.requests, Expectation("not accepted", money, 0, None, should))

    def one_accepted(self, money: AmountSpec = 0) -> CaseStep:
        """Expect that one of several concurrent requests is accepted and no other."""
        return CaseStep(self.requests, Expectation("exactly one accepted", money, 0, None, None))

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
    """One request. `build_command` builds its command with the ids and amounts of a run.

    `label`, `amounts` and `details` describe it, such as `bet a`, 5 and `in round b`.
    """

    operation: str
    label: str
    build_command: Callable[[Bindings], Command]
    amounts: tuple[AmountSpec, ...] = ()
    details: tuple[str, ...] = ()
    token: str = "token"  # noqa: S105 the name of a token, not one
    changes: Mapping[str, object] = field(default_factory=dict)
    method: str | None = None
    path: str | None = None
    body: bytes | None = None
    named: str | None = None
    signing: Signing = "valid"

    @property
    def requests(self) -> tuple["RequestSpec", ...]:
        return (self,)

    @property
    def account(self) -> str:
        """Return the name of the token whose balance the request changes."""
        return "token" if self.token in UNUSABLE_TOKENS else self.token

    @property
    def required_tokens(self) -> set[str]:
        """Return the names of the tokens that the request needs."""
        named = {self.named} if self.named else set()
        return {self.token, *named, *re.findall(r"\{(\w+)\}", self.path or "")}

    def describe(self, unit: int) -> str:
        """Return the request in words, with amounts in this unit, in cents."""
        return " ".join([self.label, *(describe_amount(each, unit) for each in self.amounts), *self.details])

    def describe_without_amounts(self) -> str:
        """Return the request in words, without its amounts."""
        return " ".join([self.label, *self.details])

    def by(self, token: str) -> "RequestSpec":
        """Return the request with the token of this name."""
        return replace(self, token=token, details=(*self.details, TOKEN_WORDS.get(token, f"by {token}")))

    def with_fields(self, **changes: object) -> "RequestSpec":
        """Return the request with other values of fields. A function gets the old value and returns the new one."""
        shown = ", ".join(f"{name} {_describe_value(value)}" for name, value in changes.items())
        return replace(self, changes={**self.changes, **changes}, details=(*self.details, f"with {shown}"))

    def without(self, name: str) -> "RequestSpec":
        """Return the request without this field."""
        return replace(self, changes={**self.changes, name: ABSENT}, details=(*self.details, f"without {name}"))

    def with_method(self, method: str) -> "RequestSpec":
        """Return the request with another HTTP method."""
        return replace(self, method=method, label=f"{method} {self.label}")

    def to(self, path: str) -> "RequestSpec":
        """Return the request with another path. `{name}` in the path stands for the token of that name."""
        return replace(self, path=path, details=(*self.details, f"to {_truncate(path)}"))

    def naming(self, token: str) -> "RequestSpec":
        """Return the request with the player and the currency of another token, but with its own session."""
        return replace(self, named=token, details=(*self.details, f"naming the account of {token}"))

    def unsigned(self) -> "RequestSpec":
        """Return the request without a signature."""
        return replace(self, signing="missing", details=(*self.details, "without a signature"))

    def forged(self) -> "RequestSpec":
        """Return the request with a signature that was made with another secret."""
        return replace(self, signing="forged", details=(*self.details, "with a forged signature"))

    def stale(self) -> "RequestSpec":
        """Return the request with a signature that is older than the protocol allows."""
        return replace(self, signing="stale", details=(*self.details, "with a stale signature"))

    def with_body(self, body: bytes) -> "RequestSpec":
        """Return the request with these bytes as its body."""
        return replace(self, body=body, label=f"body {_truncate(repr(body)[1:])}")


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
    def operations(self) -> set[str]:
        """Return the operations of all requests."""
        return {request.operation for step in self.steps for request in step.requests}

    @property
    def is_race(self) -> bool:
        """Return True if requests are sent concurrently. One try of such a case proves little."""
        return any(len(step.requests) > 1 for step in self.steps)

    @property
    def advice_check(self) -> ResponseCheck | None:
        """Return the `should` check of the case, which has a result of its own, or None."""
        return next((step.expectation.should for step in self.steps if step.expectation.should), None)


def must(name: str, rule: str, spec: str, *steps: CaseStep, because: str = "") -> Case:
    """Return a case for a rule of the specification. `spec` quotes it, and `because` is our conclusion from it."""
    return Case(name, rule, f"“{spec}”{because and f' {because}'}", steps, is_advice=False)


def should(name: str, rule: str, row: str, *steps: CaseStep) -> Case:
    """Return a case for a rule of minwallet's contract only. `row` cites the contract."""
    return Case(name, rule, cite_contract(row), steps, is_advice=True)


class ReplyContent(NamedTuple):
    """The content of a reply.

    - `is_success`: None if the reply says neither success nor error; `problem` then says what it is.
    - `code`: the code of a refusal.
    - `balance`: the parts that the protocol reports, in cents; None without a balance in whole cents.
    - `holder`: the player and the currency, if the reply has them.
    - `fields`: what `field_matches` checks, None if the reply has no fields.
    """

    is_success: bool | None
    code: object = None
    balance: tuple[int, ...] | None = None
    holder: tuple[object, object] = (None, None)
    fields: Mapping[str, Any] | None = None
    problem: str = "neither success nor error"


NOT_JSON = ReplyContent(None, problem="not a JSON object")


@dataclass(frozen=True)
class ProtocolSuite:
    """The cases of one protocol, and the requests and fields that the runner needs.

    The last attributes have defaults, which suit a protocol with a `parse_response` and with fields in JSON, a form or
    a query.
    """

    protocol: WireProtocol
    balance_request: RequestSpec
    """A request that returns the balance and changes nothing."""
    cancel_bet: Callable[[str], RequestSpec]
    """Returns a request that cancels the bet of this id."""
    id_field: str
    """The name of the field with the id of a bet."""
    drain: Callable[[str, int], Sequence[RequestSpec]]
    """Returns requests that take an amount in units from the player permanently, in a bet with this letter as id."""
    cases: tuple[Case, ...]
    read_reply: Callable[[HttpResponse], ReplyContent] | None = None
    """Returns the content of a reply. None stands for the protocol's own `parse_response`.

    A reader of its own can accept what the protocol does not, such as 5.0, so that only the case for it fails.
    """
    format_id: Callable[[int], str] = str
    """Returns the id of a number, for a protocol whose ids are text."""
    read_fields: Callable[[HttpRequest], dict[str, Any]] = read_fields
    write_fields: Callable[[HttpRequest, Mapping[str, object]], HttpRequest] = write_fields

    def parse_reply(self, response: HttpResponse) -> ReplyContent:
        """Return the content of a reply; never raise ValueError."""
        if self.read_reply:
            return self.read_reply(response)
        try:
            reply = self.protocol.parse_response(response)
        except ValueError:
            return ReplyContent(None, problem="a malformed reply")
        parts = tuple(cents for cents in (reply.balance, reply.balance2) if cents is not None)
        holder, fields = (reply.player_id, reply.currency), parse_json_object(response.body)
        return ReplyContent(reply.code == 0, reply.code, parts or None, holder, fields)


def _describe_value(value: object) -> str:
    """Return a changed value in words: the JSON of a constant, such as `null`, or the name of a function."""
    if isinstance(value, SameAs):
        return f"the same as {value.field}"
    if not callable(value):
        return _truncate(json.dumps(value, ensure_ascii=False))
    words = {"str": "as text", "float": "as a decimal"}
    name = str(getattr(value, "__name__", value))
    return words.get(name) or name.replace("_", " ")


def _truncate(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}…"
