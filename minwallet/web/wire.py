"""What lies between uvicorn and the provider's endpoints, so that a call costs little more than the money it moves."""

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 64 * 1024
"""How many bytes a request's line and headers may have; whoever sends more is not a provider."""


# A server that speaks no other protocol ignores an offer of one (RFC 9110, 7.8), but the parser would take all that
# follows for that other protocol; so it gets to see a field of no meaning and of the same length.
_UPGRADE = re.compile(rb"\n[Uu][Pp][Gg][Rr][Aa][Dd][Ee]:")


class FixedPaths:
    """An ASGI application that finds routes without parameters at once, and leaves the rest to `app`, whose answers
    nobody stores unless they say for how long.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        self._endpoints = {route.path: route.app for route in routes if not route.param_convertors}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, _no_store(send))
        else:
            scope["path_params"] = {}
            await endpoint(scope, receive, send)


def _no_store(send: Send) -> Send:
    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("cache-control", "no-store")
        await send(message)

    return send_with_header


class OneWrite(HttpToolsProtocol):
    """uvicorn's protocol, with an answer's head and body in one system call and one packet instead of two, an end to
    how long a request's head may be, and a deaf ear for offers of other protocols."""

    _in_head = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base has it
        super().connection_made(_Gathering(transport, self.loop))  # type: ignore[arg-type]  # it is one by delegation

    def data_received(self, data: bytes) -> None:
        super().data_received(_UPGRADE.sub(b"\nignored:", data))
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        if self._head_bytes > LONGEST_HEAD:
            self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # CONNECT, or an offer that came in pieces: its answer is the last, so nothing that follows is a request.
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """A request that is not whole yet has moved nothing, so a stopping server does not wait for the rest of it."""
        super().shutdown()
        if not self.transport.is_closing() and self.cycle.more_body and not self.pipeline:
            self.transport.close()


class _Gathering:
    """A transport that writes what is written to it during one turn of the event loop at its end."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 whatever the transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._pieces and not self._transport.is_closing():
            self._transport.write(b"".join(self._pieces))
        self._pieces.clear()
