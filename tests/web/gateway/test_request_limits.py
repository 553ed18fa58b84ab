"""Limits of what one connection may send: headers, trailers, pieces of a body, pipelined calls."""

from contextlib import suppress

import pytest

from tests.support import Server

LONGEST_HEADER = b"x: " + b"y" * (16 * 1024 - len("/healthzx: \r\n")) + b"\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"x: y\r\n" * 100, b"200"),
        (b"x: y\r\n" * 101, b"431"),
        (LONGEST_HEADER, b"200"),
        (b"y" + LONGEST_HEADER, b"431"),
        (b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * 99, b"200"),
        (b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * 100, b"431"),
        (b"transfer-encoding: chunked\r\n\r\n1;" + b"e" * 40_000, b"431"),
    ],
    ids=["100 headers", "101 headers", "16 KiB", "more than 16 KiB", "trailers", "too many trailers", "no end"],
)
def test_headers_are_bounded(server: Server, head: bytes, status: bytes) -> None:
    """A request has up to 100 headers and trailers, and 16 KiB with its path. Beyond it gets 431."""
    request_line = b"POST /wallet HTTP/1.1\r\n" if b"chunked" in head else b"GET /healthz HTTP/1.1\r\n"
    with server.connect() as connection:
        connection.sendall(request_line + head)
        with suppress(ConnectionError):
            connection.sendall(b"\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 " + status)


def test_a_trailer_is_not_a_header(server: Server) -> None:
    """A key in the trailer of a body does not authenticate: the checks of the head have not seen it."""
    key = server.cli("key", "add", "trailing", "--scope", "read")["key"]
    head = b"GET /metrics HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
    for request, status in (
        (head + b"authorization: Bearer %s\r\n\r\n0\r\n\r\n" % key.encode(), b"200"),
        (head + b"\r\n0\r\nauthorization: Bearer %s\r\n\r\n" % key.encode(), b"401"),
    ):
        with server.connect() as connection:
            connection.sendall(request)
            assert connection.recv(4096).startswith(b"HTTP/1.1 " + status)


def test_the_pieces_of_a_body_are_bounded(server: Server) -> None:
    """Each chunk takes time, also after the 413, so a body in very many chunks ends the connection."""
    head, chunk = b"POST /wallet HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"
    for chunks, status in ((1024, b"200"), (1025, b"")):
        with server.connect() as connection, suppress(ConnectionError):
            connection.sendall(head + chunk * chunks + b"0\r\n\r\n")
            assert connection.recv(4096)[9:12] == status


def build_bets(server: Server, player: str, first: int, number: int) -> bytes:
    token = server.cli.open_session(player)
    return b"".join(
        f"GET /api/bet?access_token={token}&total_bet=1&ticket_id={first + each} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
        for each in range(number)
    )


def test_up_to_32_pipelined_calls_are_all_answered(server: Server) -> None:
    """A client may send the next 32 calls when it has the answers, however they are split into packets."""
    player = server.cli.add_player()
    with server.connect() as connection:
        for turn in range(10):
            requests, received = build_bets(server, player, 7_500_000 + 100 * turn, 32), b""
            for start in range(0, len(requests), 1 + 500 * turn):
                connection.sendall(requests[start : start + 1 + 500 * turn])
            while received.count(b"balance2") < 32:
                chunk = connection.recv(65_536)
                assert chunk, received[-500:]
                received += chunk
    assert server.cli.read_balances(player) == (10_000 - 320, 0)


def test_more_than_32_pipelined_calls_reset_the_connection(server: Server) -> None:
    """Each call is applied completely or not at all; the client sees the reset and repeats the calls."""
    player = server.cli.add_player()
    requests = build_bets(server, player, 7_600_000, 33)
    with server.connect() as connection, suppress(ConnectionError):
        connection.sendall(requests)
        while received := connection.recv(65_536):
            assert b" 400 " not in received
    assert len(requests) < 16 * 1024
    assert server.cli.read_balances(player)[0] in range(10_000 - 32, 10_001)
