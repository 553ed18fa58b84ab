"""HTTP rules of both protocols, over real HTTP."""

import json
import socket
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from tests.support import Server, running_server

WALLET_CALL = json.dumps({"code": "nobody", "type": "credit"}).encode()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_wallet_v2_accepts_post_only(server: Server, method: str) -> None:
    """Any other method gets 405 and moves no money."""
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    bet = json.dumps({"code": token, "type": "bet", "bet": 100, "id": 7_000_001, "game": 1})
    response = server.http.request(method, "/wallet", content=bet)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert server.cli.read_balances(player) == (10_000, 0)


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_vela_accepts_get_only(server: Server, method: str) -> None:
    """Any other method, HEAD included, gets 405 and moves no money."""
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    url = f"/api/bet?access_token={token}&ticket_id=7000001&total_bet=100"
    response = server.http.request(method, url)
    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    assert server.cli.read_balances(player) == (10_000, 0)


def test_every_answer_forbids_storing(server: Server) -> None:
    """No cache may store an answer, whatever its status."""
    answers = [
        server.http.post("/wallet", content=WALLET_CALL),
        server.http.post("/wallet", content=b"nonsense"),
        server.http.get("/wallet"),
        server.http.get("/api/bet"),
        server.http.post("/api/bet"),
        server.http.get("/api/user/authenticate?access_token=nobody"),
        server.http.get("/healthz"),
        server.http.get("/readyz"),
        server.http.get("/nothing"),
        server.http.post("/control"),
        server.http.post("/healthz"),
    ]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


def test_a_body_over_8_kib_is_413(server: Server) -> None:
    """The error has the form of the protocol; a body of exactly 8 KiB is read."""
    padding = 8 * 1024 - len(json.dumps({"code": "nobody", "type": "credit", "pad": ""}))
    longest = json.dumps({"code": "nobody", "type": "credit", "pad": "x" * padding})
    assert server.http.post("/wallet", content=longest).json()["err_code"] == 102
    response = server.http.post("/wallet", content=longest + " ")
    assert (response.status_code, response.json()["result"], response.json()["err_code"]) == (413, 0, 100)


def test_the_length_in_the_head_alone_is_413(server: Server) -> None:
    """The answer does not wait for a body that will not be read."""
    with server.connect() as connection:
        connection.sendall(b"POST /wallet HTTP/1.1\r\nhost: x\r\ncontent-length: 8193\r\n\r\n{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    call = server.cli("calls", "--limit", 1)["calls"][0]
    assert (call["outcome"], call["reason"]) == ("http 413", "the body is longer than 8192 bytes")


def test_a_chunked_body_over_8_kib_is_413(server: Server) -> None:
    """A chunked body is counted as it arrives."""
    response = server.http.post("/wallet", content=(b"x" * 1024 for _ in range(9)))
    assert response.status_code == 413


def test_a_query_over_2_kib_is_414(server: Server) -> None:
    """The error has the form of the protocol."""
    query = "access_token=nobody&ticket_id=1&total_bet=1&pad="
    longest = f"/api/bet?{query}{'x' * (2048 - len(query))}"
    assert server.http.get(longest).json()["status_code"] == 1
    response = server.http.get(f"{longest}x")
    assert (response.status_code, response.json()["status_code"]) == (414, 2001)
    answer = exchange(server, b"GET /api/bet?access_token=" + b"a" * 16_000 + b" HTTP/1.1\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 414")
    assert b'"status_code":2001' in answer
    # Beyond the limit of a head the protocol is unknown.
    answer = exchange(server, b"GET /api/bet?access_token=" + b"a" * 17_000 + b" HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 414")
    assert b"text/plain" in answer


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /wallet HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"POST /wallet HTTP/1.1\r\ncontent-length: -1\r\n\r\n{}",
        b"GET /api/bet?access_token=\xff HTTP/1.1\r\n\r\n",
    ],
)
def test_an_invalid_request_is_400_and_forbids_storing(server: Server, request_: bytes) -> None:
    """The error has no protocol's form, because the protocol is unknown."""
    answer = exchange(server, request_)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"\r\ncache-control: no-store\r\n" in answer
    assert answer.endswith(b"\r\n\r\nInvalid HTTP request received.")


@pytest.mark.parametrize("token", ["%FF", "%ED%A0%80", "%C3"])
def test_a_token_that_is_not_utf8_is_unknown(server: Server, token: str) -> None:
    """It gets the reply of any unknown token."""
    answer = server.http.get(f"/api/bet?access_token={token}&ticket_id=1&total_bet=1").json()
    assert answer == {"status_code": 1, "message": "Invalid Token"}


@pytest.mark.parametrize("head", [b"GET /", b"GET / HTTP/1.1\r\nx: ", b"GET / HTTP/1.1\r\nx: y\r\n"])
def test_a_head_without_an_end_is_cut_off(server: Server, head: bytes) -> None:
    """An endless path or header does not keep the server busy."""
    more = b"x: y\r\n" * 1024 if head.endswith(b"\n") else b"a" * 8192
    with server.connect() as connection, suppress(ConnectionError):
        connection.sendall(head + more * 64)
        while connection.recv(4096):
            pass
    assert server.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/wallet/", "/wallets", "/api/bet/", "/api/betwins", "/wallet/a/b", "/control"])
def test_other_paths_are_404(server: Server, path: str) -> None:
    """Other paths are not found and not redirected, and the control endpoint is not reachable on this port."""
    assert server.http.post(path, content=WALLET_CALL).status_code == 404
    assert server.http.get(path).status_code in (404, 405)


def test_a_wallet_token_admits_only_its_own_agent(server: Server) -> None:
    """`POST /wallet/{wallet_token}` knows only the sessions of that agent."""
    server.cli("agent", "add", "north", "--wallet-token", "north_token")
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    assert server.wallet_v2("/wallet/default", code=token, type="credit")["result"] == 1
    assert server.wallet_v2("/wallet/north_token", code=token, type="credit")["err_code"] == 102
    assert server.wallet_v2("/wallet/unknown", code=token, type="credit")["err_code"] == 102


def test_health_and_readiness(server: Server) -> None:
    """`/healthz` reports that the server runs, `/readyz` that it can apply calls, with its SQLite version."""
    assert server.http.get("/healthz").json() == {"status": "ok"}
    ready = server.http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["ready"] is True
    assert ready.json()["sqlite"].count(".") == 2


def test_a_callback_key_moves_the_endpoints(db: Path) -> None:
    """With a callback key the provider's paths exist only below it, and the key is never in the log."""
    with running_server(db, MINWALLET_CALLBACK_KEY="a-long-random-word") as server:
        assert server.http.post("/wallet", content=WALLET_CALL).status_code == 404
        assert server.http.get("/api/bet").status_code == 404
        assert server.http.post("/a-long-random-word/wallet", content=WALLET_CALL).json()["err_code"] == 102
        assert server.http.get("/a-long-random-word/api/bet").json()["status_code"] == 1
        assert server.http.post("/a-long-random-word/wallet/default", content=WALLET_CALL).json()["err_code"] == 102
        for path in ("/wallet/default", "/a-long-random-wore/wallet/default", "/%C3%A9/wallet/default", "/a-long"):
            assert server.http.post(path, content=WALLET_CALL).status_code == 404
        assert server.http.get("/healthz").status_code == 200
    assert "a-long-random-word" not in server.log.read_text()


def test_an_allow_list_keeps_others_out(db: Path) -> None:
    """Only listed networks may call. The forwarding header of a trusted proxy counts, and no other."""
    with running_server(db, MINWALLET_CALLBACK_ALLOW="203.0.113.0/24, 2001:db8::/32") as server:

        def call(forwarded_for: str | None) -> httpx2.Response:
            headers = {"x-forwarded-for": forwarded_for} if forwarded_for else {}
            return server.http.post("/wallet", content=WALLET_CALL, headers=headers)

        assert call(None).status_code == 403
        assert call(None).json()["result"] == 0
        assert call("203.0.113.9").status_code == 200
        assert call("2001:db8::1").status_code == 200
        assert call("198.51.100.1").status_code == 403
        assert call("203.0.113.9, 198.51.100.1").status_code == 403
        assert call("nonsense").status_code == 403
        assert call("203.0.113.9, nonsense").status_code == 403
        assert call("198.51.100.1, 203.0.113.9:4711").status_code == 200
        assert call("203.0.113.9, 198.51.100.1, 127.0.0.1").status_code == 403
        assert call("[2001:db8::1]:4711").status_code == 200
        assert call("[2001:db9::1]:4711").status_code == 403
        for first, second, status in (("203.0.113.9", "198.51.100.1", 403), ("198.51.100.1", "203.0.113.9", 200)):
            two = [("x-forwarded-for", first), ("x-forwarded-for", second)]
            assert server.http.post("/wallet", content=WALLET_CALL, headers=two).status_code == status
        assert server.http.get("/readyz").status_code == 200
    with running_server(db, MINWALLET_CALLBACK_ALLOW="203.0.113.0/24", MINWALLET_FORWARDED_ALLOW="192.0.2.1") as server:
        assert call("203.0.113.9").status_code == 403


def test_the_log_has_one_line_for_each_call_and_no_token(server: Server) -> None:
    """A line has protocol, operation, player, id, outcome and milliseconds; no call's token is in the log."""
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    server.wallet_v2(code=token, type="bet", bet=100, id=7_100_001, game=1)
    server.vela("bet", access_token=token, ticket_id=7_100_002, total_bet=100)
    server.vela("bet", access_token=f"{token[:-1]}x", ticket_id=7_100_003, total_bet=100)
    server.http.get(f"/api/nothing?access_token={token}")
    log = server.read_log()
    lines = [json.loads(line) for line in log.splitlines() if '"protocol"' in line]
    mine = [line for line in lines if line["id"].startswith("71000")]
    assert [(line["protocol"], line["operation"], line["player"], line["outcome"]) for line in mine] == [
        ("wallet-v2", "bet", player, "applied"),
        ("vela", "bet", player, "applied"),
        ("vela", "bet", "", "session_unknown"),
    ]
    assert all(line["ms"] > 0 for line in mine)
    assert token[:-1] not in log


def test_a_call_of_a_disconnected_client_is_applied_completely_or_not_at_all(server: Server) -> None:
    """A request that ends in its body moves nothing; one that ends before its answer is applied completely."""
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    body = json.dumps({"code": token, "type": "bet", "bet": 100, "id": 7_200_001, "game": 1}).encode()
    head = b"POST /wallet HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    for sent in (head + body[:-1], head[:-2], head):
        with server.connect() as gone:
            gone.sendall(sent)
    assert server.cli.read_balances(player) == (10_000, 0)
    with server.connect() as gone:
        gone.sendall(head + body)
    answer = server.wallet_v2(code=token, type="bet", bet=100, id=7_200_001, game=1)
    assert answer == {"credit": 9_900, "result": 1}
    assert server.cli.read_balances(player) == (9_900, 0)


def exchange(server: Server, *parts: bytes) -> bytes:
    """Send these parts, each after the previous one has arrived, and return the answers."""
    received = b""
    with server.connect() as connection, suppress(OSError):
        for part in parts:
            connection.sendall(part)
            assert server.http.get("/healthz").status_code == 200
        while received.count(b"}") < 2 and (chunk := connection.recv(4096)):
            received += chunk
    return received


@pytest.mark.parametrize("name", [b"Upgrade", b"upgrade", b"UPGRADE"])
@pytest.mark.parametrize("what", [b"h2c", b"websocket"])
def test_an_offer_of_another_protocol_is_ignored(server: Server, name: bytes, what: bytes) -> None:
    """HTTP requires this; some clients send an Upgrade header with every call."""
    offer = b"host: x\r\nConnection: Upgrade, HTTP2-Settings\r\n%s: %s\r\nHTTP2-Settings: AAM\r\n" % (name, what)
    head = b"POST /wallet HTTP/1.1\r\n%scontent-length: %d\r\n\r\n" % (offer, len(WALLET_CALL))
    for parts in ([head, WALLET_CALL], [head + WALLET_CALL]):
        received = exchange(server, *parts, head + WALLET_CALL)
        assert received.count(b"HTTP/1.1 200 OK") == received.count(b'"err_code":102') == 2


@pytest.mark.parametrize(
    "head",
    [
        [b"POST /wallet HTTP/1.1\r\nconnection: upgrade\r\nupg", b"rade: h2c\r\ncontent-length: %d\r\n\r\n"],
        [b"CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\ncontent-length: %d\r\n\r\n"],
    ],
    ids=["an offer in pieces", "CONNECT"],
)
def test_a_body_is_never_parsed_as_a_request(server: Server, head: list[bytes]) -> None:
    """If the parser cannot tell where a request ends, nothing after it is read."""
    player = server.cli.add_player()
    bet = f"/api/bet?access_token={server.cli.open_session(player)}&ticket_id=7400001&total_bet=100"
    inner = f"GET {bet} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    received = exchange(server, *head[:-1], head[-1] % len(inner), inner)
    assert b"status_code" not in received
    # A call whose body was not read gets no answer, because its operation is unknown.
    assert b"err_code" not in received
    assert server.cli.read_balances(player) == (10_000, 0)


GARBAGE = [
    pytest.param(b"GARBAGE\r\n\r\n", True, id="behind it"),
    pytest.param(b"POST /wallet HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n", False, id="in the next one"),
]


@pytest.mark.parametrize(("garbage", "is_answered"), GARBAGE)
def test_garbage_does_not_refuse_the_preceding_call(server: Server, garbage: bytes, is_answered: bool) -> None:
    """An applied call gets its own answer or none, never a 400, which would mean a refusal."""
    token = server.cli.open_session(server.cli.add_player())
    body = json.dumps({"code": token, "type": "bet", "bet": 1, "id": 5, "game": 1}).encode()
    with server.connect() as connection:
        connection.sendall(b"POST /wallet HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b%b" % (len(body), body, garbage))
        heard = b""
        with suppress(ConnectionError):
            while some := connection.recv(4096):
                heard += some
    assert heard.startswith(b"HTTP/1.1 200") or not (heard or is_answered)


def test_pipelined_calls_are_answered_in_order(server: Server) -> None:
    """Two calls sent together on one connection get their answers in order."""
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    target = f"/api/bet?access_token={token}&total_bet=100&ticket_id="
    requests = b"".join(
        f"GET {target}{ticket} HTTP/1.1\r\nhost: x\r\n\r\n".encode() for ticket in (7_300_001, 7_300_002)
    )
    with server.connect() as connection:
        connection.sendall(requests)
        received = b""
        while received.count(b"balance2") < 2:
            chunk = connection.recv(4096)
            assert chunk, received
            received += chunk
    assert received.index(b'"balance":9900') < received.index(b'"balance":9800')


@pytest.mark.parametrize("number", [1, 3])
def test_a_half_closed_connection_gets_its_answers(server: Server, number: int) -> None:
    """A client may shut down its half of the connection after its last call; the server closes the other half after
    its answer."""
    token = server.cli.open_session(server.cli.add_player())
    head = f"GET /api/bet?access_token={token}&total_bet=1&ticket_id=74{number}000"
    calls = "".join(f"{head}{each} HTTP/1.1\r\nhost: x\r\n\r\n" for each in range(number))
    received = b""
    with server.connect() as connection:
        connection.sendall(calls.encode())
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(4096):
            received += chunk
    assert received.count(b'"status_code":0') == number
