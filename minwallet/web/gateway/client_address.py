"""The address of a caller, also behind a trusted proxy.

Every provider call needs it for its log line, so `resolve` costs little: without a header X-Forwarded-For it returns
the address of the connection. With one, the answer for the same header is in a cache, because a proxy sends the same
few addresses again and again. The cache has no long headers, so its memory is bounded.
"""

from functools import lru_cache
from typing import Any

from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

MAX_ADDRESS_LENGTH = 64
"""The longest address that is shown. A proxy's header may contain any text."""

CACHE_SIZE, MAX_CACHED_BYTES = 1024, 256
"""How many headers have their address in the cache, and the longest of them."""


def get_client_host(scope: Scope) -> str:
    """Return the client's address from the scope, or "" if it has none."""
    client = scope.get("client")
    return str(client[0]) if client else ""


class ClientAddresses:
    """The addresses of callers. Only a proxy in `forwarded_allow` may name another one."""

    def __init__(self, forwarded_allow: str) -> None:
        # uvicorn's own parser of X-Forwarded-For and of trusted proxies, without its application.
        self._trusted_hosts: Any = ProxyHeadersMiddleware(_noop_app, forwarded_allow).trusted_hosts
        self._find_forwarded = lru_cache(CACHE_SIZE)(self._parse_forwarded)

    def resolve(self, scope: Scope) -> str:
        """Return the caller's address, or "" if it is unknown."""
        client = scope["client"]
        host: str = client[0] if client else ""
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                if host in self._trusted_hosts:
                    values = [each for header, each in scope["headers"] if header == b"x-forwarded-for"]
                    forwarded = b", ".join(values) if len(values) > 1 else value
                    is_short = len(forwarded) <= MAX_CACHED_BYTES
                    return (self._find_forwarded if is_short else self._parse_forwarded)(host, forwarded)
                break
        return host

    def _parse_forwarded(self, proxy: str, forwarded: bytes) -> str:
        host, _ = self._trusted_hosts.get_trusted_client_address(forwarded.decode("latin1"))
        return str(host or proxy)[:MAX_ADDRESS_LENGTH]


async def _noop_app(*_: object) -> None:
    """Do nothing. The middleware needs an application, and only its parser is used."""
