"""The interface of a wire protocol, version 1, and the values between its bytes and the ledger's commands.

Rules

1. A protocol is a class derived from `WireProtocol`. A package names it in its entry points, in the group
   `minwallet.protocols`, under the protocol's name. See docs/third-protocol.md.
2. A protocol has no state and no I/O: bytes in, bytes out. Many calls use one instance at the same time.
3. A name in this module keeps its meaning as long as API_VERSION stays the same. New names may be added, each with a
   default.

The way of a call

1. A request arrives at one of `routes`. If the protocol has a `signature`, the wallet checks it against the secrets of
   the agents. The secret that matches names the agent.
2. `parse` makes a Call of the request: the account, and the command for the ledger.
3. The wallet finds the account, decides the command and writes the outcome to the disk.
4. `render` makes the response. It is called at most once for each call, after the commit, outside any transaction.
5. `redact` makes the text of the request for the journal.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

from minwallet.ledger.commands import Command
from minwallet.ledger.entries import Entry
from minwallet.ledger.outcomes import Outcome, Unauthenticated

API_VERSION = 1
"""The version of this interface. A protocol that was written for another one is not loaded."""

REDACTED = "TOKEN"
"""The word that replaces a session's token in every stored or logged request."""

DEFAULT_MAX_BODY_BYTES, MAX_BODY_BYTES = 8 * 1024, 64 * 1024
"""The longest body of a request, unless the protocol raises it, and the longest that a protocol may allow."""

JSON_MEDIA_TYPE, FORM_MEDIA_TYPE = "application/json", "application/x-www-form-urlencoded"

Headers = Sequence[tuple[bytes, bytes]]
"""The headers of a request or response, the names in lower case."""

NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


class HttpRequest(NamedTuple):
    """A request as a caller sends it and as the wallet receives it.

    - `path`: without the callback key that may stand before it, and percent-decoded.
    - `query`: without the "?", as it was sent.
    - `body`: empty for a GET, whatever was sent.
    - `path_parameters`: the values of the parts of a route's path in braces, such as `{wallet_token}`.
    """

    method: str
    path: str
    query: bytes = b""
    body: bytes = b""
    headers: Headers = ()
    path_parameters: Mapping[str, str] = NO_PARAMETERS

    @property
    def target(self) -> str:
        """Return the path and the query, to be appended to the base address of a wallet or provider."""
        return f"{self.path}?{self.query.decode()}" if self.query else self.path

    def get_header(self, name: str) -> str | None:
        """Return the value of a header. Return None if it is missing, or given twice: the intended one is unknown."""
        key = name.lower().encode()
        values = [value for each, value in self.headers if each == key]
        return values[0].decode("latin-1") if len(values) == 1 else None

    def add_headers(self, **headers: str) -> "HttpRequest":
        """Return the request with more headers. In a name `_` stands for `-`: `x_sign` is `x-sign`."""
        more = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        return self._replace(headers=[*self.headers, *more])

    def __str__(self) -> str:
        return f"{self.method} {self.target} {self.body.decode(errors='replace')}".rstrip()


class HttpResponse(NamedTuple):
    """A response as the wallet sends it and as a caller receives it.

    The status is 200 to 599, but not 204, 205 or 304, which have no body. The wallet sets the headers of HTTP
    itself, such as `content-length`, and `cache-control: no-store`; a protocol adds others, in lower case.
    """

    body: bytes
    status: int = 200
    media_type: str = JSON_MEDIA_TYPE
    headers: Headers = ()


class WireRoute(NamedTuple):
    """A method and a path of the protocol, and the operation that they name; "" if the body names it.

    A part of the path in braces is a parameter. `{wallet_token}` limits the calls to the players of one agent.
    """

    method: str
    path: str
    operation: str = ""


class Call(NamedTuple):
    """A well-formed request: the operation by the protocol's own name, the account, and the command.

    - `token`: the session's token, "" if the request has none. Only a signed call, or a call below an agent's callback
      key, may come without one. It names the account by `player_id` and `currency`. Then the end of a session does not
      matter, but a blocked or excluded player still cannot bet.
    - `player_id`, `currency`: what the request says about the account, "" if it says nothing. If they contradict the
      session, the wallet refuses the call before it looks at the money.
    - `context`: what `render` needs of the request besides, such as a number that the response repeats. The wallet does
      not look at it.
    """

    operation: str
    token: str
    command: Command
    player_id: str = ""
    currency: str = ""
    context: Any = None


class Malformed(NamedTuple):
    """A malformed request, with the protocol's error code and a message that names the field.

    The message is logged, so it contains no value of the request: a wrong field may contain a token.
    `operation` is "" if the request names none that is known. `reason` is for the operator where the specification has
    a message that says less, such as "Invalid Token"; "" stands for the message.
    """

    operation: str
    code: int | str
    message: str
    reason: str = ""


class AccountHolder(NamedTuple):
    """The player and the currency of the account that a call was for."""

    player_id: str
    currency: str


class WalletResponse(NamedTuple):
    """A wallet's reply as a caller reads it. `code` is 0 for success; a field that the reply lacks is None.

    `balance` and `balance2` are cents: wallet-v2's `credit` and None, vela's `balance` and `balance2`.
    """

    code: int | str
    message: str | None = None
    balance: int | None = None
    balance2: int | None = None
    player_id: str | None = None
    currency: str | None = None


class Launch(NamedTuple):
    """The content of a launch URL.

    - `base`: the address of all games (wallet-v2) or of this game (vela).
    - `token`: the session's token. Without one the game uses virtual credit (demo mode, guest mode).
    - `agent`: the provider's id of the operator, which is the wallet token or the host id.
    - `player_id`, `currency`: the account, for a protocol whose launch names it.
    - `secret`: the agent's newest secret, for a protocol that signs its launch; "" if the agent has none.
    """

    base: str
    game: str
    lang: str
    token: str | None = None
    agent: str = ""
    player_id: str = ""
    currency: str = ""
    secret: str = ""


class RetryBalance(StrEnum):
    """The balance in the reply to a retry: as it stood after the first one, or the present one."""

    FIRST = "first"
    CURRENT = "current"


class Signature(NamedTuple):
    """The signature of a request, as the request has it.

    `value` is in the spelling of `compute`, such as lower-case hexadecimal. `signed_at_ms` is the time that the request
    states, in ms since 1970 UTC. `nonce` is its number used once. None means that the protocol has no such field.
    """

    value: str
    signed_at_ms: int | None = None
    nonce: str | None = None


class SignatureScheme(Protocol):
    """The way in which a protocol signs its requests. A secret is text that the agent and the provider share.

    The wallet compares `compute` with the signature of the request, in constant time and for each secret that is valid.
    It checks the time and the nonce: a nonce may come again only with the same signature, which is a retry.
    """

    max_age_ms: int
    """The longest time between `signed_at_ms` and now, in both directions. The wallet keeps a nonce as long."""

    def read(self, request: HttpRequest) -> Signature | None:
        """Return the signature of the request. Return None if it has none, or none that can be read; never raise."""

    def compute(self, request: HttpRequest, secret: str) -> str:
        """Return the signature that the request must have."""

    def sign(self, request: HttpRequest, secret: str, now_ms: int) -> HttpRequest:
        """Return the request with its signature, its time and a new nonce, as a provider sends it."""


class WireProtocol(ABC):
    """Both halves of one protocol: parse and render for the wallet, build and parse for a caller.

    A protocol must have `name`, `routes`, `operations`, `parse`, `render` and `render_error`. The other methods serve
    `trigger`, `replay`, `launch`, the demo and the tests. Without one of them, the command that needs it says so.
    """

    api_version = API_VERSION

    name: str
    """The name of the entry point, in the ledger's entries and on the command line."""
    routes: Sequence[WireRoute]
    """The methods and paths. A path may have several methods; every other one gets 405."""
    operations: Mapping[str, type[Command]]
    """All operations by the protocol's own names, with the command that each of them makes.

    These names alone stand in logs, metrics, `trigger` and pages. Another one in a Call or Malformed is `unknown`.
    """
    ids_per_currency: bool = False
    """True if a transaction id is unique per agent and currency, False if per agent."""
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    """The longest body, up to MAX_BODY_BYTES; a longer one gets 413."""
    retry_balance: RetryBalance = RetryBalance.CURRENT
    """The balance that `render` writes for a Replayed outcome. The tests of `minwallet.testing` check it."""
    signature: SignatureScheme | None = None
    """How requests are signed. With None they are not, and only a session's token identifies a call."""

    # The optional parts, each as `module:object`, so that it is imported only when it is needed.
    operator_service: str | None = None
    """The provider's game list and report: an `OperatorServiceProtocol` class."""
    dealer: str | None = None
    """The rounds of the demo provider: a `minwallet.demo.dealer.Dealer`."""
    conformance: str | None = None
    """The cases for any wallet: a `minwallet.conformance.dsl.ProtocolSuite`."""

    @abstractmethod
    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        """Return the call of a request; never raise. `operation` is the one of the route.

        Return Malformed if a field is missing, of the wrong type or out of range. The wallet answers a Group without
        commands, or with more than MAX_GROUP_SIZE, in the same way.
        """

    @abstractmethod
    def render(
        self, call: Call, outcome: Outcome | Unauthenticated, holder: AccountHolder | None, now_ms: int
    ) -> HttpResponse:
        """Return the response to a call, after the commit of everything that it states.

        `holder` is None only if the outcome is Unauthenticated. `now_ms` is the time in ms since 1970 UTC.
        """

    @abstractmethod
    def render_error(self, malformed: Malformed, now_ms: int) -> HttpResponse:
        """Return the response to a malformed request, and to one with an HTTP error.

        With an HTTP error, such as 405 or 503, the wallet replaces the status of this response by that error. The
        status of a failed check of the signature is that of this response.
        """

    def error_code_for_status(self, http_status: int) -> int | str:
        """Return the protocol's error code that goes with an HTTP error.

        401 stands for a signature that is missing, wrong, too old or early, or a nonce that was used before. 405, 413,
        414 and 403 stand for a request that no retry makes better, 429 and 503 for one that may succeed later.
        """
        return http_status

    def redact(self, call: Call, request: HttpRequest, now_ms: int) -> str:
        """Return the body of the request, or else its query, with REDACTED in place of the token, for the journal.

        By default the text is the request's own, with the token replaced. If the token occurs in another spelling, it
        is the request that `build_request` makes. The wallet hides the signature, secrets, and a token in the path. For
        the list of calls, `request` is without headers and path parameters.
        """
        text = (request.body or request.query).decode("utf-8", "backslashreplace")
        redacted = text.replace(call.token, REDACTED) if call.token else text
        if call.token and (redacted == text or contains_token(call.token, redacted)):
            hidden = call._replace(token=REDACTED, command=hide_token(call.token, call.command))
            rebuilt = self.build_request(hidden, now_ms)
            redacted = (rebuilt.body or rebuilt.query).decode()
        return redacted

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        """Return the request that a provider sends for this call, without a signature.

        Raise ValueError if the protocol has no such command. `wallet_token` adds the agent to the path, if the protocol
        has such a path.
        """
        raise NotImplementedError

    def parse_response(self, response: HttpResponse) -> WalletResponse:
        """Return the content of a wallet's response. Raise ValueError if it is malformed."""
        raise NotImplementedError

    def rebuild(self, entry: Entry, token: str) -> Call:
        """Return the call that created this entry, with `token` as its session, to be sent as a retry.

        Raise ValueError if the protocol has no such kind of entry.
        """
        raise NotImplementedError

    def build_launch_url(self, launch: Launch) -> str:
        """Return the address that opens a game."""
        raise NotImplementedError

    def parse_launch_url(self, url: str) -> Launch:
        """Return the content of a launch URL; a missing text is "", a missing token None."""
        raise NotImplementedError


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


def list_routes(protocol: WireProtocol, *, require_wallet_token: bool) -> Sequence[WireRoute]:
    """Return the protocol's routes.

    With `require_wallet_token`, omit the routes without a wallet token, unless the protocol has only such routes.
    """
    with_token = [route for route in protocol.routes if "{wallet_token}" in route.path]
    return with_token if require_wallet_token and with_token else protocol.routes


def reject_json_constants(name: str) -> None:
    """Raise ValueError for NaN and Infinity: the `parse_constant` of `json.loads`, which accepts them otherwise."""
    raise ValueError(f"{name} is not JSON")
