"""The stable interface of a wire protocol, and the values between its bytes and the ledger's commands."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

from minwallet.ledger.commands import Command
from minwallet.ledger.entries import Entry
from minwallet.ledger.outcomes import Outcome, SessionUnknown

REDACTED = "TOKEN"
"""The word that replaces a session's token in every stored or logged request."""


class Call(NamedTuple):
    """A well-formed request: the operation by the protocol's own name, the session's token, and the command."""

    operation: str
    token: str
    command: Command


class Malformed(NamedTuple):
    """A malformed request, with the protocol's error code and a message that names the field.

    The message is logged, so it contains no value of the request: a wrong field may contain a token.
    `operation` is "" if the request names none that is known. `reason` is for the operator where the specification has
    a message that says less, such as "Invalid Token"; "" stands for the message.
    """

    operation: str
    code: int
    message: str
    reason: str = ""


class AccountHolder(NamedTuple):
    """The player and the currency of the account that a call was for."""

    player_id: str
    currency: str


class HttpRequest(NamedTuple):
    """A request as a caller sends it: `body` for a POST, `query` (without the "?") for a GET."""

    method: str
    path: str
    query: bytes = b""
    body: bytes = b""

    @property
    def target(self) -> str:
        """Return the path and the query, to be appended to the base address of a wallet or provider."""
        return f"{self.path}?{self.query.decode()}" if self.query else self.path

    def __str__(self) -> str:
        return f"{self.method} {self.target} {self.body.decode()}".rstrip()


class WalletResponse(NamedTuple):
    """A wallet's reply as a caller reads it. `code` is 0 for success; a field that the reply lacks is None.

    `balance` and `balance2` are cents: wallet-v2's `credit` and None, vela's `balance` and `balance2`.
    """

    code: int
    message: str | None = None
    balance: int | None = None
    balance2: int | None = None
    player_id: str | None = None
    currency: str | None = None


class Launch(NamedTuple):
    """The content of a launch URL.

    `base` is the address of all games (wallet-v2) or of this game (vela). `agent` is the provider's id of the operator:
    the wallet token or the host_id. Without a token the game uses virtual credit (demo mode, guest mode).
    """

    base: str
    game: str
    lang: str
    token: str | None = None
    agent: str = ""


class WireProtocol(Protocol):
    """Both halves of one protocol: parse and render for the wallet, build and parse for a caller.

    An instance has no state, so that many calls can use it at the same time.
    """

    name: str
    """The name in the registry, in the ledger's entries and on the command line."""
    method: str
    """The only HTTP method, "GET" or "POST"; every other one gets 405."""
    routes: Mapping[str, str]
    """Maps each path to the operation it names, or to "" if the body names it."""
    operations: Collection[str]
    """All operations by the protocol's own names. Another one in a Call or Malformed is logged as `unknown`."""
    ids_per_currency: bool
    """True if a transaction id is unique per agent and currency, False if per agent."""

    def parse(self, operation: str, raw: bytes) -> Call | Malformed:
        """Return the call in `raw`, the body of a POST or the query of a GET; never raise.

        `operation` is the one of the path. Return Malformed if a field is missing, of the wrong type or out of range.
        """

    def render(self, call: Call, outcome: Outcome | SessionUnknown, holder: AccountHolder | None, now_ms: int) -> bytes:
        """Return the reply's body for a call. It is called after the commit of everything that the reply states.

        `holder` is required for the answer to a query and may be None otherwise. `now_ms` is the time in ms since 1970
        UTC.
        """

    def redact(self, call: Call, raw: bytes, now_ms: int) -> str:
        """Return the request `raw` with REDACTED in place of the token, for the journal.

        If the token is escaped or occurs in another field too, return an equivalent request without it.
        """

    def render_error(self, malformed: Malformed, now_ms: int) -> bytes:
        """Return the reply's body for a malformed request."""

    def error_code_for_status(self, http_status: int) -> int:
        """Return the protocol's error code that goes with an HTTP error status such as 405, 413 or 503."""

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        """Return the request that a provider sends for this call.

        Raise ValueError if the protocol has no such command. `wallet_token` adds the agent to the path, if the protocol
        has such a path.
        """

    def parse_response(self, body: bytes) -> WalletResponse:
        """Return the content of a wallet's reply. Raise ValueError if it is malformed."""

    def rebuild(self, entry: Entry, token: str) -> Call:
        """Return the call that created this entry, with `token` as its session, to be sent as a retry.

        Raise ValueError if the protocol has no such kind of entry.
        """

    def build_launch_url(self, launch: Launch) -> str:
        """Return the address that opens a game."""

    def parse_launch_url(self, url: str) -> Launch:
        """Return the content of a launch URL; a missing text is "", a missing token None."""


_CONTROL_OR_SURROGATE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""The Unicode categories Cc and Cs, which are the same in every Unicode version."""


def is_plain_text(value: object, max_length: int) -> bool:
    """Check if `value` is text of up to `max_length` characters, none of them a control character or a surrogate.

    `str.isprintable` alone refuses more, such as the joiners in some names, and depends on the Python version.
    """
    return (
        isinstance(value, str)
        and len(value) <= max_length
        # Most texts are printable, and this check is the faster one.
        and (value.isprintable() or not _CONTROL_OR_SURROGATE.search(value))
    )


def add_query(base: str, parameters: Mapping[str, str]) -> str:
    """Return `base` with these parameters appended in their order, percent-encoded; its own query stays."""
    separator = "?" if "?" not in base else "" if base.endswith(("?", "&")) else "&"
    return f"{base}{separator}{urlencode(parameters, quote_via=quote)}"


def split_query(url: str) -> tuple[str, dict[str, str]]:
    """Return the address without its query, and the query's parameters; the last of two with one name counts."""
    base, _, query = url.partition("?")
    return base, dict(parse_qsl(query, keep_blank_values=True))


_JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def contains_token(token: str, text: str) -> bool:
    """Check if `text` contains the token, in the clear or with the escapes of a query or of JSON."""
    # Unescaping is slow and rarely needed, and this runs for every stored call.
    if "%" in text or "\\" in text:
        text = f"{text} {unquote_plus(_JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))}"
    return token in text


def hide_token(token: str, command: Command) -> Command:
    """Return the command with REDACTED in place of the token in its game and in the texts of its detail."""
    game, detail = getattr(command, "game", None), getattr(command, "detail", None)
    hidden: dict[str, Any] = {}
    if token and game:
        hidden["game"] = game.replace(token, REDACTED)
    if token and detail:
        values = json.loads(detail).items()
        texts = {name: value.replace(token, REDACTED) if isinstance(value, str) else value for name, value in values}
        hidden["detail"] = json.dumps(texts)
    return command._replace(**hidden)


def list_routes(protocol: WireProtocol, *, require_wallet_token: bool) -> Mapping[str, str]:
    """Return the protocol's paths with their operations.

    With `require_wallet_token`, omit the paths without a wallet token, unless the protocol has only such paths.
    """
    with_token = {path: operation for path, operation in protocol.routes.items() if "{wallet_token}" in path}
    return with_token if require_wallet_token and with_token else protocol.routes


def reject_json_constants(name: str) -> None:
    """Raise ValueError for NaN and Infinity: the `parse_constant` of `json.loads`, which accepts them otherwise."""
    raise ValueError(f"{name} is not JSON")
