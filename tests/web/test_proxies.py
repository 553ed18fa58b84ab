"""The proxies of sample_data, in front of a real server and of one that fails."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support import TIMEOUT_S, Server, running_server
from tests.web.proxies import build_request, running_proxy

pytestmark = pytest.mark.long

PROXY_KINDS = pytest.mark.parametrize("kind", ["nginx", "caddy"])

KEY = "callback_key_0123456789abcdef"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server") / "wallet.db", MINWALLET_CALLBACK_KEY=KEY) as running:
        yield running


def get_port(server: Server) -> int:
    return server.http.base_url.port or 0


@PROXY_KINDS
def test_bets_pass_and_no_token_is_logged(server: Server, tmp_path: Path, kind: str) -> None:
    """Calls of both protocols pass over TLS for one host name. Operators' pages are not public. No log has a token
    or a key, even if the server is gone."""
    token = server.cli.open_session(server.cli.add_player())
    number = 1 if kind == "nginx" else 2
    bet = json.dumps({"type": "bet", "bet": 5, "id": number, "game": 1, "code": token})
    query = f"/{KEY}/api/bet?access_token={token}&ticket_id={number}&total_bet=7"
    with running_proxy(kind, tmp_path / kind, get_port(server)) as front:
        status, answer = front.send("POST", f"/{KEY}/wallet", bet)
        assert (status, '"credit":9995' in answer) == (200, True), answer
        status, answer = front.send("POST", f"/{KEY}/wallet/default", bet)
        assert status == 200
        status, answer = front.send("GET", query)
        assert (status, '"balance":9988' in answer) == (200, True), answer
        # Caddy 2.6 answers 502, and may close before the complete request was sent.
        with suppress(ssl.SSLEOFError, ConnectionError):
            assert front.send("POST", f"/{KEY}/wallet", "x" * 100_000)[0] in (413, 502)
        assert front.send("GET", f"/admin/enter?token={token}")[0] == 403
        assert front.send("GET", "/%61dmin")[0] == 403
        assert front.send("GET", "/metrics")[0] == 404
        with pytest.raises(ssl.SSLError):
            front.connect("other.example.com")
    with socket.create_server(("127.0.0.1", 0)) as closed_listener:
        port = closed_listener.getsockname()[1]
    with running_proxy(kind, tmp_path / "gone", port) as proxy_without_upstream:
        assert proxy_without_upstream.send("GET", query, Cookie=f"minwallet_admin={token}")[0] == 502
    logged = front.logs + proxy_without_upstream.logs
    assert "127.0.0.1" in logged
    assert "502" in logged
    assert token not in logged
    assert KEY not in logged


@PROXY_KINDS
def test_a_committed_bet_is_in_the_feed_immediately(server: Server, tmp_path: Path, kind: str) -> None:
    """The proxy does not buffer server-sent events."""
    key = server.cli("key", "add", f"feed-{kind}", "--scope", "read")["key"]
    player = server.cli.add_player()
    with (
        running_proxy(kind, tmp_path / kind, get_port(server), operators="127.0.0.0/8") as front,
        front.connect() as line,
    ):
        line.settimeout(TIMEOUT_S)
        line.sendall(build_request("GET", "/admin/api/v1/feed", Authorization=f"Bearer {key}"))
        seen = ""
        while "the feed begins" not in seen:
            heard = line.recv(65536).decode()
            assert heard, seen
            seen += heard
        server.cli("deposit", player, "12.34", "--reference", kind)
        line.settimeout(5)
        while "event: transaction" not in seen:
            heard = line.recv(65536).decode()
            assert heard, seen
            seen += heard


@contextmanager
def closing_upstream(answers_first: bool) -> Iterator[tuple[int, list[bytes]]]:
    """Run a server that reads calls and closes connections, and yield the calls. The first call may be answered, so
    that its connection is kept."""
    heard: list[bytes] = []

    def listen(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(TIMEOUT_S)
                while call := connection.recv(65536):
                    heard.append(call)
                    if len(heard) > 1 or not answers_first:
                        break
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=listen, args=[listener])
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(TIMEOUT_S)


@PROXY_KINDS
@pytest.mark.parametrize("answers_first", [False, True], ids=["new connection", "used connection"])
def test_a_failed_get_is_not_retried(tmp_path: Path, kind: str, *, answers_first: bool) -> None:
    """If the server closes after it has read a GET, it gets that GET once, also on a used connection. A client's own
    forwarding header is not passed on."""
    with closing_upstream(answers_first) as (port, heard), running_proxy(kind, tmp_path / kind, port) as front:
        if answers_first:
            assert front.send("GET", "/api/bet?first=1")[0] == 200
        assert front.send("GET", "/api/bet?last=1", X_Forwarded_For="198.51.100.7", X_Forwarded_Proto="http")[0] == 502
    assert len([call for call in heard if b"last=1" in call]) == 1
    lines = heard[-1].decode().lower().splitlines()
    assert "x-forwarded-for: 127.0.0.1" in lines
    assert "x-forwarded-proto: https" in lines
    assert "host: wallet.example.com" in lines
