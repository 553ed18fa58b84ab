"""Reads of a bounded size.

uvloop reads up to 256 KB at once, and flow control acts only between two reads. With smaller reads a connection that is
paused has at most `MAX_READ_BYTES` in memory beyond the limits of `http_protocol`.
"""

import asyncio
from typing import Any

from minwallet.web.gateway.http_protocol import LimitedHttpProtocol

MAX_READ_BYTES = 16 * 1024
"""Maximum size of one read. Nearly every request is smaller."""

_buffer = bytearray(MAX_READ_BYTES)
"""One buffer for all connections: the event loop fills it and calls `buffer_updated` in one step."""


class BoundedReadProtocol(asyncio.BufferedProtocol):
    """Passes the events of a connection to a LimitedHttpProtocol, and its bytes in bounded reads.

    Only an asyncio.BufferedProtocol can limit its reads, and uvicorn's protocol is an asyncio.Protocol.
    """

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 what uvicorn passes to a protocol
        self._protocol = LimitedHttpProtocol(**arguments)

    def get_buffer(self, sizehint: int) -> bytearray:
        del sizehint
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(bytes(memoryview(_buffer)[:nbytes]))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        self._protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def eof_received(self) -> bool:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()
