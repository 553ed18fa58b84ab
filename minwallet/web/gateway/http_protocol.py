"""HTTP connections: uvicorn's httptools protocol, with limits on everything that a client can make grow.

Rules
=====

1. A complete call is answered, or the connection closes without an answer. A call never gets the answer of another.
2. A 400 never follows a complete call that is still unanswered. The client would read it as the refusal of that call.
3. An incomplete request has moved nothing, so the server may drop it at any time.
4. Every resource of a client has a limit. The limits of connections and time apply to the public port only, so the
   command line, which uses the control port, works during an overload.

Limits
======

==========================  ======================  ==============================================================
resource                    limit                   an excess gets
==========================  ======================  ==============================================================
connections                 `max_connections`       503 and a close; beyond `MAX_REJECTED` more, a reset
request line and headers    `MAX_HEAD_BYTES`        a close; one read (up to 256 KB) may exceed the limit
URL                         `MAX_URL_BYTES`         a shorter URL; the gateway answers 414
time of one request         `REQUEST_TIMEOUT_S`     a reset; the time runs from the first byte to the end of the body
idle time before a request  uvicorn's keep-alive    a reset
pipelined requests          one read                no more reads until each parsed request has started
unread answers at shutdown  `DRAIN_TIMEOUT_S`       a reset
==========================  ======================  ==============================================================

`asgi.read_body` limits the body. uvicorn itself stops reading at 64 KiB of body that the application has not taken.

Theory of operation
===================

uvicorn creates one protocol object per connection. The parser calls `on_message_begin`, `on_url`, `on_header`,
`on_headers_complete`, `on_body` and `on_message_complete` during `data_received`. Each request becomes a cycle.
`self.cycle` is the newest cycle. Requests that arrive before the previous answer wait in `self.pipeline`; they start in
order. uvicorn knows only the newest cycle, so this class also remembers the one in progress (`_active_cycle`).

A cycle with `more_body` is incomplete. A cycle whose `keep_alive` is false closes the connection after its answer. This
class uses that flag to end a connection in order: after CONNECT or a split `Upgrade`, above the connection
limit, after the client's end of file, and at shutdown.

Shutdown
========

uvicorn calls `shutdown` once for each connection, and then waits for the connections to close.

1. A connection without a call in progress stays open for `IDLE_GRACE_S`, because a call may be on its way.
2. Calls in progress are answered, and their last answer closes the connection. An incomplete request is dropped.
3. A client that does not read its answers is reset after `DRAIN_TIMEOUT_S` without progress.

The overrides depend on private parts of uvicorn. `tests/web/test_uvicorn.py` checks these parts, and `pyproject.toml`
allows one minor version.
"""

import asyncio
import re
import resource
from collections.abc import Collection, Sized

import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from minwallet.wallet.periodic import run_periodically

MAX_HEAD_BYTES = 64 * 1024
"""Maximum size of the request line and headers. Providers and browsers send far less."""

MAX_URL_BYTES = 16 * 1024
"""Stored length of a URL. It exceeds every valid path and query, so a longer provider call still gets 404 or 414."""

DRAIN_TIMEOUT_S = 1
"""Time after which a stopping server resets a connection whose client reads no more of its answers."""

IDLE_GRACE_S = 0.3
"""Time for which a stopping server still reads from an idle connection. A call may be on its way."""

MAX_CONNECTIONS = 10_000
"""Several times the connection pools of a large provider. One connection uses about 10 kB of memory."""

MAX_REJECTED = 64
"""Number of connections above the maximum that get 503. Further ones are reset without an answer."""

RESERVED_FILES, MIN_CONNECTIONS = 2 * MAX_REJECTED, 8
"""File descriptors for the wallet's own files and the connections that get 503, and the lowest connection limit."""

DESIRED_OPEN_FILES = MAX_CONNECTIONS + RESERVED_FILES
"""Number of file descriptors that the full connection limit needs."""

REQUEST_TIMEOUT_S = 10
"""Maximum time for a request to arrive completely. A provider's call is one packet; a slow sender is an attacker or
behind a broken link."""

SWEEP_INTERVAL_S = 1.0
"""Time between two timeout checks of all connections. One task for all is cheaper than a timer for each request."""

BAD_REQUEST_HEADERS = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"connection", b"close"),
)
"""Headers of the answer to invalid HTTP. The body is plain text, because the protocol of the call is unknown."""

OVER_CAPACITY = "minwallet.over_capacity"
"""ASGI scope key of a request on a connection above the limit. The application answers it with 503."""


# A server without a second protocol ignores an offer of one (RFC 9110, 7.8). The parser does not: it stops after the
# head, and takes all that follows for the other protocol. So `data_received` replaces the header by one of the same
# length without a meaning. No valid body contains this line: JSON quotes its names, and forms escape line feeds.
_UPGRADE_HEADER = re.compile(rb"\nupgrade:", re.IGNORECASE)


class LimitedServerConfig(uvicorn.Config):
    """uvicorn's configuration with a connection limit.

    The limit does not apply to `control_port`, where the commands of the CLI arrive.
    """

    max_connections = MAX_CONNECTIONS
    control_port = 0


class _PipelineFlowControl(FlowControl):
    """Flow control that resumes reading only when no pipelined request waits.

    uvicorn resumes reading after every answer. A client that sends faster than the server answers would then fill the
    memory with waiting requests.
    """

    def __init__(self, transport: asyncio.Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


UI_PATH_PREFIXES = ("/admin", "/demo")
"""Paths with event streams. Such an answer has no end of its own, so nothing waits for its end."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the limits and rules of this module.

    It also ignores offers of other protocols. A client that ends its half of the connection still gets its answers.
    """

    _is_reading_head = False
    _head_bytes = 0
    _is_public = False
    _is_over_capacity = False
    _is_stopping = False
    _idle_s = 0.0
    _active_cycle: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Count the connection against the limit, and reset it if it is far above."""
        super().connection_made(transport)
        self.flow = _PipelineFlowControl(transport, self.pipeline)
        config, port = self.config, self.server[1] if self.server else None
        if isinstance(config, LimitedServerConfig) and port != config.control_port:
            self._is_public = True
            excess = len(self.connections) - config.max_connections
            self._is_over_capacity = excess > 0
            if excess > MAX_REJECTED:
                transport.abort()

    def check_timeout(self, elapsed_s: float) -> None:
        """Add `elapsed_s` to the age of the current request or idle period; reset the connection after its timeout.

        While a complete call is in progress, or uvicorn's keep-alive timer runs, no time is counted.
        """
        cycle: RequestResponseCycle | None = self.cycle
        self._idle_s += elapsed_s
        if self._is_reading_head or (cycle and cycle.more_body):
            timeout_s = REQUEST_TIMEOUT_S
        elif cycle is None:
            # uvicorn starts its keep-alive timer after an answer only; this covers a connection without any request.
            timeout_s = self.timeout_keep_alive
        else:
            self._idle_s = 0
            return
        if self._is_public and self._idle_s > timeout_s:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse the data, and close the connection if a head exceeds the limit.

        `on_message_begin` sets the count to 0 during the parsing. So the read that contains a head's beginning does
        not count: most of it may be earlier pipelined requests.
        """
        self._head_bytes += len(data)
        if b"\nupgrade:" in data.lower():
            data = _UPGRADE_HEADER.sub(b"\nignored:", data)
        super().data_received(data)
        if self._is_reading_head and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        """Start the limits of a new request."""
        self._is_reading_head = True
        self._head_bytes = 0
        self._idle_s = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Append a piece of the URL, up to the limit. The parser itself accepts any length."""
        self.url = (self.url + url)[:MAX_URL_BYTES]

    def on_headers_complete(self) -> None:
        """Create the cycle, and mark it as the connection's last one where that is needed."""
        self._is_reading_head = False
        super().on_headers_complete()
        if self._is_stopping:
            self.cycle.keep_alive = False
        if self._is_over_capacity:
            self.scope.update({OVER_CAPACITY: True})  # type: ignore[misc]  # a key of our own
            self.cycle.keep_alive = False
        if self.parser.should_upgrade():
            # CONNECT, or an `Upgrade` header split over two reads. The parser has stopped, so the bytes that follow are
            # never parsed as a request: this answer is the last one.
            self.cycle.keep_alive = False
            if self.scope["method"] == "POST":
                # The parser does not read the body either, so the call is unknown and gets no answer.
                self.cycle.disconnected = True
                self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Remember the cycle in progress; `self.cycle` is only the newest one."""
        self._active_cycle = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Mark the call in progress as disconnected; uvicorn marks only the newest one."""
        if self._active_cycle is not None:
            self._active_cycle.disconnected = True
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's returns None, which closes the connection
        """Return whether the connection stays open for answers after the client has ended its half."""
        return self._close_after_responses()

    def send_400_response(self, msg: str) -> None:
        """Answer invalid HTTP with 400, unless a complete call still waits for its answer.

        Such a call is answered first, and the invalid bytes get no answer of their own.
        """
        newest: RequestResponseCycle | None = self.cycle
        has_pending_response = self._active_cycle is not None and not self._active_cycle.response_complete
        if newest is not None and newest.more_body and newest is not self._active_cycle and has_pending_response:
            # The body of a pipelined call is invalid. A 400 now would arrive as the answer of the call in progress. The
            # newest cycle is incomplete and cannot close the connection in order. So it closes immediately.
            self.transport.close()
        elif not self._close_after_responses():
            headers = (*self.server_state.default_headers, *BAD_REQUEST_HEADERS, (b"content-length", b"%d" % len(msg)))
            lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers)]
            self.transport.write(b"\r\n".join([*lines, b"", msg.encode()]))
            self.transport.close()

    def _close_after_responses(self) -> bool:
        """Return True if a complete call waits for its answer; the last answer then closes the connection.

        Pages and event streams do not count. They move no money, and a stream has no last answer.
        """
        cycle: RequestResponseCycle | None = self.cycle
        if (
            cycle is None
            or cycle.more_body
            or cycle.response_complete
            or cycle.scope["path"].startswith(UI_PATH_PREFIXES)
        ):
            return False
        cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """End the connection in order; see the module's section on shutdown.

        uvicorn closes an idle connection immediately. A client that has just sent a call would then see a reset.
        """
        cycle: RequestResponseCycle | None = self.cycle
        if not self._is_stopping and (cycle is None or cycle.response_complete):
            self._is_stopping = True
            self.loop.call_later(IDLE_GRACE_S, self.shutdown)
            return
        super().shutdown()
        if not self.transport.is_closing() and self.cycle.more_body and not self.pipeline:
            self.transport.close()
        self._abort_if_unread(None)

    def _abort_if_unread(self, previous_bytes: int | None) -> None:
        """Reset the connection if its unread answers still have `previous_bytes` bytes; otherwise check again later."""
        if self in self.connections:
            unread_bytes = self.transport.get_write_buffer_size()
            if unread_bytes and unread_bytes == previous_bytes:
                self.transport.abort()
            else:
                self.loop.call_later(DRAIN_TIMEOUT_S, self._abort_if_unread, unread_bytes)


async def sweep_timeouts(connections: Collection[object]) -> None:
    """Check the timeouts of all connections periodically. Runs until it is cancelled."""

    async def sweep() -> None:
        for connection in list(connections):
            if isinstance(connection, LimitedHttpProtocol):
                connection.check_timeout(SWEEP_INTERVAL_S)

    await run_periodically("checking connection timeouts", sweep, SWEEP_INTERVAL_S, delay_first_run=True)


def raise_connection_limit() -> int:
    """Raise the process's limit of open files as far as needed and permitted; return the connection limit.

    RESERVED_FILES descriptors stay free for the wallet's own files and for connections that get 503.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESIRED_OPEN_FILES:
        soft = DESIRED_OPEN_FILES if hard == resource.RLIM_INFINITY else min(DESIRED_OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft - RESERVED_FILES, MIN_CONNECTIONS)
    return MAX_CONNECTIONS
