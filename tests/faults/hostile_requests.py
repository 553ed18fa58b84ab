"""Hostile requests over raw sockets: every method on every route, and calls with altered bytes.

Each altered call is a new bet. The answer is well-formed with an expected status, or there is none. The ledger must
agree: acknowledged bets are in it, refused ones are not.
"""

import io
import json
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from minwallet.app import create_app
from minwallet.config import Settings
from minwallet.ledger.commands import Bet
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.service import Wallet
from minwallet.web import backoffice
from minwallet.web.gateway.asgi import StaticRouter
from minwallet.web.gateway.recent_calls import RecentCalls
from minwallet.web.metrics import Metrics
from tests.faults.harness import create_players
from tests.faults.load_clients import SeededPlayer, encode_request
from tests.storage.reference_engine.memory_store import MemoryStore
from tests.support import InProcessCli, Server, running_server

METHODS = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "PURGE"),
    *("get", "POSTS", "G E T", "\0", "\u00e9"),
)

STATUSES = {100, 200, 303, 400, 401, 403, 404, 405, 409, 413, 414, 421, 422, 429, 431, 503}
"""The statuses that a caller without a key or a session may get; 500 is not one of them."""

RESPONSE_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [ -~]*\r\n((?:[!-9;-~]+: [ -~]*\r\n)*)\r\n", re.ASCII)

CONTENT_LENGTH = re.compile(rb"content-length: (\d+)\r\n", re.IGNORECASE)

HOSTILE_FRAGMENTS = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"\xff",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"/../admin",
        b"//",
        b"%2f",
        b"#",
    ),
    *(b"content-length: 0\r\n", b"content-length: 99\r\n", b"content-length: -1\r\n", b"content-length: 1, 2\r\n"),
    *(b"transfer-encoding: chunked\r\n", b"transfer-encoding: xchunked\r\n", b"expect: 100-continue\r\n"),
    *(
        b"connection: close\r\n",
        b"connection: upgrade\r\nupgrade: h2c\r\n",
        b"host: a\r\nhost: b\r\n",
        b" folded: x\r\n",
    ),
    *(b"x-forwarded-for: 127.0.0.1\r\n", b"x-http-method-override: GET\r\n", b"content-encoding: gzip\r\n"),
    *(b"x: " + b"y" * 9000 + b"\r\n", b"z: 1\r\n" * 300, b"0\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
]

TIMEOUT_S = 15


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Send altered calls for `size` seconds, after every method on every route."""
    file = folder / "wallet.db"
    (player,) = create_players(InProcessCli(file), 1, cash="90000000000")
    with running_server(file) as server:
        counts = try_all_methods(server)
        chance, end = random.Random(seed), time.monotonic() + size
        while time.monotonic() < end:
            counts += send_tampered_bets(server, player, chance, 500)
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()
    return counts


def try_all_methods(server: Server) -> Counter[str]:
    """Send every method to every route without a key or a session. Check that nothing moves and nothing fails."""
    counts: Counter[str] = Counter()
    for path in list_paths():
        for method in METHODS:
            request = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{{}}".encode()
            for status, _ in _parse_responses(_send_and_receive(server, [request]), method):
                assert status in STATUSES, (status, method, path)
                counts["methods on routes"] += 1
    assert server.http.get("/readyz").status_code == 200
    return counts


def list_paths() -> Iterator[str]:
    """Return all paths of the server, with values for their parameters."""
    wallet, settings = Wallet(MemoryStore()), Settings.model_validate({})
    app = create_app(wallet, settings, io.StringIO(), metrics=Metrics("3"), recent_calls=RecentCalls())
    assert isinstance(app, StaticRouter)
    known = [
        *app._dynamic_router.routes,
        *_unwrap(app._app).routes,
        *backoffice.routes(wallet, settings, SqliteStore.sqlite_version, RecentCalls()),
    ]
    found = {re.sub(r"{[^}]*}", "1", route.path) for route in known if isinstance(route, Route)} | {
        *app._static_endpoints
    }
    assert len(found) > 80
    # A stream does not end while the client is connected.
    yield from sorted(path for path in found if not path.endswith(("/feed", "/news")))


def _unwrap(app: object) -> Starlette:
    """Return the application inside its middleware."""
    while not isinstance(app, Starlette):
        app = getattr(app, "app", None) or getattr(app, "_app", None)
        assert app is not None
    return app


def send_tampered_bets(server: Server, player: SeededPlayer, chance: random.Random, calls: int) -> Counter[str]:
    """Send this number of bets of 0.01 with altered bytes, and check their answers with the ledger."""
    counts: Counter[str] = Counter()
    before = _read_entry_ids(server, player)
    answers_by_id: dict[str, set[bool]] = {}
    sent: dict[str, bytes] = {}
    for _ in range(calls):
        # Ids are so long that an altered id is not equal to another one of this run.
        id_, protocol = str(chance.randrange(10**14, 10**15)), chance.choice(("wallet-v2", "vela"))
        call = Call("bet", player.token, Bet(id_, 1, id_, "1012"))
        request = _tamper_bytes(encode_request(load_protocol(protocol).build_request(call, 0)), chance)
        answers_by_id[id_] = told = set()
        sent[id_] = request
        for status, body in _parse_responses(_send_and_receive(server, _split_request(request, chance)), ""):
            counts[f"answered {status}"] += 1
            assert status in STATUSES, (status, request)
            if status != 503:
                told.add(_is_success(body))
        counts["tampered calls"] += 1
    assert server.http.get("/readyz").status_code == 200
    made = _read_entry_ids(server, player) - before
    refused = [sent[id_] for id_, told in answers_by_id.items() if told == {False} and id_ in made]
    assert not refused, f"refused bets are in the ledger: {refused}"
    acknowledged = sum(True in told for told in answers_by_id.values())
    assert len(made) >= acknowledged, f"{acknowledged} bets were acknowledged, and {len(made)} are in the ledger"
    return counts + Counter({"accepted calls": len(made)})


def _read_entry_ids(server: Server, player: SeededPlayer) -> set[str]:
    return {entry["id"] for entry in server.cli("ledger", player.player, "--limit", 1_000_000)["entries"]}


def _tamper_bytes(request: bytes, chance: random.Random) -> bytes:
    data = bytearray(request)
    for _ in range(chance.randint(1, 3)):
        ends = [0, *(found.end() for found in re.finditer(rb"\r\n|[ ?&=:,]", data)), len(data)]
        place = chance.choice(ends)
        match chance.randrange(5):
            case 0:
                data[place:place] = chance.choice(HOSTILE_FRAGMENTS)
            case 1:
                del data[place : place + chance.choice((1, 2, 20))]
            case 2:
                data += chance.choice(HOSTILE_FRAGMENTS)
            case 3:
                data[place : place + 1] = bytes([chance.randrange(256)])
            case _:
                data[place:place] = data[place : place + chance.choice((1, 8, 40))]
    return bytes(data)


def _split_request(request: bytes, chance: random.Random) -> list[bytes]:
    """Return the packets of the request, mostly one."""
    place = chance.randrange(len(request) + 1) if chance.random() < 0.2 else 0
    return [part for part in (request[:place], request[place:]) if part]


def _send_and_receive(server: Server, parts: Sequence[bytes]) -> bytes:
    """Send the request, and return all bytes until the server closes the connection, which it must do after this
    side has."""
    received = b""
    with server.connect() as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            while some := connection.recv(1 << 16):
                received += some
        except TimeoutError:
            raise AssertionError(f"the server keeps a connection that its client has closed: {parts}") from None
        except OSError:
            pass  # the server has closed it already
    return received


def _parse_responses(received: bytes, method: str) -> Iterator[tuple[int, bytes]]:
    """Return the status and body of each answer. Skip a truncated answer, which no client could use."""
    while received:
        found = RESPONSE_HEAD.match(received)
        assert found is not None, f"invalid answer: {received[:200]!r}"
        length = CONTENT_LENGTH.search(found[2])
        size = int(length[1]) if length and method != "HEAD" else 0
        if len(received) < found.end() + size:
            return
        yield int(found[1]), received[found.end() : found.end() + size]
        received = received[found.end() + size :]


def _is_success(body: bytes) -> bool:
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and (answer.get("result") == 1 or answer.get("status_code") == 0)
