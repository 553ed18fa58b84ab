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

LONGEST_HEAD = 64 * 1024
"""How many bytes a request's line and headers may have; whoever sends more is not a provider."""

LONGEST_URL = 16 * 1024
"""Of a request's address no more is kept: that is too much for every path and every query already."""

READ_WITHIN_S = 1
"""How long a stopping server lets somebody read nothing of what it has answered."""

LAST_CALL_S = 0.3
"""How long a stopping server listens to a connection on which nothing is going on: a call may be on its way."""

MOST_CONNECTIONS = 10_000
"""As many as a large provider's pools come to, several times over; each takes some ten kilobytes."""

TOLD = 64
"""How many connections beyond that are told 503 before more are closed without a word."""

SPARE_FILES, LEAST_CONNECTIONS = 2 * TOLD, 8

FILES_WANTED = MOST_CONNECTIONS + SPARE_FILES
"""How many open files a server would like to be allowed."""

LONGEST_WAIT_S = 10
"""How long a request may take to arrive. A provider's is one packet; whoever sends a byte at a time wants to be in the
way."""

SWEEP_S = 1.0

NO_REQUEST = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"connection", b"close"),
)
"""What an answer to something that is no request says of itself; nobody knows what it was about."""

CROWDED = "minwallet.crowded"
"""In the scope of a request on one of too many connections."""


# A server that speaks no other protocol ignores an offer of one (RFC 9110, 7.8), but the parser would take all that
# follows for that other protocol; so it gets to see a field of no meaning and of the same length.
_UPGRADE = re.compile(rb"\nupgrade:", re.IGNORECASE)


class BoundedConfig(uvicorn.Config):
    """uvicorn's settings, with how many connections there may be. `desk_port` is where the operator's commands come in,
    which is never too crowded for them.
    """

    most_connections = MOST_CONNECTIONS
    desk_port = 0


class _Flow(FlowControl):
    """Reads on only when every call that was read has begun to be answered. uvicorn reads on with every answer, and so
    fills the memory with the calls of somebody who sends quicker than they can be answered.
    """

    def __init__(self, transport: asyncio.Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


FOR_PEOPLE = ("/admin", "/demo")
"""Below these an answer may go on for as long as somebody listens."""


class BoundedConnection(HttpToolsProtocol):
    """Deaf to offers of other protocols, too. Who has said all, and ended that half of the connection, still gets the
    answers.
    """

    _in_head = False
    _head_bytes = 0
    _is_stranger = False
    _is_crowd = False
    _is_stopping = False
    _waited_s = 0.0
    _answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        config, port = self.config, self.server[1] if self.server else None
        if isinstance(config, BoundedConfig) and port != config.desk_port:
            self._is_stranger = True
            too_many = len(self.connections) - config.most_connections
            self._is_crowd = too_many > 0
            if too_many > TOLD:
                transport.abort()

    def grow_older(self, seconds: float) -> None:
        """Time has passed; whoever has begun a request and does not go on with it is cut off."""
        cycle: RequestResponseCycle | None = self.cycle
        self._waited_s += seconds
        if self._in_head or (cycle and cycle.more_body):
            longest_s = LONGEST_WAIT_S
        elif cycle is None:
            longest_s = self.timeout_keep_alive  # as uvicorn has it for whoever has been answered before
        else:
            self._waited_s = 0
            return
        if self._is_stranger and self._waited_s > longest_s:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        # What came together with a head's beginning may be other requests, so it does not count.
        self._head_bytes += len(data)
        if b"\nupgrade:" in data.lower():
            data = _UPGRADE.sub(b"\nignored:", data)
        super().data_received(data)
        if self._in_head and self._head_bytes > LONGEST_HEAD:
            self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._waited_s = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self.url = (self.url + url)[:LONGEST_URL]

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
        if self._is_stopping:
            self.cycle.keep_alive = False
        if self._is_crowd:
            self.scope.update({CROWDED: True})  # type: ignore[misc]  # a key of our own
            self.cycle.keep_alive = False
        if self.parser.should_upgrade():
            # CONNECT, or an offer that came in pieces: its answer is the last, so nothing that follows is a request.
            self.cycle.keep_alive = False
            if self.scope["method"] == "POST":
                # Nor is its body read, and without it nothing can be said of what was asked.
                self.cycle.disconnected = True
                self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Of several calls uvicorn tells only the newest that its caller has gone, not the one in progress."""
        if self._answering is not None:
            self._answering.disconnected = True
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn never keeps a connection, so it says None
        """Whether the connection stays for now."""
        return self._ends_with_answers()

    def send_400_response(self, msg: str) -> None:
        """What makes no sense is refused; but behind calls that are whole, that would be taken for their refusal."""
        newest: RequestResponseCycle | None = self.cycle
        is_behind = self._answering is not None and not self._answering.response_complete
        if newest is not None and newest.more_body and newest is not self._answering and is_behind:
            # It belongs to a call that came behind others, and one of these would take it for its answer.
            self.transport.close()
        elif not self._ends_with_answers():
            headers = (*self.server_state.default_headers, *NO_REQUEST, (b"content-length", b"%d" % len(msg)))
            lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers)]
            self.transport.write(b"\r\n".join([*lines, b"", msg.encode()]))
            self.transport.close()

    def _ends_with_answers(self) -> bool:
        """Whether calls that are whole are still to be answered; the last answer ends the connection."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.more_body or cycle.response_complete or cycle.scope["path"].startswith(FOR_PEOPLE):
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
            self.loop.call_later(LAST_CALL_S, self.shutdown)
            return
        super().shutdown()
        if not self.transport.is_closing() and self.cycle.more_body and not self.pipeline:
            self.transport.close()
        self._leave_unread(None)

    def _leave_unread(self, before: int | None) -> None:
        if self in self.connections:
            unread = self.transport.get_write_buffer_size()
            if unread and unread == before:
                self.transport.abort()
            else:
                self.loop.call_later(READ_WITHIN_S, self._leave_unread, unread)


async def keep_cutting_off(connections: Collection[object]) -> None:
    """Let the connections grow older, for ever."""
    while True:
        await asyncio.sleep(SWEEP_S)
        for connection in list(connections):
            if isinstance(connection, BoundedConnection):
                connection.grow_older(SWEEP_S)


def allow_connections() -> int:
    """How many connections this process may have, once it is allowed as many open files as the system lets it.

    Some files are left for the wallet and for whoever is told that there are too many connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES_WANTED:
        soft = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft - SPARE_FILES, LEAST_CONNECTIONS)
    return MOST_CONNECTIONS
