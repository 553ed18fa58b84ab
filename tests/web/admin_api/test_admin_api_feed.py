"""The live feed of the admin API."""

import json
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from minwallet.storage.errors import StoreError
from minwallet.storage.queries import Filter
from minwallet.wallet.feed import HEARTBEAT_S
from minwallet.wallet.service import Wallet
from minwallet.web.admin_api.problems import API_PREFIX
from minwallet.web.sse import MAX_STREAMS_PER_SUBSCRIBER, stream_entries
from tests.storage.reference_engine.memory_store import MemoryStore
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


def test_feeds_that_open_at_the_same_time_are_limited(server: Server) -> None:
    """The limit counts a feed when it is checked, and forgets it when it ends."""
    caller = ApiClient(server, create_key(server, "hasty", "read"))
    request = f"GET {API_PREFIX}/feed HTTP/1.1\r\nhost: x\r\nauthorization: {caller.headers['authorization']}\r\n\r\n"
    for _ in range(2):
        with ExitStack() as stack:
            connections = [stack.enter_context(server.connect()) for _ in range(40)]
            for connection in connections:
                connection.sendall(request.encode())
            statuses = Counter(connection.recv(4096)[9:12] for connection in connections)
        assert statuses == {b"200": MAX_STREAMS_PER_SUBSCRIBER, b"429": 40 - MAX_STREAMS_PER_SUBSCRIBER}
        # The server sees with the next heartbeats that the clients have gone.
        time.sleep(2 * HEARTBEAT_S + 1)


@pytest.mark.anyio
async def test_a_feed_whose_client_leaves_early_is_not_counted() -> None:
    """The client may leave, and the store may fail, before the first event."""
    wallet = Wallet(MemoryStore())
    scope = {"type": "http", "headers": []}

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise OSError(message["type"])

    response = await stream_entries(wallet, Request(scope), Filter(), str, subscriber="key x")
    assert wallet.feed.open_streams == {"key x": 1}
    with suppress(OSError, ClientDisconnect):
        await response(scope, receive, send)
    assert wallet.feed.open_streams.total() == 0
    with (
        patch.object(wallet.store.ledger, "count_entries", side_effect=StoreError("broken")),
        pytest.raises(StoreError),
    ):
        await stream_entries(wallet, Request(scope), Filter(), str, subscriber="key x")
    assert wallet.feed.open_streams.total() == 0


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
