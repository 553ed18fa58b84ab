"""Access log of people and programs: one line for each request that is not a provider call.

A line contains the actor, the address, the method, the path, the status and the duration. Rejected requests get a line
too: a wrong API key, a failed sign-in, an unknown path.

- The actor is the API key, the admin or the command line's user, also if the request is rejected. It is "" for a
  request whose key, cookie or name is unknown: people type passwords into the wrong field.
- The path of a successful request is logged as it is. Any other may contain what a stranger typed, such as a token. So
  the log has the pattern of its route instead, and `unknown` for a path without a route. A query is never logged.
- A program may revoke a callback key by the whole key in the path. The log has its beginning.
- Health checks, static files and the demo pages make no lines: they are frequent, and have no sign-in.

A stream makes its line at its end. A client that left before its answer gets the status 499, as in nginx.
"""

import re
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minwallet.operations.line_text import to_column, to_json_text, to_printable
from minwallet.wallet.callback_keys import CALLBACK_KEY_PREFIX, HINT_LENGTH
from minwallet.web.gateway.access_log import LineLog, LogStream

ACTOR = "minwallet.actor"
"""The key of an ASGI scope for the request's actor."""

UNKNOWN_PATH = "unknown"

CALLBACK_KEY = re.compile(rf"({CALLBACK_KEY_PREFIX}\w{{{HINT_LENGTH - len(CALLBACK_KEY_PREFIX)}}})\w+")

CLIENT_LEFT = 499

UNLOGGED_PATHS, UNLOGGED_PREFIXES = ("/healthz", "/readyz", "/demo"), ("/admin/static/", "/demo/")


class RequestLog(LineLog):
    """ASGI middleware that writes a line for each request to `app`."""

    def __init__(self, stream: LogStream, app: ASGIApp) -> None:
        super().__init__(stream)
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = perf_counter(), CLIENT_LEFT

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            path = scope["path"]
            if path not in UNLOGGED_PATHS and not path.startswith(UNLOGGED_PREFIXES):
                self._write(scope, status, perf_counter() - started)

    def _write(self, scope: Scope, status: int, seconds: float) -> None:
        if not self._lines:
            self._begin_turn()
        actor, address, path = scope.get(ACTOR, ""), (scope["client"] or ("",))[0], describe_path(scope, status)
        method, ms = scope["method"], f"{seconds * 1000:.2f}"
        self._lines.append(
            f"{self._timestamp}  {to_printable(actor) or '-':20} {to_column(address):15} {to_column(method):6}"
            f" {to_column(path)} {status} {ms} ms\n"
            if self._is_terminal
            else f'{{"at":"{self._timestamp}","actor":{to_json_text(actor)},"address":{to_json_text(address)},'
            f'"method":{to_json_text(method)},"path":{to_json_text(path)},"status":{status},"ms":{ms}}}\n'
        )


def describe_path(scope: Scope, status: int) -> str:
    """Return the path of a successful request by a known actor, and the pattern of the route for any other."""
    route = scope.get("route")
    if route is None:
        return UNKNOWN_PATH
    if status < 400 and scope.get(ACTOR):
        return CALLBACK_KEY.sub(r"\1…", scope["path"])
    path: str = route.path
    return path
