"""Fast paths between uvicorn and the provider endpoints: routing, reading a body, writing an answer.

Starlette's router, `Request` and `Response` cost time on each call. So the provider endpoints are plain ASGI
applications, and this module replaces those three:

- `StaticRouter` finds a path in a dict. The time of the look-up does not depend on how much of a secret prefix matches.
- `read_body` takes the body that uvicorn has already received. Otherwise it reads ASGI messages.
- `send_response` writes head and body in one packet. Otherwise it sends the two ASGI messages.

The fast paths apply only if `receive` and `send` are methods of uvicorn's own cycle, and only if nothing must wait.
Under any other server or a middleware, the standard ASGI way is used.
"""

from collections.abc import Callable, Iterable, Sequence
from secrets import compare_digest

from starlette.datastructures import MutableHeaders
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from minwallet.wallet.callback_keys import CALLBACK_KEY_LENGTH, CALLBACK_KEY_PREFIX
from minwallet.web.gateway.http_protocol import OVER_CAPACITY

AGENT_ID = "minwallet.agent_id"
"""The key in the scope of a call below an agent's callback key. Its value is the `agent_id`."""

AGENT_KEY_START, AGENT_KEY_END = f"/{CALLBACK_KEY_PREFIX}", 1 + CALLBACK_KEY_LENGTH

NOT_FOUND_HEADERS = ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"))


class StaticRouter:
    """ASGI application that dispatches to the provider endpoints and to `app`.

    - A path without parameters is found in a dict.
    - A path below an agent's callback key leads to one of `agent_routes`. These have the paths without the key, so no
      code behind this router sees it. `find_agent` returns the agent of a key, None for an unknown key.
    - A path below `prefix` with parameters (`/wallet/{wallet_token}`) goes to a Starlette router.
    - Of all others, `record_unknown_path` returns True for one that is meant for a provider endpoint. It gets 404.
    - The rest goes to `app`.

    All but the first add `Cache-Control: no-store` to answers without a Cache-Control header; endpoints send their own.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Iterable[Route],
        prefix: str = "",
        *,
        agent_routes: Iterable[Route] = (),
        find_agent: Callable[[str], int | None] = lambda key: None,
        record_unknown_path: Callable[[Scope], bool] = lambda scope: False,
    ) -> None:
        routes, agent_routes = list(routes), list(agent_routes)
        self._app = app
        self._prefix = prefix.encode()
        self._static_endpoints = {route.path: route.app for route in routes if not route.param_convertors}
        self._dynamic_router = Router([route for route in routes if route.param_convertors], False, self._answer_other)
        self._find_agent = find_agent
        self._static_agent_endpoints = {route.path: route.app for route in agent_routes if not route.param_convertors}
        dynamic_agent_routes = [route for route in agent_routes if route.param_convertors]
        self._dynamic_agent_router = Router(dynamic_agent_routes, False, self._answer_other)
        self._record_unknown_path = record_unknown_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # `prefix` and the agents' keys are secrets. A dict finds a path or a key by its hash, and compare_digest takes
        # constant time. So response times do not reveal how much of a guessed secret is correct.
        endpoint = self._static_endpoints.get(scope["path"]) if scope["type"] == "http" else None
        is_agent_call = endpoint is None and self._enter_agent_path(scope)
        if is_agent_call:
            endpoint = self._static_agent_endpoints.get(scope["path"])
        if endpoint is not None:
            scope["path_params"] = {}
            await endpoint(scope, receive, send)
        elif OVER_CAPACITY in scope:
            await send_response(
                send, 503, [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")], b"busy\n"
            )
        elif is_agent_call:
            await self._dynamic_agent_router(scope, receive, _add_no_store(send))
        elif compare_digest(scope["path"].encode()[: len(self._prefix)], self._prefix):
            await self._dynamic_router(scope, receive, _add_no_store(send))
        else:
            await self._answer_other(scope, receive, _add_no_store(send))

    async def _answer_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose path is not a provider endpoint."""
        # Below an agent's key there is nothing else. The key is removed from the path, so no page may see it.
        if (scope["type"] == "http" and self._record_unknown_path(scope)) or AGENT_ID in scope:
            await send_response(send, 404, NOT_FOUND_HEADERS, b"Not Found")
        else:
            await self._app(scope, receive, send)

    def _enter_agent_path(self, scope: Scope) -> bool:
        """Return True if the path is below an agent's callback key. Then note the agent, and remove the key."""
        path: str = scope.get("path", "")
        if not path.startswith(AGENT_KEY_START) or path[AGENT_KEY_END : AGENT_KEY_END + 1] != "/":
            return False
        agent_id = self._find_agent(path[1:AGENT_KEY_END])
        if agent_id is None:
            return False
        scope[AGENT_ID], scope["path"] = agent_id, path[AGENT_KEY_END:]
        return True


def _add_no_store(send: Send) -> Send:
    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("cache-control", "no-store")
        await send(message)

    return send_with_header


Headers = Sequence[tuple[bytes, bytes]]


class ClientDisconnected(Exception):
    """The client disconnected before its request was complete, so no answer can be sent."""


async def read_body(scope: Scope, receive: Receive, max_bytes: int) -> bytes | None:
    """Return the body of a request, or None if it exceeds `max_bytes`, also by its header Content-Length alone.

    Raise ClientDisconnected if the client leaves before the end of the body.
    """
    cycle = getattr(receive, "__self__", None)
    if isinstance(cycle, RequestResponseCycle) and not cycle.more_body:
        # Nearly every call arrives complete in one packet; its body is already here.
        return bytes(cycle.body) if len(cycle.body) <= max_bytes else None
    # The parser has checked the header: it is one number.
    if any(name == b"content-length" and int(value) > max_bytes for name, value in scope["headers"]):
        return None
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
    """Send a complete answer: in one write directly through uvicorn if possible, otherwise as ASGI messages."""
    cycle = getattr(send, "__self__", None)
    if isinstance(cycle, RequestResponseCycle) and not cycle.flow.write_paused:
        _write_response(cycle, status, headers, body)
        return
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def _write_response(cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
    """Do the work of two `cycle.send` calls with one write, so the answer is one packet.

    This repeats what uvicorn's `send` does, without its checks of header values: all headers here are constants.
    """
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
