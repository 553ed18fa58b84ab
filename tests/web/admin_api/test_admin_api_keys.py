"""Authorization in the admin API: every operation without a key and with an invalid, a read-only and a foreign key."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from minwallet.operations.access_requests import AdminLink, AdminReset, KeyAdd, KeyRevoke
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.protocol_secrets import compute_fingerprint
from minwallet.web.admin_api.problems import API_PREFIX
from minwallet.web.admin_api.routes import OPERATIONS
from tests.protocol_package import write_protocol_package
from tests.support import Server, running_server
from tests.web.api_client import PLAYERS_PATH, ApiClient, assert_problem, create_key

ALICE_PATH = f"{PLAYERS_PATH}/alice"

SECRET = "a-secret-of-default"
FINGERPRINT = compute_fingerprint("default", "signed", SECRET)

REQUESTS: dict[str, tuple[str, object]] = {
    "list_agents": ("/agents", None),
    "add_agent": ("/agents", {"name": "new"}),
    "show_agent": ("/agents/default", None),
    "change_agent": ("/agents/default", {"host_id": "h2"}),
    "list_callback_keys": ("/agents/default/callback-keys", None),
    "add_callback_key": ("/agents/default/callback-keys", {}),
    "revoke_callback_key": ("/agents/default/callback-keys/mwc_", None),
    "list_protocol_secrets": ("/agents/default/protocol-secrets", None),
    "add_protocol_secret": ("/agents/default/protocol-secrets", {"protocol": "signed", "secret": SECRET}),
    "revoke_protocol_secret": (f"/agents/default/protocol-secrets/signed/{FINGERPRINT}", None),
    "list_players": (PLAYERS_PATH, None),
    "add_player": (PLAYERS_PATH, {"player_id": "new", "currency": "USD"}),
    "show_player": (ALICE_PATH, None),
    "change_player": (ALICE_PATH, {"status": "blocked"}),
    "list_accounts": (f"{ALICE_PATH}/accounts", None),
    "add_account": (f"{ALICE_PATH}/accounts", {"currency": "EUR"}),
    "deposit": (f"{ALICE_PATH}/deposits", {"amount": 1, "reference": "d", "currency": "USD"}),
    "withdraw": (f"{ALICE_PATH}/withdrawals", {"amount": 1, "reference": "w", "currency": "USD"}),
    "adjust": (f"{ALICE_PATH}/adjustments", {"amount": -1, "reference": "a", "reason": "r", "currency": "USD"}),
    "list_limits": (f"{ALICE_PATH}/limits", None),
    "set_limit": (f"{ALICE_PATH}/limits/loss/week", {"amount": 100, "currency": "USD"}),
    "exclude_player": (f"{ALICE_PATH}/exclusion", {"until": "2099-01-31T00:00:00Z"}),
    "list_sessions": (f"{ALICE_PATH}/sessions", None),
    "open_session": (f"{ALICE_PATH}/sessions", {"currency": "USD"}),
    "revoke_session": (f"{ALICE_PATH}/sessions/1", None),
    "launch": (f"{ALICE_PATH}/launches", {"protocol": "wallet-v2", "game": "1", "currency": "USD"}),
    "launch_demo": ("/agents/default/launches", {"protocol": "wallet-v2", "game": "1"}),
    "list_transactions": ("/transactions", None),
    "show_transaction": ("/transactions/1", None),
    "follow": ("/feed", None),
    "list_calls": ("/calls", None),
    "list_open_rounds": ("/rounds/open", None),
    "show_totals": ("/totals", None),
    "show_holdings": ("/holdings", None),
    "verify": ("/verify", None),
    "show_health": ("/health", None),
}
"""A valid request for each operation; the agent is `default` if there is one."""

METHODS = {operation.name: operation.method for operation in chain(*OPERATIONS.values())}

READS = [name for name, method in METHODS.items() if method == "GET" and name != "follow"]
CHANGES = [name for name, method in METHODS.items() if method != "GET"]
ALL_AGENTS_ONLY = [
    *("add_agent", "change_agent", "add_callback_key", "revoke_callback_key"),
    *("add_protocol_secret", "revoke_protocol_secret", "show_holdings", "verify"),
]
SINGLE_AGENT = [
    name for name, (path, _) in REQUESTS.items() if path.startswith("/agents/") and name not in ALL_AGENTS_ONLY
]


class ApiKeys(NamedTuple):
    """The keys that the tests of this module share."""

    server: Server
    full: str
    read_only: str
    default_agent: str
    north_agent: str
    revoked: str

    def request(self, key: str | None, name: str) -> httpx2.Response:
        path, body = REQUESTS[name]
        return ApiClient(self.server, key).request(METHODS[name], path, body)


@pytest.fixture(scope="module")
def api_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiKeys]:
    """Create two agents, each with a player alice who has transactions."""
    packages = write_protocol_package(tmp_path_factory.mktemp("packages"))
    with running_server(tmp_path_factory.mktemp("keys") / "wallet.db", PYTHONPATH=str(packages)) as server:
        cli = server.cli
        for agent in ("default", "north"):
            if agent != "default":
                cli("agent", "add", agent)
            cli("agent", "set", agent, "--game-url", "https://g.example")
            cli("player", "add", "alice", "--currency", "USD", "--balance", "100", "--agent", agent)
            token = cli.open_session("alice", "--agent", agent)
            server.wallet_v2(code=token, type="bet", bet=1, id=1, game=agent)
        revoked = create_key(server, "revoked")
        cli("key", "revoke", "revoked")
        yield ApiKeys(
            server,
            create_key(server, "everything"),
            create_key(server, "reader", "read"),
            create_key(server, "of-default", "write", "default"),
            create_key(server, "of-north", "write", "north"),
            revoked,
        )


def read_state(ring: ApiKeys) -> list[Any]:
    """Return all state that a request could change."""
    caller = ApiClient(ring.server, ring.full)
    agents = [caller.get(f"/agents/{each['name']}") for each in caller.get("/agents")["agents"]]
    people = [caller.get(f"/agents/{each['name']}/players") for each in agents]
    return [
        agents,
        people,
        *(caller.get(path) for path in (f"{ALICE_PATH}/sessions", f"{ALICE_PATH}/limits", "/transactions")),
    ]


def test_every_operation_has_a_request() -> None:
    """A new operation must be added to these tests."""
    assert set(REQUESTS) == set(METHODS)


def test_no_operation_makes_keys_or_links() -> None:
    """A stolen key gives no access that would outlive its revocation, except for sessions of players."""
    operations = chain.from_iterable(OPERATIONS.values())
    makers = {KeyAdd, KeyRevoke, AdminLink, AdminReset}
    assert not [operation.name for operation in operations if operation.params_type in makers]


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_without_a_valid_key_are_401(api_keys: ApiKeys, name: str) -> None:
    """They get `WWW-Authenticate: Bearer` before any other check, and nothing changes."""
    before = read_state(api_keys)
    for key in (None, "", "mw_" + "0" * 40, api_keys.revoked, api_keys.full[:-1], api_keys.full.upper()):
        refused = api_keys.request(key, name)
        assert_problem(refused, 401, "unauthorized")
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert api_keys.full not in refused.text
    path, _ = REQUESTS[name]
    malformed = api_keys.server.http.request(METHODS[name], API_PREFIX + path, content="{", params={"unknown": "1"})
    assert_problem(malformed, 401, "unauthorized")
    assert read_state(api_keys) == before


@pytest.mark.parametrize("header", ["Basic {}", "{}", "Bearer", "Bearer {} x", "Token {}", "Bearer {}, Bearer {}"])
def test_a_key_is_sent_as_a_bearer_token(api_keys: ApiKeys, header: str) -> None:
    """Other schemes are rejected; the case of `Bearer` does not matter."""
    headers = {"authorization": header.replace("{}", api_keys.full)}
    assert_problem(api_keys.server.http.get(f"{API_PREFIX}/health", headers=headers), 401, "unauthorized")
    assert_problem(api_keys.server.http.get(f"{API_PREFIX}/health", params={"key": api_keys.full}), 401, "unauthorized")
    spelt = {"authorization": f"bEARER {api_keys.full}"}
    assert api_keys.server.http.get(f"{API_PREFIX}/health", headers=spelt).status_code == 200


@pytest.mark.parametrize("name", CHANGES)
def test_a_read_key_cannot_write(api_keys: ApiKeys, name: str) -> None:
    """It gets 403, and nothing changes."""
    before = read_state(api_keys)
    assert_problem(api_keys.request(api_keys.read_only, name), 403, "forbidden", "reader", "read-only")
    assert read_state(api_keys) == before


@pytest.mark.parametrize("name", READS)
def test_a_read_key_reads_everything(api_keys: ApiKeys, name: str) -> None:
    """It gets the same responses as a write key."""
    answers = [api_keys.request(key, name) for key in (api_keys.read_only, api_keys.full)]
    assert [answer.status_code for answer in answers] == [200, 200]
    documents = [answer.json() for answer in answers]
    if name == "show_health":  # time goes by, and files grow
        documents = [set(document) for document in documents]
    assert documents[0] == documents[1]


@pytest.mark.parametrize("name", [*SINGLE_AGENT, *ALL_AGENTS_ONLY])
def test_an_agent_key_reaches_only_its_agent(api_keys: ApiKeys, name: str) -> None:
    """Other agents are 403, whether or not the resource exists, and nothing changes."""
    before = read_state(api_keys)
    assert_problem(api_keys.request(api_keys.north_agent, name), 403, "forbidden", "agent north only")
    assert read_state(api_keys) == before
    path, body = REQUESTS[name]
    nowhere = path.replace("default", "nobody").replace("alice", "nobody")
    unknown = ApiClient(api_keys.server, api_keys.north_agent).request(METHODS[name], nowhere, body)
    assert_problem(unknown, 403, "forbidden", "agent north only")


@pytest.mark.parametrize("name", sorted(set(REQUESTS) - set(SINGLE_AGENT) - set(ALL_AGENTS_ONLY)))
def test_every_other_operation_is_filtered_by_agent(name: str) -> None:
    """An operation about neither one agent nor all is filtered by the key's agent: see the tests below."""
    assert name in {
        *("list_agents", "list_transactions", "show_transaction", "follow"),
        *("list_open_rounds", "list_calls", "show_totals", "show_health"),
    }


def test_an_agent_key_lists_only_its_agent(api_keys: ApiKeys) -> None:
    """This holds whether or not it names its agent; it cannot name another."""
    caller = ApiClient(api_keys.server, api_keys.north_agent)
    assert [agent["name"] for agent in caller.get("/agents")["agents"]] == ["north"]
    for path, rows in (("/transactions", "transactions"), ("/rounds/open", "bets"), ("/totals", "totals")):
        for query in ({}, {"agent": "north"}):
            found = caller.get(path, **query)[rows]
            assert found
            assert {row["agent"] for row in found} == {"north"}
        assert_problem(caller.request("GET", path, agent="default"), 403, "forbidden", "north")
        whole = ApiClient(api_keys.server, api_keys.full).get(path)[rows]
        assert {row["agent"] for row in whole} == {"default", "north"}


def test_an_agent_key_sees_only_its_transactions(api_keys: ApiKeys) -> None:
    """Other agents' transactions are unknown to it."""
    caller = ApiClient(api_keys.server, api_keys.north_agent)
    for row in ApiClient(api_keys.server, api_keys.full).get("/transactions")["transactions"]:
        answer = caller.request("GET", f"/transactions/{row['seq']}")
        if row["agent"] == "north":
            assert answer.json()["entry"]["agent"] == "north"
        else:
            problem = assert_problem(answer, 404, "not_found", str(row["seq"]))
            nowhere = assert_problem(caller.request("GET", "/transactions/999999999"), 404, "not_found")
            assert problem["detail"] == nowhere["detail"].replace("999999999", str(row["seq"]))


def test_an_agent_key_follows_only_its_feed(api_keys: ApiKeys) -> None:
    """The ledger has two agents' transactions; the feed sends those of one."""
    headers = {"authorization": f"Bearer {api_keys.north_agent}", "last-event-id": "0"}
    agents = []
    with api_keys.server.http.stream("GET", f"{API_PREFIX}/feed", headers=headers) as feed:
        for line in feed.iter_lines():
            if line.startswith("data: "):
                agents.append('"agent": "north"' in line)
            if len(agents) == 2:
                break
    assert agents == [True, True]
    assert_problem(
        ApiClient(api_keys.server, api_keys.north_agent).request("GET", "/feed", agent="default"), 403, "forbidden"
    )


@pytest.mark.parametrize("name", SINGLE_AGENT)
def test_an_agent_key_may_do_everything_for_its_agent(api_keys: ApiKeys, name: str) -> None:
    """The same request with another agent's key fails."""
    answer = api_keys.request(api_keys.default_agent, name)
    assert answer.is_success, answer.text


def test_a_revoked_key_is_rejected_immediately(api_keys: ApiKeys) -> None:
    """A key that was used before gets 401."""
    caller = ApiClient(api_keys.server, create_key(api_keys.server, "brief"))
    assert caller.get("/health")["ready"]
    api_keys.server.cli("key", "revoke", "brief")
    assert_problem(caller.request("GET", "/health"), 401, "unauthorized")


@pytest.mark.anyio
async def test_changes_are_in_the_audit_log(db: Path, tmp_path: Path) -> None:
    """Every change, as the key's doing, with the row of the ledger where it moved money; but no token, nor what was
    only looked at or refused.
    """
    with running_server(db, PYTHONPATH=str(write_protocol_package(tmp_path / "packages"))) as server:
        server.cli("player", "add", "alice", "--currency", "USD", "--balance", "1")
        server.cli("agent", "set", "default", "--game-url", "https://g.example")
        token = server.cli.open_session("alice")
        caller = ApiClient(server, create_key(server, "website"))
        done = {}
        for name in [*READS, *CHANGES]:
            path, body = REQUESTS[name]
            answer = caller.request(METHODS[name], path, body)
            assert answer.is_success, answer.text
            done[name] = answer.json()
        caller.request("POST", f"{ALICE_PATH}/withdrawals", {"amount": 10**9, "reference": "too much"})
        actions = [each for each in await read_audit_log(db) if each.actor == "key website"]
    callback_key = done["add_callback_key"]["callback_key"]
    told = [(each.action, each.agent, each.subject, each.seq) for each in actions]
    assert told == [
        ("agent_add", None, "new", None),
        ("agent_set", None, "default", None),
        ("callback_key_add", "default", f"{callback_key[:12]}…", None),
        ("callback_key_revoke", "default", f"{callback_key[:12]}…", None),
        ("protocol_secret_add", "default", FINGERPRINT, None),
        ("protocol_secret_revoke", "default", FINGERPRINT, None),
        ("player_add", "default", "new", None),
        ("player_set_status", "default", "alice", None),
        ("player_add", "default", "alice", None),
        ("deposit", "default", "alice", done["deposit"]["seq"]),
        ("withdraw", "default", "alice", done["withdraw"]["seq"]),
        ("adjust", "default", "alice", done["adjust"]["seq"]),
        ("limit_set", "default", "alice", None),
        ("player_exclude", "default", "alice", None),
        ("session_open", "default", "alice", None),
        ("session_end", "default", "alice", None),
        ("session_open", "default", "alice", None),
    ]
    details = "".join(each.detail for each in actions)
    assert '"amount":1' in details
    for secret in (token, callback_key, SECRET, done["open_session"]["token"], done["launch"]["session"]["token"]):
        assert secret not in details


async def read_audit_log(db: Path) -> list[AuditEvent]:
    """Return the audit log in the file, oldest first."""
    store = await SqliteStore.open_read_only(db)
    try:
        return [action for _, action in await store.admin.list_audit_records(None, 1000)][::-1]
    finally:
        await store.close()
