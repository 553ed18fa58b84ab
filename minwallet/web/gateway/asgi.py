"""What lies between uvicorn and the provider's endpoints, so that a call costs little more than the money it moves."""

from collections.abc import Iterable, Sequence
from secrets import compare_digest

from starlette.datastructures import MutableHeaders
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from minwallet.web.gateway.http_protocol import OVER_CAPACITY


class StaticRouter:
    """An ASGI application that finds routes without parameters at once, the others below `prefix` in a time that says
    nothing about it, and leaves the rest to `app`, whose answers nobody stores unless they say for how long.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[Route], prefix: str = "") -> None:
        routes = list(routes)
        self._app = app
        self._prefix = prefix.encode()
        self._static_endpoints = {route.path: route.app for route in routes if not route.param_convertors}
        self._dynamic_router = Router([route for route in routes if route.param_convertors], False, app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A table finds a path by its hash; how long that takes says nothing of the secret that it may begin with.
        endpoint = self._static_endpoints.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is not None:
            scope["path_params"] = {}
            await endpoint(scope, receive, send)
        elif OVER_CAPACITY in scope:
            await send_response(
                send, 503, [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")], b"busy\n"
            )
        elif compare_digest(scope["path"].encode()[: len(self._prefix)], self._prefix):
            await self._dynamic_router(scope, receive, _add_no_store(send))
        else:
            await self._app(scope, receive, _add_no_store(send))


def _add_no_store(send: Send) -> Send:
    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("cache-control", "no-store")
        await send(message)

    return send_with_header


Headers = Sequence[tuple[bytes, bytes]]


class ClientDisconnected(Exception):
    """The caller left before the request was whole; there is nobody to answer."""


async def read_body(receive: Receive, max_bytes: int) -> bytes | None:
    """The body of a request, None where it is longer than that. ClientDisconnected."""
    cycle = getattr(receive, "__self__", None)
    if isinstance(cycle, RequestResponseCycle) and not cycle.more_body:
        # All of it is there already, as of nearly every call.
        return bytes(cycle.body) if len(cycle.body) <= max_bytes else None
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        body += message.get("body", b"")
        if len(body) > max_bytes:
            return None
        if not message.get("more_body"):
            return body


async def send_response(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send an answer that is whole: in one write where uvicorn itself takes it, else as the standard has it."""
    cycle = getattr(send, "__self__", None)
    if isinstance(cycle, RequestResponseCycle) and not cycle.flow.write_paused:
        _write_response(cycle, status, headers, body)
        return
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def _write_response(cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
    """What two calls of `cycle.send` would do, in one packet instead of two."""
    if cycle.transport.is_closing():
        cycle.disconnected = True
    if cycle.disconnected:
        return
    chunks = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        chunks += name, b": ", value, b"\r\n"
    if not cycle.keep_alive:
        chunks.append(b"connection: close\r\n")
    chunks.append(b"content-length: %d\r\n\r\n" % len(body))
    if cycle.scope["method"] != "HEAD":
        chunks.append(body)
    cycle.transport.write(b"".join(chunks))
    cycle.response_started = cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
