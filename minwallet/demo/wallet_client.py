"""The provider's HTTP client. Each call has a timeout, and its outcome is unknown if no usable reply arrives."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import httpx2

from minwallet.bounded_http import HttpReply, exchange, open_client
from minwallet.demo.faults import DeliveryPlan, Fault
from minwallet.ledger.commands import Authenticate, Balance, Group
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import (
    JSON_MEDIA_TYPE,
    REDACTED,
    Call,
    Headers,
    HttpResponse,
    WalletResponse,
    WireProtocol,
)

MAX_REPLY_BYTES = 64 * 1024
"""The limit of a reply. A wallet's replies have a few hundred bytes, and the provider keeps each one."""

AMBIGUOUS_STATUSES = frozenset({401, 403, 405, 408, 413, 414, 429})
"""The HTTP errors that a wallet, or a proxy before it, sends in place of an answer. So do all from 500."""

SendCall = Callable[[Call], Awaitable[WalletResponse | None]]


class NoAnswer(Exception):
    """The outcome of the call is unknown; the message says why."""


class CallRecord(NamedTuple):
    """A call as it was sent.

    - `at_ms`: the time of the call, in ms since 1970 UTC.
    - `request`: the request without its token.
    - `status`, `reply`: the wallet's HTTP status and body, None if nothing came back.
    - `ms`: the duration.
    - `answer`: the parsed reply, None without a usable one; `error` then says why.

    `CallLog.send` adds the rest: `attempt` counts how often the call was sent, `faults` are the injected faults, and
    `is_lost` means that the provider did not receive the reply.
    """

    call: Call
    at_ms: int
    request: str
    status: int | None
    reply: str | None
    ms: float
    answer: WalletResponse | None
    error: str = ""
    attempt: int = 1
    faults: tuple[Fault, ...] = ()
    is_lost: bool = False

    @property
    def id(self) -> str:
        """Return the id of the call's transaction, or of the first of a group; "" for a query."""
        return next(iter(self.ids), "")

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of the call's transactions: several for a group, none for a query."""
        match self.call.command:
            case Group(commands):
                return tuple(each.id for each in commands)
            case Balance() | Authenticate():
                return ()
            case command:
                return (command.id,)

    @property
    def received_code(self) -> int | str | None:
        """Return the code that the provider received, None if it received no reply."""
        return None if self.is_lost or self.answer is None else self.answer.code


class WalletClient:
    """A client of the wallet at one address. `secrets` has the secret of each protocol that signs its calls."""

    def __init__(
        self, wallet_url: str, wallet_token: str | None, timeout_s: float, secrets: Mapping[str, str] | None = None
    ) -> None:
        self._url = wallet_url.rstrip("/")
        self._wallet_token = wallet_token
        self._timeout_s = timeout_s
        self._secrets = secrets or {}
        self._http = open_client(max_connections=None)

    async def request_answer(self, protocol: str, call: Call) -> WalletResponse:
        """Return the wallet's response. Raise NoAnswer without a usable one."""
        sent = await self.send(protocol, call)
        if sent.answer is None:
            raise NoAnswer(sent.error)
        return sent.answer

    async def send(self, protocol: str, call: Call) -> CallRecord:
        """Make the call and return its record. A failure becomes the record's `error`."""
        wire, at_ms, started = load_protocol(protocol), time.time_ns() // 1_000_000, time.perf_counter()
        built = wire.build_request(call, at_ms, self._wallet_token)
        request = str(wire.build_request(call._replace(token=REDACTED), at_ms, self._wallet_token))
        if wire.signature:
            if protocol not in self._secrets:
                message = f"the provider has no secret to sign the calls of {protocol}"
                return CallRecord(call, at_ms, request, None, None, 0, None, message)
            built = wire.signature.sign(built, self._secrets[protocol], at_ms)
        try:
            reply = await self._exchange(built.method, self._url + built.target, built.body or None, built.headers)
        except Exception as error:
            # Any exception counts, also one that the library does not document, such as that of a connection which
            # breaks while it is made. The call may have arrived, so the round must continue until its outcome is known.
            message = f"the wallet does not answer ({_describe_error(error)})"
            return CallRecord(call, at_ms, request, None, None, _elapsed_ms(started), None, message)
        text = reply.body.decode(errors="replace")
        sent = CallRecord(call, at_ms, request, reply.status, text, _elapsed_ms(started), None)
        try:
            answer = parse_answer(wire, HttpResponse(reply.body, reply.status, reply.headers.get("content-type", "")))
        except ValueError as error:
            return sent._replace(error=str(error))
        return sent._replace(answer=answer)

    async def ping(self) -> None:
        """Raise NoAnswer unless a server answers at the address, with any reply."""
        try:
            await self._exchange("GET", self._url)
        except Exception as error:
            raise NoAnswer(f"no wallet answers ({_describe_error(error)})") from error

    async def _exchange(self, method: str, url: str, content: bytes | None = None, headers: Headers = ()) -> HttpReply:
        return await exchange(
            self._http,
            method,
            url,
            content=content,
            headers=build_headers(content, headers),
            timeout_s=self._timeout_s,
            max_bytes=MAX_REPLY_BYTES,
        )

    async def close(self) -> None:
        await self._http.aclose()


def build_headers(body: bytes | None, headers: Headers) -> dict[str, str]:
    """Return a request's headers by name. A body without a media type is JSON."""
    default = {"content-type": JSON_MEDIA_TYPE} if body else {}
    return default | {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def parse_answer(protocol: WireProtocol, response: HttpResponse) -> WalletResponse:
    """Return the content of a wallet's response. Raise ValueError if it does not tell the outcome of the call.

    A protocol may refuse a call with any HTTP status. But an HTTP error that is not the protocol's may come from a
    proxy, or for one attempt of several. It does not tell if an earlier attempt moved the money.
    """
    status = response.status
    error = f"the wallet replied with HTTP status {status} instead of 200"
    if status < 200 or status >= 500 or 300 <= status < 400:
        raise ValueError(error)
    try:
        answer = protocol.parse_response(response)
    except ValueError as reason:
        raise ValueError(error if status >= 400 else f"the wallet's reply cannot be parsed: {reason}") from reason
    if status in AMBIGUOUS_STATUSES and answer.code == protocol.error_code_for_status(status):
        raise ValueError(error)
    return answer


async def deliver_call(
    call: Call, plan: DeliveryPlan, send: SendCall, held_back: list[Call], timeout_s: float
) -> WalletResponse | None:
    """Deliver a call by its plan, then send and replace the calls in `held_back`.

    Return the response that the provider receives, or None if it receives none. The order is described in `faults`.
    """
    for early in plan.before:
        if await send(early) is None:
            return None  # The early call may still be on its way. It must not arrive after the call that it overtakes.
    await asyncio.sleep(plan.delay_s)
    answers = await asyncio.gather(*(send(call) for _ in range(plan.copies)))
    if plan.is_slow:
        await asyncio.sleep(timeout_s)
    late = [*plan.after, *held_back]
    held_back[:] = [call] if plan.is_held else []
    for each in late:
        await send(each)
    return None if plan.is_lost else next(filter(None, answers), None)


def _elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)


def _describe_error(error: Exception) -> str:
    """Return the reason without any text of the request: the exception's own text could contain the token."""
    return "timed out" if isinstance(error, httpx2.TimeoutException) else type(error).__name__
