"""The check of the host name that a browser has used, against DNS rebinding.

A website can let its own name resolve to the address of this server, also to loopback. The browser then takes the pages
of this server for that website's own: its scripts could read them, and send forms that pass the check of the origin.
So pages for browsers are served under known names only: those of `Settings.browser_hosts`, and `localhost` with the
names below it, which always mean loopback (RFC 6761). An IP address is not looked up, so it cannot be rebound.

Not checked
===========

- Provider calls, the admin API and `/metrics` authenticate by a token or key that is in the request itself. A browser
  adds neither on its own, so another website gains nothing here. Their callers may use any name that a proxy accepts.
- `/healthz`, `/readyz` and `openapi.json` contain no secret. Load balancers often send a name of their own.
- The demo provider has the same check of its own (`demo/provider_server.py`), for loopback only.
"""

import re
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)


class HostCheck:
    """ASGI middleware that answers 421 if the request's host name is neither known nor an IP address."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts = Headers(scope=scope).getlist("host")
        # HTTP/1.0 has no host name. Two names are an attempt to confuse a proxy.
        if not hosts or (len(hosts) == 1 and is_known_host(hosts[0], self._names)):
            await self._app(scope, receive, send)
            return
        problem = (
            f"unknown host name {hosts[0]!r:.80}: if it is a name of this server, add it to MINWALLET_HOSTS, or set"
            " MINWALLET_PUBLIC_URL\n"
        )
        headers = {"x-content-type-options": "nosniff"}
        await PlainTextResponse(problem, 421, headers)(scope, receive, send)


def is_known_host(host: str, names: frozenset[str]) -> bool:
    """Return True if a Host header has one of the names, a name of loopback, or an IP address. Any port may follow."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1].lower().removesuffix(".")
    return name in names or name == "localhost" or name.endswith(".localhost") or _is_address(name.strip("[]"))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
