"""Calls a wallet over HTTP, as a real provider does: with a time-out, and never quite sure what became of a call."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import httpx2

from minwallet.demo.faults import DeliveryPlan, Fault
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import REDACTED, Call, WalletResponse

SendCall = Callable[[Call], Awaitable[WalletResponse | None]]


class NoAnswer(Exception):
    """Nobody knows what became of the call; the message says why."""


class CallRecord(NamedTuple):
    """A call as it went over the wire: when, in ms since 1970 UTC, the request without its token, the wallet's HTTP
    status and body, None where none came, and how many ms that took. Without an `handler` the `error` says why.

    The rest is known to whoever sends it: how often it was sent by then, what befell it, and whether its reply got
    lost on the way back.
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
        return str(getattr(self.call.command, "id", ""))

    @property
    def received_code(self) -> int | None:
        """The code of what the provider got to hear, None for nothing."""
        return None if self.is_lost or self.answer is None else self.answer.code


class WalletClient:
    """The wallet at one address."""

    def __init__(self, wallet_url: str, wallet_token: str | None, timeout_s: float) -> None:
        self._url = wallet_url.rstrip("/")
        self._wallet_token = wallet_token
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        self._http = httpx2.AsyncClient(timeout=timeout_s, trust_env=False, limits=limits)

    async def request_answer(self, protocol: str, call: Call) -> WalletResponse:
        """What the wallet says. NoAnswer where it says nothing that can be relied on."""
        sent = await self.send(protocol, call)
        if sent.answer is None:
            raise NoAnswer(sent.error)
        return sent.answer

    async def send(self, protocol: str, call: Call) -> CallRecord:
        """Make the call, whatever becomes of it."""
        wire, at_ms, started = load_protocol(protocol), time.time_ns() // 1_000_000, time.perf_counter()
        exchange = wire.build_request(call, at_ms, self._wallet_token)
        request = str(wire.build_request(call._replace(token=REDACTED), at_ms, self._wallet_token))
        try:
            response = await self._http.request(
                exchange.method, self._url + exchange.target, content=exchange.body or None
            )
        except Exception as error:
            # Also what the library does not foresee, as when a connection breaks while it is being made: the call may
            # have arrived, and a round must not end in the dark.
            trouble = f"the wallet does not answer ({_describe_error(error)})"
            return CallRecord(call, at_ms, request, None, None, _elapsed_ms(started), None, trouble)
        sent = CallRecord(call, at_ms, request, response.status_code, response.text, _elapsed_ms(started), None)
        if response.status_code != 200:
            return sent._replace(error=f"the wallet answers with HTTP status {response.status_code}")
        try:
            return sent._replace(answer=wire.parse_response(response.content))
        except ValueError as error:
            return sent._replace(error=f"the wallet's answer makes no sense ({error})")

    async def ping(self) -> None:
        """NoAnswer unless somebody is at the address."""
        try:
            await self._http.get(self._url)
        except Exception as error:
            raise NoAnswer(f"no wallet answers ({_describe_error(error)})") from error

    async def close(self) -> None:
        await self._http.aclose()


async def deliver_call(
    call: Call, plan: DeliveryPlan, send: SendCall, held_back: list[Call], timeout_s: float
) -> WalletResponse | None:
    """Send a call as its journey has it, with whatever was held back before; what the provider gets to hear within the
    time that it waits.
    """
    for early in plan.before:
        if await send(early) is None:
            return None  # it may still be on its way, and must not arrive after the call that it is to overtake
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
    """Why, in words that hold nothing of the request."""
    return "timed out" if isinstance(error, httpx2.TimeoutException) else type(error).__name__
