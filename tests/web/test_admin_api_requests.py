"""How the admin API takes what it is asked: strictly; and how it says what is wrong."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from minwallet.config import load_settings
from minwallet.operations.dispatch import execute
from minwallet.operations.errors import ErrorCode, OperationFailure
from minwallet.operations.requests import KeyAdd, Reply
from minwallet.storage.admin_store import KeyScope
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.service import Wallet
from minwallet.web.admin_api import operation
from minwallet.web.admin_api.asking import MOST_MISTAKES
from minwallet.web.admin_api.endpoint import LONGEST_BODY, Endpoint
from minwallet.web.admin_api.operation import Api, by_handler
from minwallet.web.admin_api.problems import BASE, Cause
from minwallet.web.admin_api.shapes import HealthShown, Nothing
from minwallet.web.health import examine
from tests.support import Here, Server, serving
from tests.web.api import PLAYERS, Caller, assert_problem, done, make_key, mistakes

DEPOSITS = f"{PLAYERS}/alice/deposits"


@pytest.fixture(scope="module")
def caller(server: Server) -> Caller:
    """Somebody who may do everything; and a player."""
    server.cli("player", "add", "alice", "--currency", "USD", "--balance", "100")
    return Caller(server, make_key(server, "everything"))


def send(caller: Caller, body: bytes | Iterator[bytes], path: str = DEPOSITS) -> httpx2.Response:
    """The answer to a body that is sent as it is."""
    return caller.http.post(BASE + path, headers=caller.headers, content=body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"amount=1&reference=x",
        b"null",
        b"[]",
        b'"text"',
        b'{"amount": 1, "reference": "m"',
        b'{"amount": 1, "amount": 2, "reference": "m"}',
        b'{"amount": NaN, "reference": "m"}',
        b'{"amount": -Infinity, "reference": "m"}',
        b'{"amount": 1, "reference": "\xff"}',
        b'{"amount": 1, "reference": "\\ud800"}',
        b'{"amount": 1, "reference": "m", "\\udfff": 1}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"amount": ' + b"9" * 5000 + b', "reference": "m"}',
    ],
)
def test_a_body_is_one_json_object(caller: Caller, body: bytes) -> None:
    """In UTF-8, with no name twice, and no numbers that JSON has not; else 400."""
    assert_problem(send(caller, body), 400, "malformed", "the body")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"amount": "1"}, "amount"),
        ({"amount": 1.0}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 2**63}, "amount"),
        ({"amount": 10**400}, "amount"),
        ({"amount": 1e400}, "amount"),
        ({"amount": [1]}, "amount"),
        ({"bonus": 1}, "bonus"),
        ({"bonus": "true"}, "bonus"),
        ({"currency": "usd"}, "currency"),
        ({"currency": 840}, "currency"),
        ({"reference": ""}, "reference"),
        ({"reference": " x"}, "reference"),
        ({"reference": "x\n"}, "reference"),
        ({"reference": 1}, "reference"),
        ({"reason": "two\nlines"}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"unknown": 1}, "unknown"),
        ({"do": "withdraw"}, "do"),
        ({"agent": "default"}, "agent"),
        ({"player_id": "alice"}, "player_id"),
    ],
)
def test_a_field_is_what_it_is(caller: Caller, change: dict[str, object], name: str) -> None:
    """No text for a number, no 1.0 for 1, no true for 1; nor a field that is not known. 422 names it."""
    before = caller.get("/transactions", limit=1)
    body = json.dumps({"amount": 1, "reference": "strict"} | change).replace("Infinity", "1e400")
    problem = assert_problem(send(caller, body.encode()), 422, "invalid", name)
    assert mistakes(problem) == {("body", name)}
    assert caller.get("/transactions", limit=1) == before


def test_not_everything_is_repeated(caller: Caller) -> None:
    """Of very much that is wrong some is told, and how much more there is."""
    answer = caller.ask("POST", DEPOSITS, {f"{'x' * 100}{number}": 1 for number in range(500)})
    problem = assert_problem(answer, 422, "invalid", "more")
    assert len(problem["errors"]) == MOST_MISTAKES
    assert len(answer.content) < 10_000


def test_everything_that_is_wrong_is_told_at_once(caller: Caller) -> None:
    """Where it was given, and what would do."""
    answer = caller.ask("POST", "/agents/two words/players/a b/deposits", {"amount": "x", "more": 1}, page=1)
    problem = assert_problem(answer, 422, "invalid")
    assert mistakes(problem) == {
        *(("path", "agent"), ("path", "player_id"), ("query", "page")),
        *(("body", "amount"), ("body", "more"), ("body", "reference")),
    }
    told = {each["name"]: each["detail"] for each in problem["errors"]}
    assert told["reference"] == "it is missing"
    assert told["agent"] == "it is 1 to 40 of A-Z a-z 0-9 _ . -"
    assert told["page"] == "there is no such field"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/transactions?limit=0", "limit"),
        ("/transactions?limit=1001", "limit"),
        ("/transactions?limit=1.0", "limit"),
        ("/transactions?limit=+1", "limit"),
        ("/transactions?limit=01", "limit"),
        ("/transactions?limit=\uff11", "limit"),
        ("/transactions?limit=", "limit"),
        ("/transactions?limit=1&limit=1", "limit"),
        ("/transactions?before=0", "before"),
        ("/transactions?kind=bets", "kind"),
        ("/transactions?state=", "state"),
        ("/transactions?protocol=v3", "protocol"),
        ("/transactions?game=", "game"),
        ("/transactions?since=2026-11-21", "since"),
        ("/transactions?since=2026-11-21T10:00:00", "since"),
        ("/transactions?since=1700000000", "since"),
        ("/transactions?since=2026-02-30T00:00:00Z", "since"),
        ("/transactions?since=2026-11-21T24:00:01Z", "since"),
        ("/transactions?until=2026-11-21T00:00:00%2B99:00", "until"),
        ("/transactions?unknown=1", "unknown"),
        ("/transactions?since_ms=1", "since_ms"),
        ("/totals?since=2026-02-30", "since"),
        ("/totals?until=20261121", "until"),
        ("/totals?until=0000-01-01", "until"),
        ("/feed?limit=1", "limit"),
        ("/health?verbose=1", "verbose"),
        (f"{PLAYERS}?after={'x' * 41}", "after"),
    ],
)
def test_a_parameter_is_what_it_is(caller: Caller, path: str, name: str) -> None:
    """422 names it, as in a body."""
    problem = assert_problem(caller.ask("GET", path), 422, "invalid", name)
    assert mistakes(problem) == {("query", name)}


@pytest.mark.parametrize("path", ["/transactions/0", "/transactions/x", "/transactions/9223372036854775808"])
def test_a_number_in_a_path_is_one(caller: Caller, path: str) -> None:
    """Else 422."""
    assert mistakes(assert_problem(caller.ask("GET", path), 422, "invalid")) == {("path", "seq")}


def test_a_body_has_64_kib_at_the_most(caller: Caller) -> None:
    """One byte more is 413, also where the length is not told before."""
    body = json.dumps({"amount": 1, "reference": "long"}).encode().ljust(LONGEST_BODY)
    assert done(send(caller, body))["cash"] == 10_001
    assert_problem(send(caller, body + b" "), 413, "too_long")
    assert_problem(send(caller, (b" " * 1024 for _ in range(65))), 413, "too_long")


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/agents/", "/players", f"{DEPOSITS}/1", "/docs/", "/AGENTS"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_is_nowhere_is_not_found(server: Server, method: str, path: str) -> None:
    """404, in the shape of every problem; with a key or without."""
    assert_problem(Caller(server).ask(method, path), 404, "not_found", "no such address")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/agents", "GET, POST"),
        ("/agents/default", "GET, PATCH"),
        (DEPOSITS, "POST"),
        (f"{PLAYERS}/alice/sessions/1", "DELETE"),
        (f"{PLAYERS}/alice/limits", "GET"),
        (f"{PLAYERS}/alice/limits/loss/day", "PUT"),
        ("/health", "GET"),
        ("/openapi.json", "GET"),
        ("/docs", "GET"),
    ],
)
def test_an_address_has_its_methods(server: Server, path: str, allowed: str) -> None:
    """Any other, HEAD and OPTIONS included, is 405 and says which."""
    documents = {"/openapi.json", "/docs"}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - set(allowed.split(", ")):
        answer = Caller(server).ask(method, path)
        assert_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allowed
    if path not in documents:
        assert Caller(server).ask("HEAD", path).status_code == 405


def test_nothing_may_be_stored(caller: Caller) -> None:
    """No cache keeps an answer, whatever it says."""
    answers = [
        caller.ask("GET", "/agents"),
        caller.ask("GET", "/nothing"),
        caller.ask("POST", DEPOSITS),
        caller.ask("GET", "/docs"),
        caller.ask("GET", "/openapi.json"),
    ]
    assert {tuple(answer.headers.get_list("cache-control")) for answer in answers} == {("no-store",)}


def test_every_reason_of_the_desk_is_a_problem() -> None:
    """Whatever is declined, programs can tell it apart; and no two problems are told in the same word."""
    assert {why.value for why in ErrorCode} <= {cause.word for cause in Cause}
    assert len({cause.uri for cause in Cause}) == len(Cause)


def test_a_fault_of_the_file_is_503(db: Path) -> None:
    """Never a refusal: the change may have been made. The same reference again finds the truth."""
    here = Here(db)
    here("player", "add", "alice", "--currency", "USD")
    key = here("key", "add", "website", "--scope", "write")["key"]
    with sqlite3.connect(db) as file:
        when = "BEFORE INSERT ON audit_log WHEN NEW.action = 'deposit'"
        file.execute(f"CREATE TRIGGER fault {when} BEGIN SELECT RAISE(ABORT, 'fault'); END")
    file.close()
    body = {"amount": 100, "reference": "once"}
    with serving(db) as server:
        caller = Caller(server, key)
        assert_problem(caller.ask("POST", DEPOSITS, body), 503, "unavailable")
        assert "fault" in server.log.read_text()
        assert "Traceback" not in server.log.read_text()
    with sqlite3.connect(db) as file:
        file.execute("DROP TRIGGER fault")
    file.close()
    with serving(db) as server:
        assert Caller(server, key).post(DEPOSITS, **body)["cash"] == 100


def new_key(reply: Reply | OperationFailure) -> str:
    assert not isinstance(reply, OperationFailure)
    return str(reply["key"])


async def breaks(caller: operation.Caller, asked: Nothing) -> HealthShown:
    raise ZeroDivisionError(caller, asked)


def test_a_bug_is_500_and_tells_nobody_more(db: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what broke; the caller gets a problem without a word of it, and the server goes on."""

    async def ask() -> httpx2.Response:
        async with Wallet(await SqliteStore.open(db, create=True)) as wallet:
            key = new_key(await execute(wallet, KeyAdd(name="k", scope=KeyScope.READ), "test"))
            api = Api(wallet, lambda: examine(wallet, load_settings(db=db), "3", 0), asyncio.Lock())
            endpoint = Endpoint(api, [by_handler("GET /breaks", breaks, "Break")])
            app = Starlette(routes=[Route("/breaks", endpoint)])
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.get("/breaks", headers={"authorization": f"Bearer {key}"})

    answer = asyncio.run(ask())
    problem = assert_problem(answer, 500, "bug")
    assert set(problem) == {"type", "title", "status", "detail"}
    assert "ZeroDivision" not in answer.text
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with 10,000 players, who have money."""
    folder = tmp_path_factory.mktemp("crowd")
    seed = folder / "players.csv"
    rows = [f"p{number},USD,100" for number in range(10_000)]
    seed.write_text("\n".join(["player_id,currency,balance", *rows]), "utf-8")
    with serving(folder / "wallet.db") as server:
        server.cli("seed", seed)
        yield server


def test_the_ledger_is_verified_for_one_at_a_time(crowd: Server) -> None:
    """Whoever asks meanwhile is told so, and calls are answered as ever."""
    caller = Caller(crowd, make_key(crowd, "auditor", "read"))
    token = crowd.cli.session("p1")
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(caller.ask, "GET", "/verify") for _ in range(4)]
        bets = 0
        while not all(each.done() for each in asked):
            bets += 1
            answer = crowd.vela("bet", access_token=token, ticket_id=bets, total_bet=1)
            assert answer["status_code"] == 0
        answers = [each.result() for each in asked]
    assert bets > 10
    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert good
    assert all(found["ok"] and found["accounts"] == 10_000 for found in good)
    for busy in [answer for answer in answers if answer.status_code != 200]:
        assert_problem(busy, 409, "busy")
    assert len(good) < 4
    assert caller.get("/verify")["entries"] == 10_000 + bets


def test_a_verification_that_nobody_waits_for_ends(crowd: Server) -> None:
    """The next one may begin."""
    key = make_key(crowd, "impatient", "read")
    asked = f"GET {BASE}/verify HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n".encode()
    caller = Caller(crowd, key)
    with crowd.connect() as connection:
        connection.sendall(asked)
        while (answer := caller.ask("GET", "/verify")).status_code == 200:
            connection.sendall(asked)  # this one came first, and the other was told to come again
        assert_problem(answer, 409, "busy")
    while (answer := caller.ask("GET", "/verify")).status_code == 409:
        pass
    assert done(answer)["ok"]
