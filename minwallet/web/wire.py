"""What lies between uvicorn and the provider's endpoints, so that a call costs little more than the money it moves."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from starlette.datastructures import MutableHeaders
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

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


Headers = Sequence[tuple[bytes, bytes]]

ANSWER = "minwallet.answer"
"""The name of the server's offer, among a scope's extensions, to take a whole answer at once."""

Answer = Callable[[int, Headers, bytes], None]
"""The status, all headers but the length, and the body."""


async def send_whole(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer, the short way where the server offers one."""
    answer: Answer | None = scope.get("extensions", {}).get(ANSWER)
    if answer is not None:
        answer(status, headers, body)
        return
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


class OneWrite(HttpToolsProtocol):
    """uvicorn's protocol, with a short way for answers that are whole: one call, one write and one packet. Also with an
    end to how long a request's head may be, and a deaf ear for offers of other protocols."""

    _in_head = False
    _head_bytes = 0

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
        # The standard speaks of descriptions here; a server and an application of one house may also hand over the thing.
        self.scope["extensions"] = {ANSWER: partial(self._answer, self.cycle)}  # type: ignore[dict-item]
        if self.parser.should_upgrade():
            # CONNECT, or an offer that came in pieces: its answer is the last, so nothing that follows is a request.
            self.cycle.keep_alive = False

    def _answer(self, cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
        """Send what two calls of ASGI's `send` would send, and end the cycle as they would."""
        if cycle.disconnected:
            return
        pieces = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            pieces += name, b": ", value, b"\r\n"
        if not cycle.keep_alive:
            pieces.append(b"connection: close\r\n")
        pieces.append(b"content-length: %d\r\n\r\n" % len(body))
        if cycle.scope["method"] != "HEAD":
            pieces.append(body)
        self.transport.write(b"".join(pieces))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    def shutdown(self) -> None:
        """A request that is not whole yet has moved nothing, so a stopping server does not wait for the rest of it."""
        super().shutdown()
        if not self.transport.is_closing() and self.cycle.more_body and not self.pipeline:
            self.transport.close()
