"""The load of `minwallet bench`: its requests, and its handling of answers."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from unittest.mock import patch

import pytest

from minwallet.bench import load
from minwallet.bench.disk import measure_sync_ms
from minwallet.bench.load import LoadFailed
from minwallet.ledger.commands import Balance, Bet
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call, HttpRequest
from minwallet.provider.manual_calls import parse_request
from tests.protocol_package import ORBIT, installed, write_protocol_package

pytestmark = pytest.mark.long

SUCCESS = {
    "wallet-v2": b'{"credit":1,"result":1}',
    "vela": b'{"status_code":0,"balance":1,"balance2":0}',
    "orbit": b'{"balance":"0.01"}',
}

REQUEST = re.compile(
    rb"(GET|POST) /KEY([^ ?]+)\??(\S*) HTTP/1.1\r\nhost: (\S+)\r\n((?:[^\r\n]+\r\n)*)\r\n(.*)", re.DOTALL
)

SECRET = "a_secret_of_the_provider"


class RecordingServer(NamedTuple):
    """A server that is not a wallet, with the requests that it received."""

    url: str
    requests: list[bytes]


@contextmanager
def run_stub_server(*pieces: bytes) -> Iterator[RecordingServer]:
    """Run a server that accepts one connection and answers every request with these pieces, each sent separately."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard = RecordingServer(f"http://127.0.0.1:{listener.getsockname()[1]}/KEY", [])

        def serve() -> None:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            # A client may disconnect in the middle of an answer.
            with connection, suppress(ConnectionError):
                while request := connection.recv(65536):
                    heard.requests.append(request)
                    if not pieces:
                        return
                    for piece in pieces:
                        connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield heard
        thread.join()


def run_short_load(server: RecordingServer, protocol: str = "wallet-v2") -> load.LoadResult:
    with patch.object(load, "WARM_UP_S", 0.05), patch.object(load, "TIMEOUT_S", 0.2):
        return load.run_load(server.url, protocol, ["first", "second"], connections=1, seconds=0.2, secret=SECRET)


def build_response(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nserver: x\r\nContent-Length: {len(body)}\r\nx: y\r\n\r\n".encode() + body


@pytest.fixture(scope="module")
def orbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the example package for this process."""
    with installed(write_protocol_package(tmp_path_factory.mktemp("orbit"), ORBIT, name="orbit", object_name="Orbit")):
        yield


@pytest.mark.parametrize("protocol", SUCCESS)
def test_every_request_is_a_new_bet_of_the_next_player(protocol: str, orbit: None) -> None:
    """The request goes to the URL with the callback key, in the form of its protocol, with an unused id.

    In a signed protocol each request has a signature of its own.
    """
    del orbit
    with run_stub_server(build_response(SUCCESS[protocol])) as server:
        figures = run_short_load(server, protocol)
    wire, ids, tokens, signatures = load_protocol(protocol), [], [], set()
    for received in server.requests:
        request = parse_received(received)
        assert dict(request.headers)[b"host"].decode() in server.url
        call = parse_request(wire, request)
        assert isinstance(call, Call), call
        assert isinstance(call.command, Bet)
        ids.append(call.command.id)
        tokens.append(call.token)
        if wire.signature is not None:
            signature = wire.signature.read(request)
            assert signature
            assert signature.value == wire.signature.compute(request, SECRET)
            signatures.add(signature.value)
    assert len(set(ids)) == len(ids) == figures.bets
    assert tokens == ["first", "second"] * (len(ids) // 2) + ["first"] * (len(ids) % 2)
    assert len(signatures) == (len(ids) if wire.signature else 0)


def parse_received(received: bytes) -> HttpRequest:
    found = REQUEST.fullmatch(received)
    assert found, received
    method, path, query, host, head, body = found.groups()
    headers = [tuple(line.split(b": ", 1)) for line in head.splitlines()]
    assert dict(headers).get(b"content-length", b"0") == str(len(body)).encode()
    return HttpRequest(method.decode(), path.decode(), query, body, [(b"host", host), *headers])


def test_a_protocol_without_a_bet_is_refused(orbit: None) -> None:
    """The error says what is missing, before any connection."""
    del orbit

    class NoBet(type(load_protocol("orbit"))):  # type: ignore[misc]  # the class comes from a package
        operations = MappingProxyType({"balance": Balance})

    with pytest.raises(LoadFailed, match="'orbit' has no bet"):
        load.find_bet_operation(NoBet())


def test_an_answer_may_come_in_pieces() -> None:
    """An answer may be split at any byte."""
    whole = build_response(SUCCESS["wallet-v2"])
    with run_stub_server(whole[:5], whole[5:40], whole[40:-1], whole[-1:]) as server:
        assert run_short_load(server).bets == len(server.requests) > 1


def test_warm_up_bets_are_not_counted() -> None:
    """Bets of the warm-up are sent but do not count in the rate."""
    with run_stub_server(build_response(SUCCESS["wallet-v2"])) as server:
        figures = run_short_load(server)
    assert 0 < figures.per_second * 0.2 < figures.bets
    assert 0 < figures.p50_ms <= figures.p99_ms
    assert figures.cpu_share > 0


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([build_response(b'{"credit":0,"result":0,"err_code":105}')], "105"),
        ([build_response(b"nonsense")], "nonsense"),
        ([build_response(SUCCESS["wallet-v2"], "503 Service Unavailable")], "HTTP status 503"),
        ([b"x" * 100_000], "cannot be parsed"),
        ([], "closed a connection"),
        ([build_response(b"")[:20]], "no reply to"),
    ],
    ids=["refused", "no JSON", "HTTP error", "no HTTP", "closed", "never whole"],
)
def test_anything_but_success_ends_the_load(pieces: list[bytes], words: str) -> None:
    """A rate of failed bets has no meaning; the error has the first failure."""
    with run_stub_server(*pieces) as server, pytest.raises(LoadFailed, match=words):
        run_short_load(server)


def test_an_unreachable_server_ends_the_load() -> None:
    """The error has the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(LoadFailed, match=f"cannot connect to {url}"):
        run_short_load(RecordingServer(url, []))


def test_measuring_the_disk_leaves_no_file(tmp_path: Path) -> None:
    """A synced write takes time, and its file is deleted."""
    assert 0 < measure_sync_ms(tmp_path) < 5000
    assert list(tmp_path.iterdir()) == []
