"""A server of raw sockets that sends what no honest HTTP server sends."""

import gzip
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

OK = b"HTTP/1.1 200 OK\r\n"

TRICKLE_S = 0.05


class HostileServer:
    """A server that sends the pieces of `answer` to each caller, and keeps the requests."""

    def __init__(self, answer: Callable[[], Iterable[bytes]]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self.requests.append(connection.recv(65_536))
            for piece in self._answer():
                connection.sendall(piece)

    def close(self) -> None:
        # Only a shutdown wakes up the thread in accept().
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def run_hostile_server(answer: Callable[[], Iterable[bytes]]) -> Iterator[HostileServer]:
    server = HostileServer(answer)
    try:
        yield server
    finally:
        server.close()


def send_body(body: bytes, *headers: bytes) -> list[bytes]:
    """Return an answer with this body."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return [OK + lines + b"content-length: %d\r\n\r\n" % len(body), body]


def send_report(rows: bytes) -> list[bytes]:
    """Return an answer with these rows of a report."""
    return send_body(b'{"data":{"status_code":0,"key":"1","report":[' + rows + b"]}}")


def trickle(text: bytes) -> Iterator[bytes]:
    """Yield one byte at a time, for ever."""
    for byte in itertools.cycle(text):
        yield bytes([byte])
        time.sleep(TRICKLE_S)


def trickle_head() -> Iterator[bytes]:
    yield OK + b"x: "
    yield from trickle(b"x")


def trickle_body() -> Iterator[bytes]:
    yield OK + b"content-length: 1000000\r\n\r\n"
    yield from trickle(b"{")


def send_gzip_bomb() -> list[bytes]:
    """Return 8 kB that decode to 8 MB."""
    return send_body(gzip.compress(bytes(8_000_000)), b"content-encoding: gzip")


def send_empty_gzip_blocks() -> Iterator[bytes]:
    """Yield gzip data that never decodes to a byte."""
    yield OK + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    empty = gzip.compress(b"")
    while True:
        yield b"%x\r\n%b\r\n" % (len(empty), empty)
        time.sleep(TRICKLE_S)


def send_endless_chunks() -> Iterator[bytes]:
    yield OK + b"transfer-encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + bytes(65_536) + b"\r\n"


def send_endless_headers() -> Iterator[bytes]:
    yield OK
    for number in itertools.count():
        yield b"x-%d: y\r\n" % number


def send_endless_early_hints() -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"


def send_redirect() -> list[bytes]:
    return [b"HTTP/1.1 302 Found\r\nlocation: /api/report\r\ncontent-length: 0\r\n\r\n"]
