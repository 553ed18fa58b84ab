"""What every wire protocol has in common: the shapes between its bytes and the ledger's commands."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

from minwallet.ledger.commands import Command
from minwallet.ledger.entries import Entry
from minwallet.ledger.outcomes import Outcome, Stranger
from minwallet.ledger.tickets import ReportRow

REDACTED = "TOKEN"
"""What stands for a session's token wherever a request is written down."""


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

    @property
    def target(self) -> str:
        """The path and the query, as they follow a wallet's or a provider's own address."""
        return f"{self.path}?{self.query.decode()}" if self.query else self.path

    def __str__(self) -> str:
        return f"{self.method} {self.target} {self.body.decode()}".rstrip()


class Answer(NamedTuple):
    """What a caller reads: `code` is 0 for success. The rest is there as far as the wallet said it."""

    code: int
    message: str | None = None
    balance: int | None = None
    balance2: int | None = None
    player_id: str | None = None
    currency: str | None = None


class Launch(NamedTuple):
    """What a launch URL says. `base` is the address of the games or of the one game, `agent` how the provider knows
    the operator. Without a token the game is played with virtual credit: demo mode, guest mode.
    """

    base: str
    game: str
    lang: str
    token: str | None = None
    agent: str = ""


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

    def redact(self, call: Call, raw: bytes, now_ms: int) -> str:
        """What `parse` was given, with REDACTED in the place of the token; other words for the same where the token is
        written in a way that hides it, or is found elsewhere too."""

    def complain(self, complaint: Malformed, now_ms: int) -> bytes:
        """The body that answers any other."""

    def fault_code(self, http_status: int) -> int:
        """The protocol's code for an answer that HTTP itself calls an error."""

    def build(self, call: Call, now_ms: int, wallet_token: str | None = None) -> Exchange:
        """The request that a provider sends for this call."""

    def read(self, body: bytes) -> Answer:
        """What a wallet's answer says; ValueError for one that makes no sense."""

    def recall(self, entry: Entry, token: str) -> Call:
        """The provider's call that made this row of the ledger, as the bearer of `token` would make it again."""

    def launch(self, launch: Launch) -> str:
        """The address that opens a game."""

    def read_launch(self, url: str) -> Launch:
        """What such an address says; a missing game is ""."""


class Game(NamedTuple):
    """A game of the provider's list. `titles` by language."""

    code: str
    titles: Mapping[str, str]
    url: str


class ReportPage(NamedTuple):
    """Rows of the report in the order in which they came to be, and the key from which to ask on."""

    rows: Sequence[ReportRow]
    key: str


class ServiceError(NamedTuple):
    """The provider understood and says no, with its code."""

    code: int
    message: str


class ReportUnit(StrEnum):
    """What an amount of 1 in a report is."""

    CENTS = "cents"
    UNITS = "units"


class ServiceProtocol(Protocol):
    """What a provider offers its operators, both halves: ask and read for the operator, show for the provider.

    The readers raise ValueError, in words, for what makes no sense.
    """

    routes: Mapping[str, str]
    first_key: str
    """The key that asks for the beginning of the report."""

    def ask_games(self, host_id: str) -> Exchange: ...

    def read_games(self, body: bytes) -> list[Game] | ServiceError: ...

    def ask_report(self, host_id: str, key: str) -> Exchange:
        """`key` is "" at first, later what the last page said."""

    def read_report(self, body: bytes, unit: ReportUnit) -> ReportPage | ServiceError: ...

    def show_games(self, games: Sequence[Game]) -> bytes: ...

    def show_report(self, page: ReportPage) -> bytes: ...

    def show_error(self, error: ServiceError) -> bytes: ...


def is_text(value: object, longest: int) -> bool:
    """Whether it is text of printable symbols, at most so many."""
    return isinstance(value, str) and len(value) <= longest and value.isprintable()


def add_query(base: str, parameters: Mapping[str, str]) -> str:
    """`base` with these parameters in their order, percent-encoded, after any that it has."""
    joint = "?" if "?" not in base else "" if base.endswith(("?", "&")) else "&"
    return f"{base}{joint}{urlencode(parameters, quote_via=quote)}"


def split_query(url: str) -> tuple[str, dict[str, str]]:
    """The address without its query, and what the query says."""
    base, _, query = url.partition("?")
    return base, dict(parse_qsl(query, keep_blank_values=True))


_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def is_told(token: str, text: str) -> bool:
    """Whether the text has the token, as it is or spelled with the escapes of a query or of JSON."""
    if "%" in text or "\\" in text:
        text = f"{text} {unquote_plus(_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))}"
    return token in text


def no_constants(name: str) -> None:
    """For a reader of JSON: NaN and Infinity, which Python's own would take."""
    raise ValueError(f"{name} is not JSON")
