"""Who keeps calling with tokens that nobody has: counted by the caller's address, and told to come again later.

Guessing 160 random bits is hopeless, so this is for tokens that an operator chose himself, and for providers that
repeat themselves. A provider whose sessions were forgotten makes such calls, too, so a good many are free, and they
become free again with time. A session that there is is never held up: any player can make a provider call with a token
that nobody has, and would otherwise stop the games of all the others.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from time import monotonic
from typing import Any

from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

MAX_BURST, REFILL_INTERVAL_S = 100, 1.0
"""So many unknown tokens at once, and then one in so many seconds."""

MAX_TRACKED_ADDRESSES = 10_000


RETRY_AFTER_HEADER = (b"retry-after", b"%d" % math.ceil(REFILL_INTERVAL_S))


class UnknownTokenLimiter:
    """Of every address, when all its unknown tokens will be forgiven. What is remembered is bounded: the addresses that
    failed last.
    """

    def __init__(self, forwarded_allow: str, clock_s: Callable[[], float] = monotonic) -> None:
        # uvicorn's own reading of what proxies say, asked only once somebody has failed.
        self._resolve_forwarded: Any = ProxyHeadersMiddleware(_noop_app, forwarded_allow)
        self._clock_s = clock_s
        self.refilled_at_s: OrderedDict[str, float] = OrderedDict()

    async def exceeds(self, scope: Scope) -> bool:
        """Count the unknown token of this call; whether too many have come from there."""
        address = await self.resolve_key(scope)
        is_limited = self.is_limited(address)
        self.record(address)
        return is_limited

    async def resolve_key(self, scope: Scope) -> str:
        """Whom to count this call for."""
        resolved_scope = dict(scope)
        await self._resolve_forwarded(resolved_scope, None, None)
        return rate_limit_key(get_client_host(resolved_scope))

    def record(self, address: str) -> None:
        """An unknown token came from there."""
        now_s = self._clock_s()
        # However many there were, nobody is held up for longer than it takes to forgive one.
        refilled_at_s = min(max(self.refilled_at_s.get(address, 0), now_s), now_s + (MAX_BURST - 1) * REFILL_INTERVAL_S)
        self.refilled_at_s[address] = refilled_at_s + REFILL_INTERVAL_S
        self.refilled_at_s.move_to_end(address)
        if len(self.refilled_at_s) > MAX_TRACKED_ADDRESSES:
            self.refilled_at_s.popitem(last=False)

    def is_limited(self, address: str) -> bool:
        """Whether one more unknown token would be too many."""
        refilled_at_s, now_s = self.refilled_at_s, self._clock_s()
        while refilled_at_s and next(iter(refilled_at_s.values())) <= now_s:
            refilled_at_s.popitem(last=False)
        return refilled_at_s.get(address, 0) > now_s + (MAX_BURST - 1) * REFILL_INTERVAL_S


async def _noop_app(*_: object) -> None:
    """An application that only the scope is of interest of."""


def rate_limit_key(host: str) -> str:
    """Whom to count a try for: the caller's address; of IPv6 the network, since everybody there has many."""
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return str(ip_network(f"{address}/64", strict=False)) if isinstance(address, IPv6Address) else str(address)


def get_client_host(scope: Scope) -> str:
    """Who called, as far as the server knows."""
    client = scope.get("client")
    return str(client[0]) if client else ""
