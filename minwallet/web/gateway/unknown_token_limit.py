"""Rate limit for calls with unknown tokens, per client address.

Purpose
=======

A generated token has 160 random bits and cannot be guessed. The limit protects short tokens that an operator chose, and
slows down a provider that repeats calls with tokens of another wallet. Such a provider is not an attacker, so 100 calls
are free.

Rules
=====

1. Only calls with an unknown token count, and only they get 429. A known session is never delayed: any player can make
   the provider send a call with an invented token, and could otherwise stop all games behind that address.
2. One unknown token becomes free again each second, up to the burst. No address waits longer than one second for the
   next one, however many calls it made.
3. An IPv6 address counts as its /64 network, because one host has all addresses of its network.
4. The memory is bounded: the table keeps the addresses that failed last.

Theory of operation
===================

The limiter is a leaky bucket, stored as one number per address: the time at which the bucket is empty again
(`refilled_at_s`). A failure moves that time by one interval. The bucket is full if the time is more than
`MAX_BURST` - 1 intervals away. The table is ordered by the last failure, so expired addresses are removed from the
front.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from time import monotonic

MAX_BURST, REFILL_INTERVAL_S = 100, 1.0
"""Number of unknown tokens that are free immediately, and the seconds until one more is free."""

MAX_TRACKED_ADDRESSES = 10_000
"""Maximum number of addresses in memory. Above it, the address whose last failure is oldest is forgotten."""

RETRY_AFTER_HEADER = (b"retry-after", b"%d" % math.ceil(REFILL_INTERVAL_S))


class UnknownTokenLimiter:
    """The limiter of one server, shared by all protocols.

    `refilled_at_s` maps an address to the time, on `clock_s`, at which all its unknown tokens are free again.
    """

    def __init__(self, clock_s: Callable[[], float] = monotonic) -> None:
        self._clock_s = clock_s
        self.refilled_at_s: OrderedDict[str, float] = OrderedDict()

    def exceeds(self, host: str) -> bool:
        """Count one unknown token of the caller at `host`; return True if its address is over the limit."""
        address = rate_limit_key(host)
        is_limited = self.is_limited(address)
        self.record(address)
        return is_limited

    def record(self, address: str) -> None:
        """Count one unknown token of this address."""
        now_s = self._clock_s()
        # The bucket never overflows: an address that failed a thousand times waits one interval, too.
        refilled_at_s = min(max(self.refilled_at_s.get(address, 0), now_s), now_s + (MAX_BURST - 1) * REFILL_INTERVAL_S)
        self.refilled_at_s[address] = refilled_at_s + REFILL_INTERVAL_S
        self.refilled_at_s.move_to_end(address)
        if len(self.refilled_at_s) > MAX_TRACKED_ADDRESSES:
            self.refilled_at_s.popitem(last=False)

    def is_limited(self, address: str) -> bool:
        """Return whether one more unknown token of this address would exceed the limit."""
        refilled_at_s, now_s = self.refilled_at_s, self._clock_s()
        while refilled_at_s and next(iter(refilled_at_s.values())) <= now_s:
            refilled_at_s.popitem(last=False)
        return refilled_at_s.get(address, 0) > now_s + (MAX_BURST - 1) * REFILL_INTERVAL_S


def rate_limit_key(host: str) -> str:
    """Return the key of an address: itself for IPv4, its /64 network for IPv6, "unknown" if it is not an address."""
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return str(ip_network(f"{address}/64", strict=False)) if isinstance(address, IPv6Address) else str(address)
