"""Calls a wallet over HTTP, as a real provider does: with a time-out, and never quite sure what became of a call."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx2

from minwallet.demo.mischief import Journey
from minwallet.protocols import load_protocol
from minwallet.protocols.wire import Answer, Call

Ask = Callable[[Call], Awaitable[Answer | None]]


class NoAnswer(Exception):
    """Nobody knows what became of the call; the message says why."""


class Caller:
    """The wallet at one address."""

    def __init__(self, wallet_url: str, wallet_token: str | None, timeout_s: float) -> None:
        self._url = wallet_url.rstrip("/")
        self._wallet_token = wallet_token
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        self._http = httpx2.AsyncClient(timeout=timeout_s, trust_env=False, limits=limits)

    async def ask(self, protocol: str, call: Call) -> Answer:
        """What the wallet says. NoAnswer where it says nothing that can be relied on."""
        wire = load_protocol(protocol)
        exchange = wire.build(call, time.time_ns() // 1_000_000, self._wallet_token)
        try:
            response = await self._http.request(
                exchange.method, self._url + exchange.target, content=exchange.body or None
            )
        except Exception as error:
            # Also what the library does not foresee, as when a connection breaks while it is being made: the call may
            # have arrived, and a round must not end in the dark.
            raise NoAnswer(f"the wallet does not answer ({_reason(error)})") from error
        if response.status_code != 200:
            raise NoAnswer(f"the wallet answers with HTTP status {response.status_code}")
        try:
            return wire.read(response.content)
        except ValueError as error:
            raise NoAnswer(f"the wallet's answer makes no sense ({error})") from error

    async def knock(self) -> None:
        """NoAnswer unless somebody is at the address."""
        try:
            await self._http.get(self._url)
        except Exception as error:
            raise NoAnswer(f"no wallet answers ({_reason(error)})") from error

    async def close(self) -> None:
        await self._http.aclose()


async def deliver(call: Call, journey: Journey, ask: Ask, held: list[Call]) -> Answer | None:
    """Send a call as its journey has it, with whatever was held back before; what the provider gets to hear."""
    for early in journey.before:
        if await ask(early) is None:
            return None  # it may still be on its way, and must not arrive after the call that it is to overtake
    await asyncio.sleep(journey.delay_s)
    answers = await asyncio.gather(*(ask(call) for _ in range(journey.copies)))
    late = [*journey.after, *held]
    held[:] = [call] if journey.is_held else []
    for each in late:
        await ask(each)
    return None if journey.is_lost else next(filter(None, answers), None)


def _reason(error: Exception) -> str:
    """Why, in words that hold nothing of the request."""
    return "timed out" if isinstance(error, httpx2.TimeoutException) else type(error).__name__
