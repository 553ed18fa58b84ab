"""The address of a caller, also behind a trusted proxy.

Every provider call needs it for its log line, so `resolve` costs little: without a header X-Forwarded-For it returns
the address of the connection. With one, the answer for the same header is in a cache, because a proxy sends the same
few addresses again and again. The cache has no long headers, so its memory is bounded.

A trusted proxy's header may name no address, such as `unknown` or a host's name. Then the address of the proxy counts,
so that no text of a stranger is in a log, a limit or an answer. Such a caller is on no allow list.
"""

from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

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
        return self._read_forwarded(scope, host) or host

    def has_invalid_header(self, scope: Scope) -> bool:
        """Return whether a trusted proxy sent an X-Forwarded-For that names no address."""
        return self._read_forwarded(scope, get_client_host(scope)) == ""

    def _read_forwarded(self, scope: Scope, host: str) -> str | None:
        """Return the address that a trusted proxy names, "" if that is none. Return None without such a header."""
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                if host in self._trusted_hosts:
                    values = [each for header, each in scope["headers"] if header == b"x-forwarded-for"]
                    forwarded = b", ".join(values) if len(values) > 1 else value
                    is_short = len(forwarded) <= MAX_CACHED_BYTES
                    return (self._find_forwarded if is_short else self._parse_forwarded)(forwarded)
                break
        return None

    def _parse_forwarded(self, forwarded: bytes) -> str:
        host, _ = self._trusted_hosts.get_trusted_client_address(forwarded.decode("latin1"))
        return str(host) if _is_address(host) else ""


class ProxyHeaders:
    """ASGI middleware that puts the caller's address and scheme into the scope, as ClientAddresses reads them."""

    def __init__(self, app: ASGIApp, forwarded_allow: str) -> None:
        self._addresses = ClientAddresses(forwarded_allow)
        self._app: Any = ProxyHeadersMiddleware(cast(Any, app), forwarded_allow)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._addresses.has_invalid_header(scope):
            headers = [header for header in scope["headers"] if header[0] != b"x-forwarded-for"]
            scope = {**scope, "headers": headers}
        await self._app(scope, receive, send)


def _is_address(text: str) -> bool:
    """Return whether the text is an IP address. An IPv6 address with a zone is none: the zone may be any text."""
    with suppress(ValueError):
        ip_address(text)
        return "%" not in text
    return False


async def _noop_app(*_: object) -> None:
    """Do nothing. The middleware needs an application, and only its parser is used."""
