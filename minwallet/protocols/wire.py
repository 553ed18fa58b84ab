"""What every wire protocol has in common: the shapes between its bytes and the ledger's commands."""

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

from minwallet.ledger.commands import Command
from minwallet.ledger.entries import Entry
from minwallet.ledger.outcomes import Outcome, SessionUnknown

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


class AccountHolder(NamedTuple):
    """Whose account a call was about."""

    player_id: str
    currency: str


class HttpRequest(NamedTuple):
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


class WalletResponse(NamedTuple):
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

    def render(self, call: Call, outcome: Outcome | SessionUnknown, holder: AccountHolder | None, now_ms: int) -> bytes:
        """The body that answers an intelligible request."""

    def redact(self, call: Call, raw: bytes, now_ms: int) -> str:
        """What `parse` was given, with REDACTED in the place of the token; other words for the same where the token is
        written in a way that hides it, or is found elsewhere too."""

    def render_error(self, malformed: Malformed, now_ms: int) -> bytes:
        """The body that answers any other."""

    def error_code_for_status(self, http_status: int) -> int:
        """The protocol's code for an answer that HTTP itself calls an error."""

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        """The request that a provider sends for this call."""

    def parse_response(self, body: bytes) -> WalletResponse:
        """What a wallet's answer says; ValueError for one that makes no sense."""

    def rebuild(self, entry: Entry, token: str) -> Call:
        """The provider's call that made this row of the ledger, as the bearer of `token` would make it again."""

    def build_launch_url(self, launch: Launch) -> str:
        """The address that opens a game."""

    def parse_launch_url(self, url: str) -> Launch:
        """What such an address says; a missing game is ""."""


def is_printable_text(value: object, max_length: int) -> bool:
    """Whether it is text of printable symbols, at most so many."""
    return isinstance(value, str) and len(value) <= max_length and value.isprintable()


def add_query(base: str, parameters: Mapping[str, str]) -> str:
    """`base` with these parameters in their order, percent-encoded, after any that it has."""
    separator = "?" if "?" not in base else "" if base.endswith(("?", "&")) else "&"
    return f"{base}{separator}{urlencode(parameters, quote_via=quote)}"


def split_query(url: str) -> tuple[str, dict[str, str]]:
    """The address without its query, and what the query says."""
    base, _, query = url.partition("?")
    return base, dict(parse_qsl(query, keep_blank_values=True))


_JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def contains_token(token: str, text: str) -> bool:
    """Whether the text has the token, as it is or spelled with the escapes of a query or of JSON."""
    if "%" in text or "\\" in text:
        text = f"{text} {unquote_plus(_JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))}"
    return token in text


def reject_json_constants(name: str) -> None:
    """For a reader of JSON: NaN and Infinity, which Python's own would take."""
    raise ValueError(f"{name} is not JSON")
