"""Who may ask what of the admin API: every operation, with no key, a bad one, one that may only read, and another's."""

import asyncio
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.sqlite import SqliteStore
from minwallet.web.admin_api.problems import BASE
from minwallet.web.admin_api.table import OPERATIONS
from tests.support import Server, serving
from tests.web.api import PLAYERS, Caller, assert_problem, make_key

ALICE = f"{PLAYERS}/alice"

REQUESTS: dict[str, tuple[str, object]] = {
    "list_agents": ("/agents", None),
    "add_agent": ("/agents", {"name": "new"}),
    "show_agent": ("/agents/default", None),
    "change_agent": ("/agents/default", {"host_id": "h2"}),
    "list_players": (PLAYERS, None),
    "add_player": (PLAYERS, {"player_id": "new", "currency": "USD"}),
    "show_player": (ALICE, None),
    "change_player": (ALICE, {"status": "blocked"}),
    "list_accounts": (f"{ALICE}/accounts", None),
    "add_account": (f"{ALICE}/accounts", {"currency": "EUR"}),
    "deposit": (f"{ALICE}/deposits", {"amount": 1, "reference": "d", "currency": "USD"}),
    "withdraw": (f"{ALICE}/withdrawals", {"amount": 1, "reference": "w", "currency": "USD"}),
    "list_limits": (f"{ALICE}/limits", None),
    "set_limit": (f"{ALICE}/limits/loss/week", {"amount": 100, "currency": "USD"}),
    "exclude_player": (f"{ALICE}/exclusion", {"until": "2099-01-31T00:00:00Z"}),
    "list_sessions": (f"{ALICE}/sessions", None),
    "open_session": (f"{ALICE}/sessions", {"currency": "USD"}),
    "revoke_session": (f"{ALICE}/sessions/1", None),
    "launch": (f"{ALICE}/launches", {"protocol": "wallet-v2", "game": "1", "currency": "USD"}),
    "launch_demo": ("/agents/default/launches", {"protocol": "wallet-v2", "game": "1"}),
    "list_transactions": ("/transactions", None),
    "show_transaction": ("/transactions/1", None),
    "follow": ("/feed", None),
    "list_open_rounds": ("/rounds/open", None),
    "show_totals": ("/totals", None),
    "show_holdings": ("/holdings", None),
    "verify": ("/verify", None),
    "show_health": ("/health", None),
}
"""One good request for each operation, about the agent `default` where it is about one."""

METHODS = {operation.name: operation.method for operation in chain(*OPERATIONS.values())}

READS = [name for name, method in METHODS.items() if method == "GET" and name != "follow"]
CHANGES = [name for name, method in METHODS.items() if method != "GET"]
FOR_ALL = ["add_agent", "change_agent", "show_holdings", "verify"]
OF_ONE_AGENT = [name for name, (path, _) in REQUESTS.items() if path.startswith("/agents/") and name not in FOR_ALL]


class Ring(NamedTuple):
    """The keys that the tests of this module share."""

    server: Server
    everything: str
    read: str
    of_default: str
    of_north: str
    revoked: str

    def ask(self, key: str | None, name: str) -> httpx2.Response:
        path, body = REQUESTS[name]
        return Caller(self.server, key).ask(METHODS[name], path, body)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """Two agents, each with a player called alice, whose money moved."""
    with serving(tmp_path_factory.mktemp("keys") / "wallet.db") as server:
        cli = server.cli
        for agent in ("default", "north"):
            if agent != "default":
                cli("agent", "add", agent)
            cli("agent", "set", agent, "--game-url", "https://g.example")
            cli("player", "add", "alice", "--currency", "USD", "--balance", "100", "--agent", agent)
            token = cli.session("alice", "--agent", agent)
            server.wallet_v2(code=token, type="bet", bet=1, id=1, game=agent)
        revoked = make_key(server, "revoked")
        cli("key", "revoke", "revoked")
        yield Ring(
            server,
            make_key(server, "everything"),
            make_key(server, "reader", "read"),
            make_key(server, "of-default", "write", "default"),
            make_key(server, "of-north", "write", "north"),
            revoked,
        )


def state(ring: Ring) -> list[Any]:
    """All that a request could change."""
    caller = Caller(ring.server, ring.everything)
    agents = [caller.get(f"/agents/{each['name']}") for each in caller.get("/agents")["agents"]]
    people = [caller.get(f"/agents/{each['name']}/players") for each in agents]
    return [agents, people, *(caller.get(path) for path in (f"{ALICE}/sessions", f"{ALICE}/limits", "/transactions"))]


def test_the_requests_of_this_test_are_all_there_are() -> None:
    """An operation that is added is tried here, too."""
    assert set(REQUESTS) == set(METHODS)


@pytest.mark.parametrize("name", REQUESTS)
def test_nobody_asks_anything_without_a_good_key(ring: Ring, name: str) -> None:
    """401 with `WWW-Authenticate: Bearer`, before anything else is looked at; and nothing changes."""
    before = state(ring)
    for key in (None, "", "mw_" + "0" * 40, ring.revoked, ring.everything[:-1], ring.everything.upper()):
        refused = ring.ask(key, name)
        assert_problem(refused, 401, "unauthorized")
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert ring.everything not in refused.text
    path, _ = REQUESTS[name]
    malformed = ring.server.http.request(METHODS[name], BASE + path, content="{", params={"unknown": "1"})
    assert_problem(malformed, 401, "unauthorized")
    assert state(ring) == before


@pytest.mark.parametrize("header", ["Basic {}", "{}", "Bearer", "Bearer {} x", "Token {}", "Bearer {}, Bearer {}"])
def test_a_key_is_sent_as_a_bearer(ring: Ring, header: str) -> None:
    """And in no other way; but however the word is spelt."""
    headers = {"authorization": header.replace("{}", ring.everything)}
    assert_problem(ring.server.http.get(f"{BASE}/health", headers=headers), 401, "unauthorized")
    assert_problem(ring.server.http.get(f"{BASE}/health", params={"key": ring.everything}), 401, "unauthorized")
    spelt = {"authorization": f"bEARER {ring.everything}"}
    assert ring.server.http.get(f"{BASE}/health", headers=spelt).status_code == 200


@pytest.mark.parametrize("name", CHANGES)
def test_a_key_that_reads_changes_nothing(ring: Ring, name: str) -> None:
    """403, and nothing changes."""
    before = state(ring)
    assert_problem(ring.ask(ring.read, name), 403, "forbidden", "reader", "only read")
    assert state(ring) == before


@pytest.mark.parametrize("name", READS)
def test_a_key_that_reads_reads_everything(ring: Ring, name: str) -> None:
    """The same as a key that writes."""
    answers = [ring.ask(key, name) for key in (ring.read, ring.everything)]
    assert [answer.status_code for answer in answers] == [200, 200]
    documents = [answer.json() for answer in answers]
    if name == "show_health":  # time goes by, and files grow
        documents = [set(document) for document in documents]
    assert documents[0] == documents[1]


@pytest.mark.parametrize("name", [*OF_ONE_AGENT, *FOR_ALL])
def test_a_key_of_one_agent_reaches_no_other_and_not_the_whole(ring: Ring, name: str) -> None:
    """403, before it is said whether what was asked about is there; and nothing changes."""
    before = state(ring)
    assert_problem(ring.ask(ring.of_north, name), 403, "forbidden", "agent north only")
    assert state(ring) == before
    path, body = REQUESTS[name]
    nowhere = path.replace("default", "nobody").replace("alice", "nobody")
    unknown = Caller(ring.server, ring.of_north).ask(METHODS[name], nowhere, body)
    assert_problem(unknown, 403, "forbidden", "agent north only")


@pytest.mark.parametrize("name", sorted(set(REQUESTS) - set(OF_ONE_AGENT) - set(FOR_ALL)))
def test_every_other_operation_is_told_apart(name: str) -> None:
    """What is neither of one agent nor of all shows a key its own agent's part: the tests below say which."""
    assert name in {
        *("list_agents", "list_transactions", "show_transaction", "follow"),
        *("list_open_rounds", "show_totals", "show_health"),
    }


def test_a_key_of_one_agent_sees_its_part_of_lists(ring: Ring) -> None:
    """Whether it names its agent or not; and it cannot name another."""
    caller = Caller(ring.server, ring.of_north)
    assert [agent["name"] for agent in caller.get("/agents")["agents"]] == ["north"]
    for path, rows in (("/transactions", "transactions"), ("/rounds/open", "bets"), ("/totals", "totals")):
        for query in ({}, {"agent": "north"}):
            found = caller.get(path, **query)[rows]
            assert found
            assert {row["agent"] for row in found} == {"north"}
        assert_problem(caller.ask("GET", path, agent="default"), 403, "forbidden", "north")
        whole = Caller(ring.server, ring.everything).get(path)[rows]
        assert {row["agent"] for row in whole} == {"default", "north"}


def test_a_key_of_one_agent_sees_its_own_transactions_only(ring: Ring) -> None:
    """The others are not there for it, as if they never were."""
    caller = Caller(ring.server, ring.of_north)
    for row in Caller(ring.server, ring.everything).get("/transactions")["transactions"]:
        answer = caller.ask("GET", f"/transactions/{row['seq']}")
        if row["agent"] == "north":
            assert answer.json()["entry"]["agent"] == "north"
        else:
            problem = assert_problem(answer, 404, "not_found", str(row["seq"]))
            nowhere = assert_problem(caller.ask("GET", "/transactions/999999999"), 404, "not_found")
            assert problem["detail"] == nowhere["detail"].replace("999999999", str(row["seq"]))


def test_a_key_of_one_agent_follows_its_own_feed(ring: Ring) -> None:
    """From the first row on there are two agents' transactions, of which it is told one's."""
    headers = {"authorization": f"Bearer {ring.of_north}", "last-event-id": "0"}
    agents = []
    with ring.server.http.stream("GET", f"{BASE}/feed", headers=headers) as feed:
        for line in feed.iter_lines():
            if line.startswith("data: "):
                agents.append('"agent": "north"' in line)
            if len(agents) == 2:
                break
    assert agents == [True, True]
    assert_problem(Caller(ring.server, ring.of_north).ask("GET", "/feed", agent="default"), 403, "forbidden")


@pytest.mark.parametrize("name", OF_ONE_AGENT)
def test_a_key_of_one_agent_does_everything_for_it(ring: Ring, name: str) -> None:
    """What another's may not."""
    answer = ring.ask(ring.of_default, name)
    assert answer.is_success, answer.text


def test_a_revoked_key_is_good_for_nothing_at_once(ring: Ring) -> None:
    """A key that was good a moment ago."""
    caller = Caller(ring.server, make_key(ring.server, "brief"))
    assert caller.get("/health")["ready"]
    ring.server.cli("key", "revoke", "brief")
    assert_problem(caller.ask("GET", "/health"), 401, "unauthorized")


def test_who_did_what_is_on_record(db: Path) -> None:
    """Every change, as the key's doing, with the row of the ledger where it moved money; but no token, nor what was
    only looked at or refused.
    """
    with serving(db) as server:
        server.cli("player", "add", "alice", "--currency", "USD", "--balance", "1")
        server.cli("agent", "set", "default", "--game-url", "https://g.example")
        token = server.cli.session("alice")
        caller = Caller(server, make_key(server, "website"))
        done = {}
        for name in [*READS, *CHANGES]:
            path, body = REQUESTS[name]
            answer = caller.ask(METHODS[name], path, body)
            assert answer.is_success, answer.text
            done[name] = answer.json()
        caller.ask("POST", f"{ALICE}/withdrawals", {"amount": 10**9, "reference": "too much"})
        actions = [each for each in read_actions(db) if each.actor == "key website"]
    told = [(each.action, each.agent, each.subject, each.seq) for each in actions]
    assert told == [
        ("agent_add", None, "new", None),
        ("agent_set", None, "default", None),
        ("player_add", "default", "new", None),
        ("player_set_status", "default", "alice", None),
        ("player_add", "default", "alice", None),
        ("deposit", "default", "alice", done["deposit"]["seq"]),
        ("withdraw", "default", "alice", done["withdraw"]["seq"]),
        ("limit_set", "default", "alice", None),
        ("player_exclude", "default", "alice", None),
        ("session_open", "default", "alice", None),
        ("session_end", "default", "alice", None),
        ("session_open", "default", "alice", None),
    ]
    details = "".join(each.detail for each in actions)
    assert '"amount":1' in details
    for secret in (token, done["open_session"]["token"], done["launch"]["session"]["token"]):
        assert secret not in details


def read_actions(db: Path) -> list[AuditEvent]:
    """The record in the file, the oldest first."""

    async def read() -> list[AuditEvent]:
        store = await SqliteStore.open_read_only(db)
        try:
            return [action for _, action in await store.list_audit_records(None, 1000)][::-1]
        finally:
            await store.close()

    return asyncio.run(read())
