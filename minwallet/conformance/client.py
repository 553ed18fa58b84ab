"""The HTTP client of the conformance kit. It reads any reply, and removes tokens from all that is shown.

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
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import httpx2

from minwallet.bounded_http import HttpReply, describe_error, exchange, open_client
from minwallet.conformance.checks import Observed, ResponseOutcome
from minwallet.conformance.dsl import ABSENT, Bindings, ProtocolSuite, RequestSpec, SameAs
from minwallet.protocols.wire import Call, HttpRequest

MAX_CONCURRENT_REQUESTS = 8

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

    `path` replaces the part that all paths of the protocol begin with: `/wallet` of wallet-v2, `/api` of vela.
    """

    def __init__(
        self, suite: ProtocolSuite, url: str, tokens: Mapping[str, str], timeout_s: float, path: str | None = None
    ) -> None:
        self.suite = suite
        self.tokens = tokens
        self.url = parse_base_url(url)
        self._common_path = commonpath(suite.protocol.routes)
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
        """Return the HTTP request."""
        call = Call(spec.operation, self.tokens[spec.token], spec.build_command(bindings))
        exchange = _apply_changes(self.suite.protocol.build_request(call, time.time_ns() // 1_000_000), spec.changes)
        return HttpRequest(
            spec.method or exchange.method,
            self._relocate((spec.path or exchange.path).format_map(self.tokens)),
            exchange.query,
            exchange.body if spec.body is None else spec.body,
        )

    def _relocate(self, path: str) -> str:
        rest = path.removeprefix(self._common_path)
        return (self._path.rstrip("/") if rest.startswith("/") else self._path) + rest

    def get_field(self, request: HttpRequest, name: str) -> object:
        """Return the value of a field in the request's body or query, None without it or if it is empty."""
        fields = json.loads(request.body) if request.body else dict(parse_qsl(request.query.decode()))
        return fields.get(name)

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

    def send(self, exchanges: Sequence[HttpRequest], delay_s: float = 0) -> list[Observed]:
        """Send the requests concurrently, each `delay_s` after the one before. Return the replies in the same order."""
        return self._runner.run(self._send_all(exchanges, delay_s))

    def query(self, request: HttpRequest, copies: int = 1) -> Observed:
        """Send copies of a request that moves no money, each on a connection of its own. Return the first reply.

        Repeat it once on a new connection if there is no reply, unless the wait for it was too long.
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
                    headers={"content-type": "application/json"} if request.body else {},
                    timeout_s=self._timeout_s,
                    max_bytes=MAX_RESPONSE_BYTES,
                )
        except httpx2.TimeoutException:
            return _no_response(f"no complete reply within {self._timeout_s:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return _no_response(self.sanitize(f"no reply: {describe_error(error)}"), is_interrupted=True)
        return self._parse_response(reply)

    def _parse_response(self, reply: HttpReply) -> Observed:
        status, body, fields = reply.status, reply.body, _parse_json_object(reply.body)
        success = self.suite.is_success(fields) if fields is not None else None
        code = self.suite.get_code(fields) if fields is not None and success is False else None
        # A refusal may be a field of the reply or an HTTP error of the client. A server error leaves the outcome open.
        # The exception is 501, with which many servers refuse a method.
        outcome: ResponseOutcome = "unclear"
        if success and status < 300:
            outcome = "accepted"
        elif (success is False and status < 300) or 400 <= status < 500 or status == HTTPStatus.NOT_IMPLEMENTED:
            outcome = "refused"
        summary = "not a JSON object" if fields is None else "neither success nor error"
        if status != 200:
            summary = f"HTTP {status}"
        if outcome != "unclear":
            summary = outcome if code is None else f"{outcome} ({self.sanitize(str(code))[:20]})"
        text = self.sanitize(f"HTTP {status} {body.decode(errors='replace')}")
        balance = self.suite.get_balance(fields) if fields is not None else None
        return Observed(status, reply.headers, fields, outcome, code, balance, summary, text)


def _no_response(summary: str, *, is_interrupted: bool = False) -> Observed:
    return Observed(0, {}, None, "unclear", None, None, summary, summary, is_interrupted)


def _compile_token(spelling: str) -> re.Pattern[str]:
    pattern = re.escape(spelling)
    return re.compile(pattern if len(spelling) >= MIN_SECRET_CHARS else rf"(?<!\w){pattern}(?!\w)")


def _parse_json_object(body: bytes) -> Mapping[str, Any] | None:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _apply_changes(exchange: HttpRequest, changes: Mapping[str, object]) -> HttpRequest:
    """Return the request with changed fields in its body, or in its query. A list in a query repeats the field."""
    if not changes:
        return exchange
    if exchange.body:
        return exchange._replace(body=json.dumps(_merge_changes(json.loads(exchange.body), changes)).encode())
    fields = _merge_changes(dict(parse_qsl(exchange.query.decode())), changes)
    return exchange._replace(query=urlencode(fields, doseq=True).encode())


def _merge_changes(fields: dict[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    new = {name: _resolve_change(fields, name, value) for name, value in changes.items()}
    return {name: value for name, value in (fields | new).items() if value is not ABSENT}


def _resolve_change(fields: Mapping[str, Any], name: str, value: object) -> object:
    if isinstance(value, SameAs):
        return fields[value.field]
    return value(fields[name]) if callable(value) else value
