"""What every wire protocol has in common: the shapes between its bytes and the ledger's commands."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from minwallet.ledger.commands import Command
from minwallet.ledger.outcomes import Outcome, Stranger


class Call(NamedTuple):
    """An intelligible request: whose session, and what is asked of it."""

    operation: str
    token: str
    command: Command


class Malformed(NamedTuple):
    """A request nobody can act on, with the protocol's own code for it and words that name the field."""

    operation: str
    code: int
    message: str


class Holder(NamedTuple):
    """Whose account a call was about."""

    player_id: str
    currency: str


class Exchange(NamedTuple):
    """What a caller sends: `body` for a POST, `query` for a GET."""

    method: str
    path: str
    query: bytes = b""
    body: bytes = b""


class Answer(NamedTuple):
    """What a caller reads: `code` is 0 for success. The rest is there as far as the wallet said it."""

    code: int
    message: str | None = None
    balance: int | None = None
    balance2: int | None = None
    player_id: str | None = None
    currency: str | None = None


class WireProtocol(Protocol):
    """Both halves of one protocol. `routes` maps a path to the operation it names, "" where the body names it."""

    name: str
    method: str
    routes: Mapping[str, str]
    ids_per_currency: bool

    def parse(self, operation: str, raw: bytes) -> Call | Malformed:
        """The request in the body of a POST, or in the query of a GET."""

    def render(self, call: Call, outcome: Outcome | Stranger, holder: Holder | None, now_ms: int) -> bytes:
        """The body that answers an intelligible request."""

    def complain(self, complaint: Malformed, now_ms: int) -> bytes:
        """The body that answers any other."""

    def fault_code(self, http_status: int) -> int:
        """The protocol's code for an answer that HTTP itself calls an error."""

    def build(self, call: Call, now_ms: int, wallet_token: str | None = None) -> Exchange:
        """The request that a provider sends for this call."""

    def read(self, body: bytes) -> Answer:
        """What a wallet's answer says; ValueError for one that makes no sense."""


def is_text(value: object, longest: int) -> bool:
    """Whether it is text of printable symbols, at most so many."""
    return isinstance(value, str) and len(value) <= longest and value.isprintable()
