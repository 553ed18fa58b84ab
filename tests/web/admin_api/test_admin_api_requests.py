"""Requests to the admin API: strict parsing, and problems as responses."""

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
from minwallet.operations.access_requests import KeyAdd
from minwallet.operations.dispatch import execute
from minwallet.operations.errors import OperationFailure
from minwallet.operations.requests import Reply
from minwallet.storage.admin_store import KeyScope
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.service import Wallet
from minwallet.web.admin_api import operation
from minwallet.web.admin_api.api_schemas import HealthResponse, NoParameters
from minwallet.web.admin_api.endpoint import MAX_REQUEST_BYTES, ApiEndpoint
from minwallet.web.admin_api.operation import ApiContext, from_handler
from minwallet.web.admin_api.parsing import MAX_FIELD_ERRORS
from minwallet.web.admin_api.problems import API_PREFIX
from minwallet.web.gateway.recent_calls import RecentCalls
from minwallet.web.health import build_health_report
from tests.support import InProcessCli, Server, running_server
from tests.web.api_client import PLAYERS_PATH, ApiClient, assert_problem, create_key, get_error_locations, read_success

DEPOSITS = f"{PLAYERS_PATH}/alice/deposits"


@pytest.fixture(scope="module")
def api_client(server: Server) -> ApiClient:
    """Return a client with a key for everything, and add a player."""
    server.cli("player", "add", "alice", "--currency", "USD", "--balance", "100")
    return ApiClient(server, create_key(server, "everything"))


def send_body(caller: ApiClient, body: bytes | Iterator[bytes], path: str = DEPOSITS) -> httpx2.Response:
    """Send a raw body, and return the response."""
    return caller.http.post(API_PREFIX + path, headers=caller.headers, content=body)


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
def test_a_body_is_one_json_object(api_client: ApiClient, body: bytes) -> None:
    """Other encodings, repeated names and non-JSON numbers are 400."""
    assert_problem(send_body(api_client, body), 400, "malformed", "the body")


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
        ({"currency": "us$"}, "currency"),
        ({"currency": 840}, "currency"),
        ({"reference": ""}, "reference"),
        ({"reference": " x"}, "reference"),
        ({"reference": "x\n"}, "reference"),
        ({"reference": 1}, "reference"),
        ({"reason": "two\nlines"}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"unknown": 1}, "unknown"),
        ({"operation": "withdraw"}, "operation"),
        ({"agent": "default"}, "agent"),
        ({"player_id": "alice"}, "player_id"),
    ],
)
def test_body_fields_are_strict(api_client: ApiClient, change: dict[str, object], name: str) -> None:
    """A string, 1.0 or true instead of 1, and an unknown field are 422 with the field's name."""
    before = api_client.get("/transactions", limit=1)
    body = json.dumps({"amount": 1, "reference": "strict"} | change).replace("Infinity", "1e400")
    problem = assert_problem(send_body(api_client, body.encode()), 422, "invalid", name)
    assert get_error_locations(problem) == {("body", name)}
    assert api_client.get("/transactions", limit=1) == before


@pytest.mark.parametrize("zero", ["-0", "-0.0", " -0 "])
@pytest.mark.parametrize("name", ["amount", "reference", "currency", "bonus"])
def test_a_negative_zero_is_refused(api_client: ApiClient, name: str, zero: str) -> None:
    """It is 422 with the field's name, in a field of any type."""
    body = json.dumps({"amount": 1, "reference": "zero"} | {name: "ZERO"}).replace('"ZERO"', zero)
    problem = assert_problem(send_body(api_client, body.encode()), 422, "invalid", name)
    assert get_error_locations(problem) == {("body", name)}


def test_field_errors_are_limited(api_client: ApiClient) -> None:
    """The response lists the first errors and the number of the others."""
    answer = api_client.request("POST", DEPOSITS, {f"{'x' * 100}{number}": 1 for number in range(500)})
    problem = assert_problem(answer, 422, "invalid", "more")
    assert len(problem["errors"]) == MAX_FIELD_ERRORS
    assert len(answer.content) < 10_000


def test_all_field_errors_are_reported_together(api_client: ApiClient) -> None:
    """Each has its location and the expected form."""
    answer = api_client.request("POST", "/agents/two words/players/a b/deposits", {"amount": "x", "more": 1}, page=1)
    problem = assert_problem(answer, 422, "invalid")
    assert get_error_locations(problem) == {
        *(("path", "agent"), ("path", "player_id"), ("query", "page")),
        *(("body", "amount"), ("body", "more"), ("body", "reference")),
    }
    details = {each["name"]: each["detail"] for each in problem["errors"]}
    assert details["reference"] == "required"
    assert details["agent"] == "expected 1 to 40 of A-Z a-z 0-9 _ . -"
    assert details["page"] == "unknown field"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/transactions?limit=0", "limit"),
        ("/transactions?limit=1001", "limit"),
        ("/transactions?limit=1.0", "limit"),
        ("/transactions?limit=+1", "limit"),
        ("/transactions?limit=01", "limit"),
        ("/transactions?limit=-0", "limit"),
        ("/transactions?limit=\uff11", "limit"),
        ("/transactions?limit=", "limit"),
        ("/transactions?limit=1&limit=1", "limit"),
        ("/transactions?before=0", "before"),
        ("/transactions?kind=bets", "kind"),
        ("/transactions?state=", "state"),
        ("/transactions?protocol=V3", "protocol"),
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
        (f"{PLAYERS_PATH}?after={'x' * 41}", "after"),
    ],
)
def test_query_parameters_are_strict(api_client: ApiClient, path: str, name: str) -> None:
    """Invalid parameters are 422 with their names, as in a body."""
    problem = assert_problem(api_client.request("GET", path), 422, "invalid", name)
    assert get_error_locations(problem) == {("query", name)}


@pytest.mark.parametrize("path", ["/transactions/0", "/transactions/x", "/transactions/9223372036854775808"])
def test_path_numbers_are_strict(api_client: ApiClient, path: str) -> None:
    """Other numbers are 422."""
    assert get_error_locations(assert_problem(api_client.request("GET", path), 422, "invalid")) == {("path", "seq")}


def test_a_body_has_up_to_64_kib(api_client: ApiClient) -> None:
    """One byte more is 413, even without a Content-Length."""
    body = json.dumps({"amount": 1, "reference": "long"}).encode().ljust(MAX_REQUEST_BYTES)
    assert read_success(send_body(api_client, body))["cash"] == 10_001
    assert_problem(send_body(api_client, body + b" "), 413, "too_long")
    assert_problem(send_body(api_client, (b" " * 1024 for _ in range(65))), 413, "too_long")


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/agents/", "/players", f"{DEPOSITS}/1", "/docs/", "/AGENTS"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_paths_are_404(server: Server, method: str, path: str) -> None:
    """The response is a problem, with a key or without."""
    assert_problem(ApiClient(server).request(method, path), 404, "not_found", "unknown address")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/agents", "GET, POST"),
        ("/agents/default", "GET, PATCH"),
        (DEPOSITS, "POST"),
        (f"{PLAYERS_PATH}/alice/sessions/1", "DELETE"),
        (f"{PLAYERS_PATH}/alice/limits", "GET"),
        (f"{PLAYERS_PATH}/alice/limits/loss/day", "PUT"),
        ("/health", "GET"),
        ("/openapi.json", "GET"),
        ("/docs", "GET"),
    ],
)
def test_other_methods_are_405(server: Server, path: str, allowed: str) -> None:
    """Other methods, HEAD and OPTIONS included, get 405 with the header `Allow`."""
    documents = {"/openapi.json", "/docs"}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - set(allowed.split(", ")):
        answer = ApiClient(server).request(method, path)
        assert_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allowed
    if path not in documents:
        assert ApiClient(server).request("HEAD", path).status_code == 405


def test_responses_are_not_cacheable(api_client: ApiClient) -> None:
    """Every response has `Cache-Control: no-store`."""
    answers = [
        api_client.request("GET", "/agents"),
        api_client.request("GET", "/nothing"),
        api_client.request("POST", DEPOSITS),
        api_client.request("GET", "/docs"),
        api_client.request("GET", "/openapi.json"),
    ]
    assert {tuple(answer.headers.get_list("cache-control")) for answer in answers} == {("no-store",)}


def test_a_store_error_is_503(db: Path) -> None:
    """It is never a refusal, as the change may have been made. A retry with the same reference finds out."""
    cli = InProcessCli(db)
    cli("player", "add", "alice", "--currency", "USD")
    key = cli("key", "add", "website", "--scope", "write")["key"]
    body = {"amount": 100, "reference": "once"}
    with running_server(db) as server:
        # A server does not start on a changed schema.
        with sqlite3.connect(db) as file:
            when = "BEFORE INSERT ON audit_log WHEN NEW.action = 'deposit'"
            file.execute(f"CREATE TRIGGER fault {when} BEGIN SELECT RAISE(ABORT, 'fault'); END")
        file.close()
        caller = ApiClient(server, key)
        assert_problem(caller.request("POST", DEPOSITS, body), 503, "unavailable")
        assert "fault" in server.log.read_text()
    with sqlite3.connect(db) as file:
        file.execute("DROP TRIGGER fault")
    file.close()
    with running_server(db) as server:
        assert ApiClient(server, key).post(DEPOSITS, **body)["cash"] == 100


def read_new_key(reply: Reply | OperationFailure) -> str:
    assert not isinstance(reply, OperationFailure)
    return str(reply["key"])


async def raise_bug(caller: operation.ApiCaller, params: NoParameters) -> HealthResponse:
    raise ZeroDivisionError(caller, params)


@pytest.mark.anyio
async def test_a_bug_is_500_without_details(db: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the traceback, the response has no details, and the server continues."""
    async with Wallet(await SqliteStore.open(db, create=True)) as wallet:
        key = read_new_key(await execute(wallet, KeyAdd(name="k", scope=KeyScope.READ), "test"))
        api = ApiContext(
            wallet, lambda: build_health_report(wallet, load_settings(db=db), "3", 0), asyncio.Lock(), RecentCalls()
        )
        endpoint = ApiEndpoint(api, [from_handler("GET /breaks", raise_bug, "Break")])
        app = Starlette(routes=[Route("/breaks", endpoint)])
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
            answer = await client.get("/breaks", headers={"authorization": f"Bearer {key}"})
    problem = assert_problem(answer, 500, "bug")
    assert set(problem) == {"type", "title", "status", "detail"}
    assert "ZeroDivision" not in answer.text
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture(scope="module")
def large_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server with 10,000 players with balances."""
    folder = tmp_path_factory.mktemp("crowd")
    seed = folder / "players.csv"
    rows = [f"p{number},USD,100" for number in range(10_000)]
    seed.write_text("\n".join(["player_id,currency,balance", *rows]), "utf-8")
    with running_server(folder / "wallet.db") as server:
        server.cli("seed", seed)
        yield server


def test_only_one_verification_runs_at_a_time(large_server: Server) -> None:
    """A second request gets `busy`, and provider calls are answered meanwhile."""
    caller = ApiClient(large_server, create_key(large_server, "auditor", "read"))
    token = large_server.cli.open_session("p1")
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(caller.request, "GET", "/verify") for _ in range(4)]
        bets = 0
        while not all(each.done() for each in asked):
            bets += 1
            answer = large_server.vela("bet", access_token=token, ticket_id=bets, total_bet=1)
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


def test_a_verification_ends_when_its_client_disconnects(large_server: Server) -> None:
    """The next verification can start."""
    key = create_key(large_server, "impatient", "read")
    asked = f"GET {API_PREFIX}/verify HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n".encode()
    caller = ApiClient(large_server, key)
    with large_server.connect() as connection:
        connection.sendall(asked)
        while (answer := caller.request("GET", "/verify")).status_code == 200:
            connection.sendall(asked)  # this one came first, and the other got `busy`
        assert_problem(answer, 409, "busy")
    while (answer := caller.request("GET", "/verify")).status_code == 409:
        pass
    assert read_success(answer)["ok"]
