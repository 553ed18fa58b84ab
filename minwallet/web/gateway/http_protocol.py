"""HTTP connections: uvicorn's httptools protocol, with limits on everything that a client can make grow.

Rules
=====

1. A complete call is answered, or the connection closes without an answer. A call never gets the answer of another.
2. A 400 never follows a complete call that is still unanswered. The client would read it as the refusal of that call.
3. An incomplete request has moved nothing, so the server may drop it at any time.
4. Every resource of a client has a limit. The command line uses the control port, which has its own connections. Its
   requests with the key have no limit of time, because a command may take long.

Limits
======

==========================  ======================  ==============================================================
resource                    limit                   an excess gets
==========================  ======================  ==============================================================
connections                 `connection_budget`     503 and a close, or a reset
one read                    `bounded_reads`         a pause; flow control acts between two reads only
request line and headers    `MAX_HEAD_BYTES`        414 or 431, and a close
headers, trailers included  `MAX_HEADERS`           431 and a close
a part without an end       `MAX_HEAD_BYTES`        431 and a close: empty lines, a header, a chunk's extension …
pieces of a body            `MAX_BODY_PIECES`       a reset; a piece is a chunk, or the part of it in one read
pipelined requests          `MAX_PIPELINED`         a reset
headers of waiting ones     `MAX_WAITING_HEADERS`   a reset
time of one request         `REQUEST_TIMEOUT_S`     a reset; the time runs from the first byte to the end of the body
idle time before a request  uvicorn's keep-alive    a reset
time without the key        `REQUEST_TIMEOUT_S`     a reset; on the control port only
unread answers              `UNREAD_TIMEOUT_S`      a reset
unread answers at shutdown  `DRAIN_TIMEOUT_S`       a reset
==========================  ======================  ==============================================================

`asgi.read_body` limits the body. uvicorn itself stops reading at 64 KiB of body that the application has not taken.
Rule 2 applies to 414 and 431 too. `tests/faults/test_hostile_connections.py` measures the memory of a connection.

Theory of operation
===================

uvicorn creates one protocol object per connection. uvloop reads up to 256 KB at once, and the parser does not stop
within a read. So `bounded_reads` divides them. The parser calls `on_message_begin`, `on_url`, `on_header`,
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
from collections.abc import Collection, Sized
from typing import NoReturn

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from minwallet.wallet.periodic import run_periodically
from minwallet.web.gateway.connection_budget import HAS_CONTROL_KEY, MAX_REJECTED, ControlPort, LimitedServerConfig

MAX_HEAD_BYTES = 16 * 1024
"""Maximum size of the request line and headers. Providers and browsers send far less."""

MAX_HEADERS = 100
"""Maximum number of headers of a request. Each takes about 170 bytes of memory, however short it is."""

HEADER_OVERHEAD = len(b": \r\n")
"""The size of a header on the wire besides its name and its value, in bytes."""

MAX_BODY_PIECES = 1024
"""Maximum number of pieces of a body: 16 MB in whole reads. The parser calls back for each, also after an early answer
such as 413, so a body in chunks of one byte would take much time."""

MAX_PIPELINED, MAX_WAITING_HEADERS = 32, 512
"""Maximum number of requests on a connection that are not answered, and of all headers of those that wait."""

DRAIN_TIMEOUT_S = 1
"""Time after which a stopping server resets a connection whose client reads no more of its answers."""

IDLE_GRACE_S = 0.3
"""Time for which a stopping server still reads from an idle connection. A call may be on its way."""

REQUEST_TIMEOUT_S = 10
"""Maximum time for a request to arrive completely. A provider's call is one packet; a slow sender is an attacker or
behind a broken link."""

UNREAD_TIMEOUT_S = 30
"""Maximum time without progress for a client to read its answers."""

SWEEP_INTERVAL_S = 1.0
"""Time between two timeout checks of all connections. One task for all is cheaper than a timer for each request."""

BAD_REQUEST_HEADERS = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"connection", b"close"),
)
"""Headers of an answer to invalid HTTP. The body is plain text, because the protocol of the call is unknown."""

OVER_CAPACITY = "minwallet.over_capacity"
"""ASGI scope key of a request on a connection above the limit. The application answers it with 503."""


# A server without a second protocol ignores an offer of one (RFC 9110, 7.8). The parser does not: it stops after the
# head, and takes all that follows for the other protocol. So `data_received` replaces the header by one of the same
# length without a meaning. No valid body contains this line: JSON quotes its names, and forms escape line feeds.
_UPGRADE_HEADER = re.compile(rb"\nupgrade:", re.IGNORECASE)


class _LimitExceeded(Exception):
    """Stops the parser, which then calls `send_400_response`."""


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

    The methods that run for every request name uvicorn's class, because `super()` takes as long as their own work.
    """

    _is_reading_head = False
    _head_bytes = _header_count = _body_pieces = _waiting_headers = _incomplete_bytes = 0
    _control: ControlPort | None = None
    _is_over_capacity = False
    _is_stopping = False
    _idle_s = 0.0
    _unread_bytes = 0
    _error_status = 400
    _active_cycle: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Count the connection against its budget."""
        super().connection_made(transport)
        self.flow = _PipelineFlowControl(transport, self.pipeline)
        config, port = self.config, self.server[1] if self.server else None
        if not isinstance(config, LimitedServerConfig):
            return
        if config.control and port == config.control.port:
            self._control = config.control
            self.app = self._control.app
            self._control.add(self)
            return
        control_connections = len(config.control.connections) if config.control else 0
        excess = len(self.connections) - control_connections - config.max_connections
        self._is_over_capacity = excess > 0
        if excess > MAX_REJECTED:
            self.abort()

    @property
    def has_control_key(self) -> bool:
        """Return whether the newest request of this connection to the control port has the key."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and HAS_CONTROL_KEY in cycle.scope

    def abort(self) -> None:
        """Reset the connection."""
        self.transport.abort()

    def check_timeout(self, elapsed_s: float) -> None:
        """Add `elapsed_s` to the time for which the server has waited for the client; reset it after the timeout."""
        previous_unread, self._unread_bytes = self._unread_bytes, self.transport.get_write_buffer_size()
        is_unread = self._unread_bytes > 0 and self._unread_bytes >= previous_unread
        timeout_s = self._get_timeout_s(is_unread=is_unread)
        self._idle_s = 0 if timeout_s is None else self._idle_s + elapsed_s
        if timeout_s is not None and self._idle_s > timeout_s:
            self.abort()

    def _get_timeout_s(self, *, is_unread: bool) -> float | None:
        """Return the timeout of the connection's state.

        Return None while the server does not wait: a call is in progress, or uvicorn's keep-alive timer runs.
        """
        cycle: RequestResponseCycle | None = self.cycle
        if self._control:
            return None if self.has_control_key else REQUEST_TIMEOUT_S
        if self._is_reading_head or (cycle and cycle.more_body):
            return REQUEST_TIMEOUT_S
        if is_unread:
            return UNREAD_TIMEOUT_S
        if cycle is None or (cycle.response_complete and self.timeout_keep_alive_task is None):
            # uvicorn starts its timer after an answer, and any byte stops it. This covers a connection without a
            # request, and one that has sent only empty lines since its last answer.
            return self.timeout_keep_alive
        return None

    def data_received(self, data: bytes) -> None:
        """Parse the data, and reject it if a part of a request has no end.

        The callbacks set `_incomplete_bytes` to 0 during the parsing. So the read that contains the beginning of the
        part does not count: most of it may be earlier pipelined requests.
        """
        self._incomplete_bytes += len(data)
        if b"\nupgrade:" in data.lower():
            data = _UPGRADE_HEADER.sub(b"\nignored:", data)
        HttpToolsProtocol.data_received(self, data)
        if self._incomplete_bytes > MAX_HEAD_BYTES:
            self._error_status = 431
            self.send_400_response("a part of the request is too long")

    def on_message_begin(self) -> None:
        """Start the limits of a new request."""
        self._is_reading_head = True
        self._head_bytes = self._header_count = self._body_pieces = self._incomplete_bytes = 0
        self._idle_s = 0
        if not self.pipeline:
            self._waiting_headers = 0
        HttpToolsProtocol.on_message_begin(self)

    def on_url(self, url: bytes) -> None:
        """Append a piece of the URL, up to the limit."""
        self._incomplete_bytes = 0
        self._head_bytes += len(url)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._reject(414)
        HttpToolsProtocol.on_url(self, url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header, up to the limits. A trailer counts too, but is not stored, because it is not a header."""
        self._incomplete_bytes = 0
        self._head_bytes += len(name) + len(value) + HEADER_OVERHEAD
        self._header_count += 1
        if self._head_bytes > MAX_HEAD_BYTES or self._header_count > MAX_HEADERS:
            self._reject(431)
        if self.pipeline:
            self._waiting_headers += 1
            if self._waiting_headers > MAX_WAITING_HEADERS:
                self._reject(None)
        if self._is_reading_head:
            HttpToolsProtocol.on_header(self, name, value)

    def on_body(self, body: bytes) -> None:
        """Store a piece of the body, up to the limit. The requests of commands may be long."""
        self._incomplete_bytes = 0
        self._body_pieces += 1
        if self._body_pieces > MAX_BODY_PIECES and not self._control:
            self._reject(None)
        HttpToolsProtocol.on_body(self, body)

    def _reject(self, status: int | None) -> NoReturn:
        """Stop the parser. Answer with the status if rule 2 permits it; None resets the connection."""
        if status is None:
            self.abort()
        else:
            self._error_status = status
        raise _LimitExceeded

    def on_headers_complete(self) -> None:
        """Create the cycle, and mark it as the connection's last one where that is needed."""
        self._is_reading_head = False
        if len(self.pipeline) + 1 >= MAX_PIPELINED:
            # The request in progress and those in the pipeline are not answered, and this is one more.
            self._reject(None)
        HttpToolsProtocol.on_headers_complete(self)
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
        """Mark the call in progress as disconnected; uvicorn marks only the newest one. Forget those that wait."""
        if self._control:
            self._control.remove(self)
        if self._active_cycle is not None:
            self._active_cycle.disconnected = True
        self.pipeline.clear()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's returns None, which closes the connection
        """Return whether the connection stays open for answers after the client has ended its half."""
        return self._close_after_responses()

    def send_400_response(self, msg: str) -> None:
        """Answer invalid or too large HTTP with `_error_status`, unless a complete call still waits for its answer.

        Such a call is answered first, and the invalid bytes get no answer of their own.
        """
        if self.transport.is_closing():
            return
        newest: RequestResponseCycle | None = self.cycle
        has_pending_response = self._active_cycle is not None and not self._active_cycle.response_complete
        is_pipelined = newest is not self._active_cycle and has_pending_response
        if newest is not None and newest.more_body and (is_pipelined or newest.response_complete):
            # The body of a pipelined call is invalid. A 400 now would arrive as the answer of the call in progress. The
            # newest cycle is incomplete and cannot close the connection in order. So it closes immediately. The same
            # holds if the newest request already has its answer, which did not need the body.
            self.transport.close()
        elif not self._close_after_responses():
            headers = (*self.server_state.default_headers, *BAD_REQUEST_HEADERS, (b"content-length", b"%d" % len(msg)))
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[self._error_status], lines, msg.encode()))
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
