"""The HTTP client of the conformance kit. It signs requests, reads any reply, and hides tokens in all that is shown.

Rules for connections:

- After an HTTP error or a missing reply, the next request opens a new connection. The server may be about to close the
  old one, and a request on it would look lost.
- Only a balance query is repeated, once, because it moves no money.
- Concurrent requests of a case use connections that are already open, so that they arrive together.
"""

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from posixpath import commonpath
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote_plus, urlsplit

import httpx2

from minwallet.bounded_http import HttpReply, describe_error, exchange, open_client
from minwallet.conformance.checks import Observed, ResponseOutcome
from minwallet.conformance.dsl import (
    ABSENT,
    UNUSABLE_TOKENS,
    Bindings,
    ProtocolSuite,
    RequestSpec,
    SameAs,
    Signing,
)
from minwallet.ledger.commands import Balance
from minwallet.protocols.wire import JSON_MEDIA_TYPE, Call, Headers, HttpRequest, HttpResponse

MAX_CONCURRENT_REQUESTS = 8

FORGED_SECRET = "a secret that no wallet has"  # noqa: S105 it is made to be wrong

MAX_RESPONSE_BYTES = 1024 * 1024

MAX_SHOWN_CHARS = 300
"""The maximum length of a shown request or reply, in characters."""

MIN_SECRET_CHARS = 8
"""The length from which a token is removed inside of words too. A shorter one may be a part of any ordinary word."""


def parse_base_url(text: str) -> str:
    """Return the address without its last slash; the protocol's paths follow it. Raise ValueError if invalid."""
    try:
        httpx2.URL(text)
        port = urlsplit(text).port
    except (httpx2.InvalidURL, ValueError) as error:
        raise ValueError(f"invalid address {text!r}: {error}") from error
    if port == 0 or not re.fullmatch(r"https?://[^\s/?#][^\s?#]*", text):
        raise ValueError(f"invalid address {text!r}: write it like http://127.0.0.1:8000 or https://host/KEY")
    return text.rstrip("/")


def parse_path(text: str) -> str:
    """Return the path of a wallet. Raise ValueError if invalid."""
    if not re.fullmatch(r"/[^\s?#]*", text):
        raise ValueError(f"invalid --path {text!r}: write it like /api/wallet")
    return text


class Client:
    """A client of one wallet server in one protocol. `tokens` has the tokens by name.

    - `path` replaces the part that all paths of the protocol begin with, such as `/wallet` of wallet-v2.
    - `secret` signs the requests of a protocol with signed calls. Without one, no request is signed.
    - `accounts` has the player and the currency of each token, for a protocol that writes them into requests.
      `add_account` adds those that a balance query returns.
    """

    def __init__(
        self,
        suite: ProtocolSuite,
        url: str,
        tokens: Mapping[str, str],
        timeout_s: float,
        path: str | None = None,
        *,
        secret: str = "",
        accounts: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.suite = suite
        self.tokens = tokens
        self._secret = secret
        self._accounts = dict(accounts or {})
        self.url = parse_base_url(url)
        self._common_path = commonpath(route.path for route in suite.protocol.routes)
        self._path = self._common_path if path is None else parse_path(path)
        self._timeout_s = timeout_s
        spellings = {
            spelling: name
            for name, token in tokens.items()
            for spelling in (token, quote_plus(token), json.dumps(token)[1:-1])
        }
        # The longest is replaced first, because a shorter token may be a part of it.
        longest_first = sorted(spellings.items(), key=lambda each: -len(each[0]))
        self._token_patterns = [(_compile_token(spelling), f"{{{name}}}") for spelling, name in longest_first]
        self._http = open_client()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()

    def build(self, spec: RequestSpec, bindings: Bindings) -> HttpRequest:
        """Return the HTTP request, without its signature."""
        name = spec.named or spec.token
        player_id, currency = self._accounts.get("token" if name in UNUSABLE_TOKENS else name, ("", ""))
        call = Call(spec.operation, self.tokens[spec.token], spec.build_command(bindings), player_id, currency)
        built = self._apply_changes(self.suite.protocol.build_request(call, time.time_ns() // 1_000_000), spec.changes)
        return built._replace(
            method=spec.method or built.method,
            path=self._relocate((spec.path or built.path).format_map(self.tokens)),
            body=built.body if spec.body is None else spec.body,
        )

    def add_account(self, name: str, holder: tuple[object, object]) -> tuple[object, object]:
        """Return the account of a token: the one given, or that of a reply, which is stored for the next requests."""
        player_id, currency = holder
        if name not in self._accounts and isinstance(player_id, str) and isinstance(currency, str):
            self._accounts[name] = (player_id, currency)
        return self._accounts.get(name, holder)

    def lacks_account(self, name: str) -> bool:
        """Check if the requests of this token would name a player, and the kit does not know which."""
        if name in self._accounts:
            return False
        suite, word = self.suite, "player-of-the-kit"
        call = Call(suite.balance_request.operation, self.tokens[name], Balance(), word, "XTS")
        try:
            return word in str(suite.protocol.build_request(call, 0))
        except ValueError:
            return False

    def _apply_changes(self, request: HttpRequest, changes: Mapping[str, object]) -> HttpRequest:
        if not changes:
            return request
        return self.suite.write_fields(request, _merge_changes(self.suite.read_fields(request), changes))

    def _sign(self, request: HttpRequest, signing: Signing) -> HttpRequest:
        scheme, now_ms = self.suite.protocol.signature, time.time_ns() // 1_000_000
        if scheme is None or not self._secret or signing == "missing":
            return request
        signed_at_ms = now_ms - 2 * scheme.max_age_ms - 1000 if signing == "stale" else now_ms
        return scheme.sign(request, FORGED_SECRET if signing == "forged" else self._secret, signed_at_ms)

    def _relocate(self, path: str) -> str:
        rest = path.removeprefix(self._common_path)
        return (self._path.rstrip("/") if rest.startswith("/") else self._path) + rest

    def get_field(self, request: HttpRequest, name: str) -> object:
        """Return the value of a field of the request, None without it."""
        return self.suite.read_fields(request).get(name)

    def describe_request(self, exchange: HttpRequest) -> str:
        """Return the request in one line."""
        content = exchange.body or exchange.query
        return self.sanitize(f"{exchange.method} {exchange.path} {content.decode(errors='replace')}")

    def sanitize(self, text: str) -> str:
        """Return the text in one short line, without tokens and without control characters for a terminal."""
        for pattern, placeholder in self._token_patterns:
            text = pattern.sub(placeholder, text)
        printable = "".join(each if each.isprintable() else " " for each in text)
        return " ".join(printable.split())[:MAX_SHOWN_CHARS]

    def send(
        self, exchanges: Sequence[HttpRequest], delay_s: float = 0, signings: Sequence[Signing] = ()
    ) -> list[Observed]:
        """Sign the requests and send them concurrently, each `delay_s` after the one before.

        All signatures are valid without `signings`. Return the replies in the order of the requests.
        """
        valid: Sequence[Signing] = ["valid"] * len(exchanges)
        signed = list(map(self._sign, exchanges, signings or valid))
        return self._runner.run(self._send_all(signed, delay_s))

    def query(self, request: HttpRequest, copies: int = 1) -> Observed:
        """Send copies of a request that moves no money, each on a connection of its own. Return the first reply.

        Without a reply, repeat it once on a new connection, unless the wait for the reply was too long.
        """
        (first, *_) = self.send([request] * copies)
        return self.send([request])[0] if first.is_interrupted else first

    async def _send_all(self, exchanges: Sequence[HttpRequest], delay_s: float) -> list[Observed]:
        replies = await asyncio.gather(
            *(self._send_one(each, delay_s * number) for number, each in enumerate(exchanges))
        )
        if any(not 0 < each.status < HTTPStatus.BAD_REQUEST for each in replies):
            await self._http.aclose()
            self._http = open_client()
        return replies

    async def _send_one(self, request: HttpRequest, delay_s: float) -> Observed:
        if delay_s:
            await asyncio.sleep(delay_s)
        try:
            async with self._slots:
                reply = await exchange(
                    self._http,
                    request.method,
                    self.url + request.target,
                    content=request.body or None,
                    headers=_build_headers(request),
                    timeout_s=self._timeout_s,
                    max_bytes=MAX_RESPONSE_BYTES,
                )
        except httpx2.TimeoutException:
            return _no_response(f"no complete reply within {self._timeout_s:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return _no_response(self.sanitize(f"no reply: {describe_error(error)}"), is_interrupted=True)
        return self._parse_response(reply)

    def _parse_response(self, reply: HttpReply) -> Observed:
        status, media_type = reply.status, reply.headers.get("content-type", "")
        content = self.suite.parse_reply(HttpResponse(reply.body, status, media_type, _encode_headers(reply.headers)))
        success = content.is_success
        code = content.code if success is False else None
        # A refusal may be a field of the reply or an HTTP error of the client. A server error leaves the outcome open.
        # The exception is 501, with which many servers refuse a method.
        outcome: ResponseOutcome = "unclear"
        if success and status < 300:
            outcome = "accepted"
        elif (success is False and status < 300) or 400 <= status < 500 or status == HTTPStatus.NOT_IMPLEMENTED:
            outcome = "refused"
        summary = content.problem
        if status != 200:
            summary = f"HTTP {status}"
        if outcome != "unclear":
            summary = outcome if code is None else f"{outcome} ({self.sanitize(str(code))[:20]})"
        text = self.sanitize(f"HTTP {status} {reply.body.decode(errors='replace')}")
        return Observed(
            status,
            reply.headers,
            content.fields,
            outcome,
            code,
            content.balance,
            summary,
            text,
            holder=content.holder,
        )


def _no_response(summary: str, *, is_interrupted: bool = False) -> Observed:
    return Observed(0, {}, None, "unclear", None, None, summary, summary, is_interrupted)


def _compile_token(spelling: str) -> re.Pattern[str]:
    pattern = re.escape(spelling)
    return re.compile(pattern if len(spelling) >= MIN_SECRET_CHARS else rf"(?<!\w){pattern}(?!\w)")


def _build_headers(request: HttpRequest) -> dict[str, str]:
    """Return the request's headers by name. A body without a media type is JSON."""
    default = {"content-type": JSON_MEDIA_TYPE} if request.body else {}
    return default | {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}


def _encode_headers(headers: Mapping[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers.items()]


def _merge_changes(fields: dict[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    new = {name: _resolve_change(fields, name, value) for name, value in changes.items()}
    return {name: value for name, value in (fields | new).items() if value is not ABSENT}


def _resolve_change(fields: Mapping[str, Any], name: str, value: object) -> object:
    if isinstance(value, SameAs):
        return fields[value.field]
    return value(fields[name]) if callable(value) else value
