"""A caller's connection: uvicorn's own, with an end to everything that a stranger could make endless.

There are bounds to how many connections there are, how long a request's head may be and how long it may take to come,
and how much is read before it is answered. Whole calls are answered, whatever follows them.
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
"""How many bytes a request's line and headers may have; whoever sends more is not a provider."""

MAX_URL_BYTES = 16 * 1024
"""Of a request's address no more is kept: that is too much for every path and every query already."""

DRAIN_TIMEOUT_S = 1
"""How long a stopping server lets somebody read nothing of what it has answered."""

SHUTDOWN_GRACE_S = 0.3
"""How long a stopping server listens to a connection on which nothing is going on: a call may be on its way."""

MAX_CONNECTIONS = 10_000
"""As many as a large provider's pools come to, several times over; each takes some ten kilobytes."""

MAX_REJECTED = 64
"""How many connections beyond that are told 503 before more are closed without a word."""

RESERVED_FILES, MIN_CONNECTIONS = 2 * MAX_REJECTED, 8

DESIRED_OPEN_FILES = MAX_CONNECTIONS + RESERVED_FILES
"""How many open files a server would like to be allowed."""

REQUEST_TIMEOUT_S = 10
"""How long a request may take to arrive. A provider's is one packet; whoever sends a byte at a time wants to be in the
way."""

SWEEP_INTERVAL_S = 1.0

BAD_REQUEST_HEADERS = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"connection", b"close"),
)
"""What an answer to something that is no request says of itself; nobody knows what it was about."""

OVER_CAPACITY = "minwallet.over_capacity"
"""In the scope of a request on one of too many connections."""


# A server that speaks no other protocol ignores an offer of one (RFC 9110, 7.8), but the parser would take all that
# follows for that other protocol; so it gets to see a field of no meaning and of the same length.
_UPGRADE_HEADER = re.compile(rb"\nupgrade:", re.IGNORECASE)


class LimitedServerConfig(uvicorn.Config):
    """uvicorn's settings, with the maximum number of connections. The CLI's commands arrive on `control_port`, where
    that maximum does not apply.
    """

    max_connections = MAX_CONNECTIONS
    control_port = 0


class _PipelineFlowControl(FlowControl):
    """Reads on only when every call that was read has begun to be answered. uvicorn reads on with every answer, and so
    fills the memory with the calls of somebody who sends quicker than they can be answered.
    """

    def __init__(self, transport: asyncio.Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


UI_PATH_PREFIXES = ("/admin", "/demo")
"""Below these an answer may go on for as long as somebody listens."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """Deaf to offers of other protocols, too. Who has said all, and ended that half of the connection, still gets the
    answers.
    """

    _is_reading_head = False
    _head_bytes = 0
    _is_public = False
    _is_over_capacity = False
    _is_stopping = False
    _idle_s = 0.0
    _active_cycle: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
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
        """Time has passed; whoever has begun a request and does not go on with it is cut off."""
        cycle: RequestResponseCycle | None = self.cycle
        self._idle_s += elapsed_s
        if self._is_reading_head or (cycle and cycle.more_body):
            timeout_s = REQUEST_TIMEOUT_S
        elif cycle is None:
            timeout_s = self.timeout_keep_alive  # as uvicorn has it for whoever has been answered before
        else:
            self._idle_s = 0
            return
        if self._is_public and self._idle_s > timeout_s:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        # What came together with a head's beginning may be other requests, so it does not count.
        self._head_bytes += len(data)
        if b"\nupgrade:" in data.lower():
            data = _UPGRADE_HEADER.sub(b"\nignored:", data)
        super().data_received(data)
        if self._is_reading_head and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        self._is_reading_head = True
        self._head_bytes = 0
        self._idle_s = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self.url = (self.url + url)[:MAX_URL_BYTES]

    def on_headers_complete(self) -> None:
        self._is_reading_head = False
        super().on_headers_complete()
        if self._is_stopping:
            self.cycle.keep_alive = False
        if self._is_over_capacity:
            self.scope.update({OVER_CAPACITY: True})  # type: ignore[misc]  # a key of our own
            self.cycle.keep_alive = False
        if self.parser.should_upgrade():
            # CONNECT, or an offer that came in pieces: its answer is the last, so nothing that follows is a request.
            self.cycle.keep_alive = False
            if self.scope["method"] == "POST":
                # Nor is its body read, and without it nothing can be said of what was asked.
                self.cycle.disconnected = True
                self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._active_cycle = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Of several calls uvicorn tells only the newest that its caller has gone, not the one in progress."""
        if self._active_cycle is not None:
            self._active_cycle.disconnected = True
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn never keeps a connection, so it says None
        """Whether the connection stays for now."""
        return self._close_after_responses()

    def send_400_response(self, msg: str) -> None:
        """What makes no sense is refused; but behind calls that are whole, that would be taken for their refusal."""
        newest: RequestResponseCycle | None = self.cycle
        has_pending_response = self._active_cycle is not None and not self._active_cycle.response_complete
        if newest is not None and newest.more_body and newest is not self._active_cycle and has_pending_response:
            # It belongs to a call that came behind others, and one of these would take it for its answer.
            self.transport.close()
        elif not self._close_after_responses():
            headers = (*self.server_state.default_headers, *BAD_REQUEST_HEADERS, (b"content-length", b"%d" % len(msg)))
            lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers)]
            self.transport.write(b"\r\n".join([*lines, b"", msg.encode()]))
            self.transport.close()

    def _close_after_responses(self) -> bool:
        """Whether calls that are whole are still to be answered; the last answer ends the connection."""
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
        """A request that is not whole yet has moved nothing, so a stopping server does not wait for the rest of it; nor
        for somebody who does not read the answers. Whoever has been answered, or has just come, may still make a call.
        """
        cycle: RequestResponseCycle | None = self.cycle
        if not self._is_stopping and (cycle is None or cycle.response_complete):
            self._is_stopping = True
            self.loop.call_later(SHUTDOWN_GRACE_S, self.shutdown)
            return
        super().shutdown()
        if not self.transport.is_closing() and self.cycle.more_body and not self.pipeline:
            self.transport.close()
        self._abort_if_unread(None)

    def _abort_if_unread(self, previous_bytes: int | None) -> None:
        if self in self.connections:
            unread_bytes = self.transport.get_write_buffer_size()
            if unread_bytes and unread_bytes == previous_bytes:
                self.transport.abort()
            else:
                self.loop.call_later(DRAIN_TIMEOUT_S, self._abort_if_unread, unread_bytes)


async def sweep_timeouts(connections: Collection[object]) -> None:
    """Check every connection's timeouts every SWEEP_INTERVAL_S until cancelled."""

    async def sweep() -> None:
        for connection in list(connections):
            if isinstance(connection, LimitedHttpProtocol):
                connection.check_timeout(SWEEP_INTERVAL_S)

    await run_periodically("checking connection timeouts", sweep, SWEEP_INTERVAL_S, delay_first_run=True)


def raise_connection_limit() -> int:
    """How many connections this process may have, once it is allowed as many open files as the system lets it.

    Some files are left for the wallet and for whoever is told that there are too many connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESIRED_OPEN_FILES:
        soft = DESIRED_OPEN_FILES if hard == resource.RLIM_INFINITY else min(DESIRED_OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft - RESERVED_FILES, MIN_CONNECTIONS)
    return MAX_CONNECTIONS
