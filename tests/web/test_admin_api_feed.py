"""The live feed of the admin API: what is committed, to whoever listens."""

import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from minwallet.web.admin_api.problems import BASE
from minwallet.web.feed import MOST_OF_ONE
from tests.support import PATIENCE_S, Server, serving
from tests.web.api import Caller, assert_problem, make_key


@pytest.fixture(scope="module")
def caller(server: Server) -> Caller:
    """Somebody who may do everything."""
    return Caller(server, make_key(server, "everything"))


@pytest.fixture
def player(server: Server) -> str:
    """Somebody new."""
    return server.cli.player()


def events(caller: Caller, last_seen: int | None = None, **query: str) -> Generator[tuple[int, dict[str, object]]]:
    """What the feed tells, with the ids."""
    headers = caller.headers | ({} if last_seen is None else {"last-event-id": str(last_seen)})
    with caller.http.stream("GET", f"{BASE}/feed", headers=headers, params=query, timeout=PATIENCE_S) as feed:
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


def test_the_feed_tells_what_was_committed(server: Server, caller: Caller, player: str) -> None:
    """In the shape of a page of transactions, to whoever listens; and only what was asked for."""
    token = server.cli.session(player)
    told = events(caller, player_id=player, kind="win")
    assert next(told) == (0, {})
    server.wallet_v2(code=token, type="bet", bet=1, id=5001, game=1)
    server.wallet_v2(code=token, type="win", win=7, id=5002, round_id=5001, game=1)
    seq, row = next(told)
    told.close()
    assert [row] == caller.get("/transactions", player_id=player, kind="win")["transactions"]
    assert (row["seq"], row["id"], row["amount"]) == (seq, "5002", 7)


def test_the_feed_goes_on_where_a_reader_was(server: Server, caller: Caller, player: str) -> None:
    """With `Last-Event-ID`, as browsers send it."""
    for amount in (1, 2, 3):
        server.cli("deposit", player, amount)
    rows = caller.get("/transactions", player_id=player, limit=3)["transactions"][::-1]
    told = events(caller, rows[0]["seq"], player_id=player)
    assert next(told) == (0, {})
    assert [next(told)[1] for _ in range(2)] == rows[1:]
    told.close()


def test_nobody_shuts_the_others_out_of_the_feed(server: Server, caller: Caller) -> None:
    """A key has so many readers and no more, and another key still has its own."""
    greedy = Caller(server, make_key(server, "greedy", "read"))
    reading = [events(greedy) for _ in range(MOST_OF_ONE)]
    assert [next(told) for told in reading] == [(0, {})] * MOST_OF_ONE
    assert_problem(greedy.ask("GET", "/feed"), 429, "too_many", "try again later")
    modest = events(caller)
    assert next(modest) == (0, {})
    for told in [*reading, modest]:
        told.close()


def test_the_feed_ends_when_the_key_is_revoked(server: Server, player: str) -> None:
    """What a revoked key began does not go on."""
    caller = Caller(server, make_key(server, "short-lived", "read"))
    told = events(caller, player_id=player)
    assert next(told) == (0, {})
    server.cli("key", "revoke", "short-lived")
    deadline = datetime.now(UTC) + timedelta(seconds=PATIENCE_S)
    references = (f"{player}-{number}" for number in range(10_000))
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(lambda: [seq for seq, _ in told])
        while not ended.done():
            assert datetime.now(UTC) < deadline
            server.cli("deposit", player, "0.01", "--reference", next(references))


def test_a_server_that_stops_lets_readers_go(tmp_path: Path) -> None:
    """The feed ends with the server, and the server does not wait for it."""
    with serving(tmp_path / "wallet.db") as server:
        told = events(Caller(server, make_key(server, "reader", "read")))
        assert next(told) == (0, {})
        begun = datetime.now(UTC)
        with ThreadPoolExecutor(1) as pool:
            ended = pool.submit(lambda: list(told))
            server.process.terminate()
            assert server.process.wait(PATIENCE_S) == 0
            ended.result()
        assert datetime.now(UTC) - begun < timedelta(seconds=8)
