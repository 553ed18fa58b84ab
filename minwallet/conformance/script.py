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
"""What `but` makes of a field that is to be left out."""

ACCOUNTS = ("token", "second", "currency")
"""The tokens whose balances are watched."""

ENDED = ("expired", "revoked", "unknown")
"""The tokens with which no bet should be possible; if one is, it is the first player's."""

Outcome = Literal["accepted", "refused", "unclear"]


class All(NamedTuple):
    """As an amount, all that the player has, and `plus` cents; as a change of money, that all is gone."""

    plus: int = 0

    def __str__(self) -> str:
        return f"all+{self.plus}" if self.plus else "all"


ALL = EMPTY = All()

Cents = int | All


class Names(Protocol):
    """What a case's letters and amounts stand for in this run."""

    def id(self, letter: str) -> str: ...

    def cents(self, amount: Cents) -> int: ...


class Came(NamedTuple):
    """An answer: what HTTP says of it, its JSON object if it is one, and what the protocol makes of it.

    `status` is 0 and `words` says why where there was none.
    """

    status: int
    headers: Mapping[str, str]
    fields: Mapping[str, Any] | None
    outcome: Outcome
    code: object
    balance: tuple[int, ...] | None
    words: str
    text: str


class Says(NamedTuple):
    """Something an answer has to say: `look` puts into words what it does say, given the balance before the case."""

    name: str
    words: str
    look: Callable[[Came, tuple[int, ...]], str]
    because: str = ""


class Hope(NamedTuple):
    """What has to come of a step; `outcome` is None where any answer will do as long as the money is right."""

    outcome: Outcome | None
    money: Cents
    other: int
    says: Says | None
    should: Says | None


class Step(NamedTuple):
    asks: tuple["Ask", ...]
    hope: Hope

    def __str__(self) -> str:
        ask, *more = self.asks
        if not more:
            return ask.words
        if {each.words for each in more} == {ask.words}:
            return f"{len(self.asks)} at once: {ask.words}"
        return "at once: " + " and ".join(each.words for each in self.asks)


class Asking(ABC):
    """What is asked, waiting to be told what should come of it. `other` is the change of
    the other account's money."""

    @property
    @abstractmethod
    def asks(self) -> tuple["Ask", ...]: ...

    def accepted(
        self, money: Cents = 0, *, other: int = 0, says: Says | None = None, should: Says | None = None
    ) -> Step:
        return Step(self.asks, Hope("accepted", money, other, says, should))

    def refused(
        self, money: Cents = 0, *, other: int = 0, says: Says | None = None, should: Says | None = None
    ) -> Step:
        return Step(self.asks, Hope("refused", money, other, says, should))

    def moves(self, money: Cents, *, other: int = 0, says: Says | None = None, should: Says | None = None) -> Step:
        """The money is what counts; the answer may be any, or none."""
        return Step(self.asks, Hope(None, money, other, says, should))


@dataclass(frozen=True)
class Ask(Asking):
    """One request; `make` gives its command once the letters stand for something."""

    operation: str
    words: str
    make: Callable[[Names], Command]
    token: str = "token"  # noqa: S105 the name of a token, not one
    changes: Mapping[str, object] = field(default_factory=dict)
    method: str | None = None
    path: str | None = None
    body: bytes | None = None

    @property
    def asks(self) -> tuple["Ask", ...]:
        return (self,)

    @property
    def needs(self) -> set[str]:
        """The tokens without which it cannot be sent."""
        return {self.token, *re.findall(r"\{(\w+)\}", self.path or "")}

    def by(self, token: str) -> "Ask":
        """The same with another token, whose name is an option's."""
        return replace(self, token=token, words=f"{self.words} by {token}")

    def but(self, **changes: object) -> "Ask":
        """The same with other fields; a function makes the new value of the old one."""
        words = ", ".join(f"{name}={_word(value)}" for name, value in changes.items())
        return replace(self, changes={**self.changes, **changes}, words=f"{self.words} but {words}")

    def without(self, name: str) -> "Ask":
        return replace(self, changes={**self.changes, name: ABSENT}, words=f"{self.words} without {name}")

    def through(self, method: str) -> "Ask":
        """The same by another method of HTTP."""
        return replace(self, method=method, words=f"{method} {self.words}")

    def to(self, path: str) -> "Ask":
        """The same to another path, in which `{name}` stands for a token."""
        return replace(self, path=path, words=f"{self.words} to {_short(path)}")

    def as_body(self, body: bytes) -> "Ask":
        """Nothing but these bytes."""
        return replace(self, body=body, words=f"the body {_short(repr(body)[1:])}")


@dataclass(frozen=True)
class AtOnce(Asking):
    """Requests that are sent together, each on a connection of its own."""

    together: tuple[Ask, ...]

    @property
    def asks(self) -> tuple[Ask, ...]:
        return self.together


def at_once(*asks: Ask) -> AtOnce:
    return AtOnce(asks)


class Case(NamedTuple):
    """One rule. `spec` is the sentence behind it."""

    name: str
    rule: str
    spec: str
    steps: tuple[Step, ...]
    is_advice: bool

    @property
    def needs(self) -> set[str]:
        return set().union(*(ask.needs for step in self.steps for ask in step.asks))

    @property
    def advised(self) -> Says | None:
        """What is judged apart from a must, as it is only advice."""
        return None if self.is_advice else next((step.hope.should for step in self.steps if step.hope.should), None)


def must(name: str, rule: str, spec: str, *steps: Step) -> Case:
    """A rule of the specification, with its sentence."""
    return Case(name, rule, f"“{spec}”", steps, is_advice=False)


def should(name: str, rule: str, row: str, *steps: Step) -> Case:
    """A rule of minwallet's contract only, with its row."""
    return Case(name, rule, contract(row), steps, is_advice=True)


def contract(row: str) -> str:
    return f"minwallet's contract: {row}"


@dataclass(frozen=True)
class Dialect:
    """How one protocol says what every case needs."""

    protocol: WireProtocol
    question: Ask
    """What shows the balance and changes nothing."""
    take_back: Callable[[str, Mapping[str, object]], Ask]
    """Calls off the bet of this id, which was sent with these changes."""
    lose: Callable[[str, int], Sequence[Ask]]
    """Takes so many cents from the player for good, with this letter."""
    is_success: Callable[[Mapping[str, Any]], bool | None]
    """What the answer's own field says; None where it has none."""
    code_of: Callable[[Mapping[str, Any]], object]
    balance_of: Callable[[Mapping[str, Any]], tuple[int, ...] | None]
    player_of: Callable[[Mapping[str, Any]], tuple[object, object]]
    """The player and the currency in the answer to the question."""
    cases: tuple[Case, ...]


def whole(value: object) -> int | None:
    """The cents that a number means. One with a point is taken too, if nothing follows it: that it has the point is
    one case's failure, and should not be every case's."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def signed(cents: int) -> str:
    """`+0.05`, `-0.05`, `0.00`."""
    return f"{'+' if cents > 0 else ''}{format_amount(cents)}"


ACCEPTED = Says(
    "answer", "accepted", lambda came, _: came.outcome, contract("the same request again: the same success")
)


def http(status: int, row: str = "") -> Says:
    return Says("http", f"HTTP {status}", lambda came, _: f"HTTP {came.status}", contract(row))


def tells(change: int) -> Says:
    """The answer's own balance, against what it was when the case began."""

    def look(came: Came, start: tuple[int, ...]) -> str:
        return "no balance" if came.balance is None else f"tells {signed(sum(came.balance) - sum(start))}"

    return Says("tells", f"tells {signed(change)}", look)


def holds(name: str, fits: Callable[[Any], bool], what: str) -> Says:
    """A field of the answer is as it has to be."""

    def look(came: Came, _: tuple[int, ...]) -> str:
        value = (came.fields or {}).get(name)
        return f"{name} {what}" if fits(value) else f"{name} {value!r}"

    return Says(name, f"{name} {what}", look)


def is_whole(value: object) -> bool:
    return type(value) is int and value >= 0


def is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


NO_STORE = Says(
    "no-store",
    "no-store",
    lambda came, _: "no-store" if "no-store" in came.headers.get("cache-control", "") else "may be stored",
)


def _word(value: object) -> str:
    return str(getattr(value, "__name__", None) or _short(repr(value)))


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}…"
