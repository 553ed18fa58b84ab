"""Sends what the cases ask, over real HTTP, and reads whatever comes. Never shows a token."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import httpx2

from minwallet.conformance.script import ABSENT, Ask, Came, Dialect, Names, Outcome
from minwallet.protocols.wire import Call, HttpRequest

MOST_AT_ONCE = 8

LONGEST_ANSWER = 1024 * 1024

LONGEST_TEXT = 300
"""How much of an answer is shown."""


def base_url(text: str) -> str:
    """The address below which a protocol's paths are; ValueError, saying what is wrong, for what cannot be one."""
    try:
        httpx2.URL(text)
        port = urlsplit(text).port
    except (httpx2.InvalidURL, ValueError) as error:
        raise ValueError(f"{text!r} is not an address: {error}") from error
    if port == 0 or not re.fullmatch(r"https?://[^\s/?#][^\s?#]*", text):
        raise ValueError(f"{text!r} is not an address; write it like http://127.0.0.1:8000 or https://host/KEY")
    return text.rstrip("/")


class Asker:
    """One wallet server, spoken to in one protocol with these tokens, which are known by their names."""

    def __init__(self, dialect: Dialect, url: str, tokens: Mapping[str, str], timeout_s: float) -> None:
        self.dialect = dialect
        self.tokens = tokens
        self.url = base_url(url)
        self._timeout_s = timeout_s
        spellings = {
            spelling: name
            for name, token in tokens.items()
            for spelling in (token, quote_plus(token), json.dumps(token)[1:-1])
        }
        # The longest first, as a shorter one may be a part of it.
        self._spellings = sorted(spellings.items(), key=lambda each: -len(each[0]))
        self._client = httpx2.Client(timeout=timeout_s, trust_env=False)
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._threads.shutdown()
        self._client.close()

    def build(self, ask: Ask, names: Names) -> HttpRequest:
        """The request on the wire."""
        call = Call(ask.operation, self.tokens[ask.token], ask.make(names))
        exchange = _edit(self.dialect.protocol.build_request(call, time.time_ns() // 1_000_000), ask.changes)
        return HttpRequest(
            ask.method or exchange.method,
            (ask.path or exchange.path).format_map(self.tokens),
            exchange.query,
            exchange.body if ask.body is None else ask.body,
        )

    def show(self, exchange: HttpRequest) -> str:
        """The request in one line."""
        content = exchange.body or exchange.query
        return self.plain(f"{exchange.method} {exchange.path} {content.decode(errors='replace')}")

    def plain(self, text: str) -> str:
        """The text in one line that is not too long, without tokens and what a terminal would take for a command."""
        for spelling, name in self._spellings:
            text = text.replace(spelling, f"{{{name}}}")
        printable = "".join(each if each.isprintable() else " " for each in text)
        return " ".join(printable.split())[:LONGEST_TEXT]

    def send(self, exchanges: Sequence[HttpRequest]) -> list[Came]:
        """What comes of requests that are sent at once."""
        if len(exchanges) == 1:
            return [self._send(exchanges[0])]
        return list(self._threads.map(self._send, exchanges))

    def _send(self, exchange: HttpRequest) -> Came:
        url = self.url + exchange.target
        headers = {"content-type": "application/json"} if exchange.body else {}
        body, deadline = bytearray(), time.monotonic() + self._timeout_s
        try:
            with self._client.stream(exchange.method, url, content=exchange.body or None, headers=headers) as response:
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > LONGEST_ANSWER:
                        return _nothing(f"an answer of more than {LONGEST_ANSWER} bytes")
                    if time.monotonic() > deadline:
                        return _nothing(f"no whole answer within {self._timeout_s:g} s")
        except httpx2.TimeoutException:
            return _nothing(f"no answer within {self._timeout_s:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return _nothing(self.plain(f"no answer: {str(error) or type(error).__name__}"))
        return self._read(response, bytes(body))

    def _read(self, response: httpx2.Response, body: bytes) -> Came:
        status, fields = response.status_code, _object(body)
        success = self.dialect.is_success(fields) if fields is not None else None
        code = self.dialect.code_of(fields) if fields is not None and success is False else None
        outcome: Outcome = "unclear"
        if success and status < 300:
            outcome = "accepted"
        elif (success is False and status < 300) or 400 <= status < 500:
            outcome = "refused"
        words = f"HTTP {status}" if status != 200 else "makes no sense" if fields else "not a JSON object"
        if outcome != "unclear":
            words = outcome if code is None else f"{outcome} ({self.plain(str(code))[:20]})"
        text = self.plain(f"HTTP {status} {body.decode(errors='replace')}")
        balance = self.dialect.balance_of(fields) if fields is not None else None
        return Came(status, response.headers, fields, outcome, code, balance, words, text)


def _nothing(words: str) -> Came:
    return Came(0, {}, None, "unclear", None, None, words, words)


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _edit(exchange: HttpRequest, changes: Mapping[str, object]) -> HttpRequest:
    """The request with other fields, in its body or else in its query. A list in a query gives the field repeatedly."""
    if not changes:
        return exchange
    if exchange.body:
        return exchange._replace(body=json.dumps(_changed(json.loads(exchange.body), changes)).encode())
    fields = _changed(dict(parse_qsl(exchange.query.decode())), changes)
    return exchange._replace(query=urlencode(fields, doseq=True).encode())


def _changed(fields: dict[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    new = {name: value(fields[name]) if callable(value) else value for name, value in changes.items()}
    return {name: value for name, value in (fields | new).items() if value is not ABSENT}
