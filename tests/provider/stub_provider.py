"""A provider over real HTTP with scripted responses, for those that a good provider never sends."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from minwallet.ledger.reconciliation import ReportRow
from minwallet.protocols.operator_service import ReportPage
from minwallet.protocols.registry import load_operator_service
from tests.support import TIMEOUT_S

SERVICE = load_operator_service("vela")

HttpReply = tuple[int, bytes]

Accepted = socket.socket | tuple[bytes, socket.socket]
"""An accepted connection, in the type that `socketserver` also uses for datagrams."""


class StubProvider(ThreadingHTTPServer):
    """A server that answers each request with the status and body that `answer(path, query)` returns."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requested_paths: list[str] = []
        self._unread: set[object] = set()
        self._read = threading.Condition()
        self.released = threading.Event()
        self.is_trickling = False
        self.answer: Callable[[str, dict[str, str]], HttpReply] = lambda _path, _query: (404, b"")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer_always(self, body: bytes, status: int = 200) -> None:
        """Give the same response to every request."""
        self.answer = lambda _path, _query: (status, body)

    def never_answer(self) -> None:
        """Let every caller wait until the test ends."""

        def wait(_path: str, _query: dict[str, str]) -> HttpReply:
            self.released.wait()
            return 200, b""

        self.answer = wait

    def answer_slowly(self) -> None:
        """Send a response one byte at a time until the test ends."""
        self.is_trickling = True
        self.answer_always(b"{" * 10_000)

    def wait_for_sent_requests(self) -> None:
        """Wait until each request that was sent before is in `requested_paths`, also if its sender is gone."""
        # Connections are accepted in order. When this one is closed, all earlier ones have been accepted.
        with socket.create_connection(("127.0.0.1", self.server_port), TIMEOUT_S) as last:
            last.shutdown(socket.SHUT_WR)
            assert last.recv(1) == b""
        with self._read:
            assert self._read.wait_for(lambda: not self._unread, TIMEOUT_S)

    def process_request(self, request: Accepted, client_address: tuple[str, int]) -> None:
        """Serve an accepted connection in a thread of its own."""
        with self._read:
            self._unread.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Accepted) -> None:
        """Close a connection. It counts as read, because no request follows."""
        super().shutdown_request(request)
        self.mark_read(request)

    def mark_read(self, request: object) -> None:
        """Record that the only request of this connection is in `requested_paths`."""
        with self._read:
            self._unread.discard(request)
            self._read.notify_all()

    def serve_report(
        self, rows: list[ReportRow], page_size: int, on_request: Callable[[str], None] = lambda _key: None
    ) -> None:
        """Serve a report of these rows with ids 1, 2, 3 … Call `on_request` with the key of each request."""

        def answer(_path: str, query: dict[str, str]) -> HttpReply:
            on_request(query["key"])
            after = int(query["key"])
            found = [row for row in rows if int(row.id) > after][:page_size]
            return 200, SERVICE.render_report(ReportPage(found, found[-1].id if found else query["key"]))

        self.answer = answer


class _Handler(BaseHTTPRequestHandler):
    server: StubProvider

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.requested_paths.append(self.path)
        self.server.mark_read(self.connection)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        status, body = self.server.answer(url.path, query)
        with suppress(OSError):  # the client may be gone
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if not self.server.is_trickling:
                self.wfile.write(body)
                return
            for number in range(len(body)):
                self.wfile.write(body[number : number + 1])
                if self.server.released.wait(0.05):
                    return

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def run_stub_provider() -> Iterator[StubProvider]:
    """Yield a provider that is stopped when the block ends."""
    with StubProvider() as provider:
        thread = threading.Thread(target=provider.serve_forever)
        thread.start()
        try:
            yield provider
        finally:
            provider.released.set()
            provider.shutdown()
            thread.join()
