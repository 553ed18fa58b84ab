"""The live feed of the admin API."""

import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from minwallet.web.admin_api.problems import API_PREFIX
from minwallet.web.sse import MAX_STREAMS_PER_SUBSCRIBER
from tests.support import TIMEOUT_S, Server, running_server
from tests.web.api_client import ApiClient, assert_problem, create_key


@pytest.fixture(scope="module")
def api_client(server: Server) -> ApiClient:
    """Return a client with a key for everything."""
    return ApiClient(server, create_key(server, "everything"))


@pytest.fixture
def player(server: Server) -> str:
    """Add a player, and return the id."""
    return server.cli.add_player()


def read_events(
    caller: ApiClient, last_seen: int | None = None, **query: str
) -> Generator[tuple[int, dict[str, object]]]:
    """Yield the ids and the data of the feed's events."""
    headers = caller.headers | ({} if last_seen is None else {"last-event-id": str(last_seen)})
    with caller.http.stream("GET", f"{API_PREFIX}/feed", headers=headers, params=query, timeout=TIMEOUT_S) as feed:
        assert feed.status_code == 200
        assert feed.headers["content-type"].startswith("text/event-stream")
        data: dict[str, object] = {}
        for line in feed.iter_lines():
            name, _, value = line.partition(": ")
            if name == "data":
                data = json.loads(value)
            elif name == "id":
                yield int(value), data
            elif value == "the feed begins":
                yield 0, {}


def test_the_feed_sends_committed_transactions(server: Server, api_client: ApiClient, player: str) -> None:
    """Events have the form of a page of transactions, and match the filter."""
    token = server.cli.open_session(player)
    events = read_events(api_client, player_id=player, kind="win")
    assert next(events) == (0, {})
    server.wallet_v2(code=token, type="bet", bet=1, id=5001, game=1)
    server.wallet_v2(code=token, type="win", win=7, id=5002, round_id=5001, game=1)
    seq, row = next(events)
    events.close()
    assert [row] == api_client.get("/transactions", player_id=player, kind="win")["transactions"]
    assert (row["seq"], row["id"], row["amount"]) == (seq, "5002", 7)


def test_the_feed_resumes_after_the_last_event_id(server: Server, api_client: ApiClient, player: str) -> None:
    """It uses the header `Last-Event-ID`, as browsers send it."""
    for amount in (1, 2, 3):
        server.cli("deposit", player, amount)
    rows = api_client.get("/transactions", player_id=player, limit=3)["transactions"][::-1]
    events = read_events(api_client, rows[0]["seq"], player_id=player)
    assert next(events) == (0, {})
    assert [next(events)[1] for _ in range(2)] == rows[1:]
    events.close()


def test_streams_are_limited_per_key(server: Server, api_client: ApiClient) -> None:
    """A key has up to MAX_STREAMS_PER_SUBSCRIBER streams; another key is not affected."""
    greedy = ApiClient(server, create_key(server, "greedy", "read"))
    reading = [read_events(greedy) for _ in range(MAX_STREAMS_PER_SUBSCRIBER)]
    assert [next(events) for events in reading] == [(0, {})] * MAX_STREAMS_PER_SUBSCRIBER
    assert_problem(greedy.request("GET", "/feed"), 429, "too_many", "try again later")
    modest = read_events(api_client)
    assert next(modest) == (0, {})
    for events in [*reading, modest]:
        events.close()


def test_the_feed_ends_when_the_key_is_revoked(server: Server, player: str) -> None:
    """A stream of a revoked key ends."""
    caller = ApiClient(server, create_key(server, "short-lived", "read"))
    events = read_events(caller, player_id=player)
    assert next(events) == (0, {})
    server.cli("key", "revoke", "short-lived")
    deadline = datetime.now(UTC) + timedelta(seconds=TIMEOUT_S)
    references = (f"{player}-{number}" for number in range(10_000))
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(lambda: [seq for seq, _ in events])
        while not ended.done():
            assert datetime.now(UTC) < deadline
            server.cli("deposit", player, "0.01", "--reference", next(references))


def test_a_stopping_server_ends_the_feed(tmp_path: Path) -> None:
    """The feed ends with the server, and the server does not wait for it."""
    with running_server(tmp_path / "wallet.db") as server:
        events = read_events(ApiClient(server, create_key(server, "reader", "read")))
        assert next(events) == (0, {})
        begun = datetime.now(UTC)
        with ThreadPoolExecutor(1) as pool:
            ended = pool.submit(lambda: list(events))
            server.process.terminate()
            assert server.process.wait(TIMEOUT_S) == 0
            ended.result()
        assert datetime.now(UTC) - begun < timedelta(seconds=8)
