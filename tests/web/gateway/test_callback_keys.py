"""Callback keys of agents, over real HTTP."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Server, running_server
from tests.web.gateway.test_journal import wait_for_journal

GLOBAL_KEY = "key_of_all_agents_0123456789"


@pytest.fixture
def server(db: Path) -> Iterator[Server]:
    """A server with a key for all agents, and a second agent `two` with a player."""
    with running_server(db, MINWALLET_CALLBACK_KEY=GLOBAL_KEY) as server:
        server.cli("agent", "add", "two", "--wallet-token", "two_token")
        yield server


def add_key(server: Server, agent: str = "default") -> str:
    key: str = server.cli("agent", "callback-key", "add", agent)["callback_key"]
    return key


def open_session(server: Server, agent: str = "default", player_id: str = "ann") -> str:
    server.cli("player", "add", player_id, "--currency", "USD", "--balance", "100", "--agent", agent)
    token: str = server.cli("session", "open", player_id, "--agent", agent)["token"]
    return token


def post(server: Server, path: str, token: str, **fields: object) -> Any:  # noqa: ANN401 the reply's JSON
    response = server.http.post(path, json={"type": "credit", "code": token, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def get_status(server: Server, path: str) -> int:
    return server.http.get(path).status_code


def count_paths(server: Server, key: str) -> list[int]:
    """Return the HTTP status of a call of each path below the key."""
    credit = {"type": "credit", "code": "nobody"}
    posts = [server.http.post(f"/{key}{path}", json=credit) for path in ("/wallet", "/wallet/default")]
    names = ("user/authenticate", "users/authenticate", "bet", "result", "refund", "betwin")
    gets = [server.http.get(f"/{key}/api/{name}") for name in names]
    return [response.status_code for response in (*posts, *gets)]


def test_an_agents_keys_open_all_paths_at_once(server: Server) -> None:
    """Any number of keys are valid together, beside the key of all agents, without a restart."""
    keys = [add_key(server), add_key(server), GLOBAL_KEY]
    assert [count_paths(server, key) for key in keys] == [[200] * 8] * 3
    token = open_session(server)
    for number, key in enumerate(keys):
        bet = {"type": "bet", "bet": 100, "id": number, "game": 1}
        assert post(server, f"/{key}/wallet", token, **bet)["credit"] == 10_000 - 100 * (number + 1)
        assert post(server, f"/{key}/wallet/default", token)["result"] == 1
    query = f"access_token={token}&ticket_id=7&total_bet=100"
    assert server.http.get(f"/{keys[0]}/api/bet?{query}").json()["balance"] == 9600
    server.cli.assert_ledger_valid()


def test_an_agents_key_admits_its_sessions_only(server: Server) -> None:
    """Another agent's session is unknown: 102, or 1. The wallet token in the path must be the agent's too."""
    mine, other = open_session(server), open_session(server, "two")
    first, second = add_key(server), add_key(server, "two")
    for key, known, unknown, wallet_token in ((first, mine, other, "default"), (second, other, mine, "two_token")):
        for path in (f"/{key}/wallet", f"/{key}/wallet/{wallet_token}"):
            assert post(server, path, known)["credit"] == 10_000
            assert post(server, path, unknown)["err_code"] == 102
            bet = {"type": "bet", "bet": 1, "id": 1, "game": 1}
            assert post(server, path, unknown, **bet)["err_code"] == 102
        reply = server.http.get(f"/{key}/api/user/authenticate?access_token={unknown}").json()
        assert reply == {"status_code": 1, "message": "Invalid Token"}
        assert server.http.get(f"/{key}/api/user/authenticate?access_token={known}").json()["status_code"] == 0
    assert post(server, f"/{first}/wallet/two_token", mine)["err_code"] == 102
    assert post(server, f"/{first}/wallet/two_token", other)["err_code"] == 102
    assert post(server, f"/{GLOBAL_KEY}/wallet", other)["credit"] == 10_000


def test_an_unknown_key_is_an_unknown_path(server: Server) -> None:
    """The answer does not tell them apart. A key opens no other page."""
    key = add_key(server)
    unknown = server.http.get("/no-such-path")
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    for path in (
        *(f"/{wrong}/wallet", f"/{wrong}/api/bet", f"/{key[:-1]}/wallet", f"/{key}0/wallet", f"/{key.upper()}/wallet"),
        *(f"/{key}", f"/{key}/", f"/{key}/healthz", f"/{key}/admin", f"/{key}/wallet/default/more", f"/{key}//wallet"),
        *(f"/{key}/{key}/wallet", f"/{GLOBAL_KEY}/{key}/wallet", f"/{key}/{GLOBAL_KEY}/wallet", f"/{key}/metrics"),
    ):
        for answer in (server.http.post(path, json={}), server.http.get(path)):
            assert (answer.status_code, answer.content) == (404, unknown.content), path
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers.keys() == unknown.headers.keys()


def test_the_rules_of_http_hold_below_a_key(server: Server) -> None:
    """405, 413 and 414 have the form of the protocol."""
    key = add_key(server)
    for path in (f"/{key}/wallet", f"/{key}/wallet/default"):
        assert server.http.head(path).status_code == 405
        response = server.http.get(path)
        assert (response.status_code, response.headers["allow"], response.json()["err_code"]) == (405, "POST", 100)
        assert server.http.post(path, content=b"x" * 9000).json()["err_code"] == 100
        assert server.http.post(path, content=b"x" * 9000).status_code == 413
    assert server.http.post(f"/{key}/api/bet").status_code == 405
    assert server.http.get(f"/{key}/api/bet?{'x' * 3000}").status_code == 414


def test_a_revoked_key_ends_immediately(server: Server) -> None:
    """Also on a connection that has used it. The other keys stay."""
    old, new = add_key(server), add_key(server)
    assert count_paths(server, old) == [200] * 8
    revoked = server.cli("agent", "callback-key", "revoke", "default", old[:12])
    assert (revoked["agent"], revoked["callback_key"]) == ("default", f"{old[:12]}…")
    assert revoked["revoked_at"]
    assert count_paths(server, old) == [404] * 8
    assert count_paths(server, new) == count_paths(server, GLOBAL_KEY) == [200] * 8


def test_keys_outlive_a_restart(db: Path) -> None:
    """Revoked keys stay revoked. A key may be added before the server starts."""
    with running_server(db) as server:
        live, revoked = add_key(server), add_key(server)
        server.cli("agent", "callback-key", "revoke", "default", revoked)
    offline = add_key(server)
    with running_server(db) as server:
        assert count_paths(server, live) == count_paths(server, offline) == [200] * 8
        assert count_paths(server, revoked) == [404] * 8
        assert server.http.post("/wallet", json={"type": "credit", "code": "x"}).status_code == 200


def test_the_allow_list_counts_below_a_key_too(db: Path) -> None:
    """A key does not replace it."""
    with running_server(db, MINWALLET_CALLBACK_ALLOW="203.0.113.0/24") as server:
        key = add_key(server)
        assert count_paths(server, key) == [403] * 8
        headers = {"x-forwarded-for": "203.0.113.9"}
        credit = {"type": "credit", "code": "nobody"}
        assert server.http.post(f"/{key}/wallet", json=credit, headers=headers).status_code == 200


def test_unknown_tokens_below_a_key_are_limited(server: Server) -> None:
    """They count against the caller's address, as everywhere."""
    key = add_key(server)
    statuses = {get_status(server, f"/{key}/api/user/authenticate?access_token=x{n}") for n in range(120)}
    assert statuses == {200, 429}


@pytest.mark.parametrize("key", ["wallet", "api", "mwc_", "admin", "healthz"])
def test_a_key_may_equal_the_first_part_of_a_path(db: Path, key: str) -> None:
    """The key of all agents and an agent's key do not get mixed up, and the journal has the whole path."""
    with running_server(db, MINWALLET_CALLBACK_KEY=key) as server:
        agent_key, token = add_key(server), open_session(server)
        for number, prefix in enumerate((key, agent_key)):
            bet = {"type": "bet", "bet": 1, "game": 1}
            assert post(server, f"/{prefix}/wallet", token, **bet, id=2 * number)["result"] == 1
            assert post(server, f"/{prefix}/wallet/default", token, **bet, id=2 * number + 1)["result"] == 1
            assert get_status(server, f"/{prefix}/api/bet") == 200
        assert server.http.post("/wallet", json={}).status_code == 404
        shown = [wait_for_journal(server.cli, seq)[0] for seq in (2, 3, 4, 5)]
        assert [request.split(" ")[1] for request in shown] == ["/wallet", "/wallet/default"] * 2


def test_a_wallet_token_can_be_required(db: Path) -> None:
    """Then `/wallet` alone is an unknown path, also below the key of all agents. An agent's key names the agent."""
    for global_key in ("", GLOBAL_KEY):
        with running_server(db, MINWALLET_REQUIRE_WALLET_TOKEN="true", MINWALLET_CALLBACK_KEY=global_key) as server:
            prefix = f"/{global_key}" if global_key else ""
            key, credit = add_key(server), {"type": "credit", "code": "nobody"}
            unknown = server.http.post("/no-such-path", json=credit)
            closed = server.http.post(f"{prefix}/wallet", json=credit)
            assert (closed.status_code, closed.content) == (404, unknown.content)
            assert server.http.post(f"{prefix}/wallet/default", json=credit).json()["err_code"] == 102
            assert get_status(server, f"{prefix}/api/bet") == 200
            assert count_paths(server, key) == [200] * 8


def test_calls_by_hand_work_with_a_required_wallet_token(db: Path) -> None:
    """`trigger` and `replay` name the agent, also for a call that came below an agent's key."""
    with running_server(db, MINWALLET_REQUIRE_WALLET_TOKEN="true") as server:
        key, token = add_key(server), open_session(server)
        assert post(server, f"/{key}/wallet", token, type="bet", bet=5, id=1, game=1)["result"] == 1
        assert server.cli("replay", 2)["http_status"] == 200
        result = server.cli("trigger", "bet", "--player", "ann", "--protocol", "wallet-v2")
        assert result["request"].startswith("POST /wallet/default ")


def test_no_key_is_stored_or_logged(db: Path) -> None:
    """Not in the file, the log, the metrics, the list or the audit log, after valid, failing and malformed calls."""
    with running_server(db, MINWALLET_CALLBACK_KEY=GLOBAL_KEY) as server:
        key, revoked, token = add_key(server), add_key(server), open_session(server)
        post(server, f"/{key}/wallet", token, type="bet", bet=5, id=1, game=1)
        post(server, f"/{key}/wallet/default", token, type="win", win=5, id=2, game=1)
        post(server, f"/{key}/wallet/{key}", token)
        server.http.get(f"/{key}/api/bet?access_token={token}&ticket_id=7&total_bet=5")
        server.cli("agent", "callback-key", "revoke", "default", revoked)
        for each in (key, revoked):
            for path in ("/wallet", "/api/bet?ticket_id=x", "/nothing"):
                with server.connect() as connection:
                    connection.sendall(f"BREW /{each}{path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
                    assert each.encode() not in connection.recv(4096)
                server.http.post(f"/{each}{path}", content=b"{")
        with server.connect() as connection:
            connection.sendall(f"GET /{key}/wallet HTTP/9\r\nx\r\n\r\n".encode())
            assert key.encode() not in connection.recv(4096)
        listed = server.cli("agent", "callback-key", "list", "default")
        api_key = server.cli("key", "add", "monitor", "--scope", "read")["key"]
        metrics = server.http.get("/metrics", headers={"authorization": f"Bearer {api_key}"}).text
        assert "minwallet_calls_total" in metrics
    with sqlite3.connect(db) as opened:
        dump = "\n".join(opened.iterdump())
    opened.close()
    for text in (dump, server.log.read_text(), metrics, json.dumps(listed)):
        assert key[12:] not in text
        assert revoked[12:] not in text
    assert "POST /wallet/default" in dump
    assert [each["callback_key"] for each in listed["callback_keys"]] == [f"{each[:12]}…" for each in (key, revoked)]
    assert "callback_key_revoke" in dump
