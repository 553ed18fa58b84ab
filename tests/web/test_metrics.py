"""The metrics at /metrics, from a real server."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from minwallet import __version__
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.service import Wallet
from minwallet.web.health import check_readiness
from minwallet.web.metrics import Metrics
from tests.storage.reference_engine.memory_store import MemoryStore
from tests.support import InProcessCli, Server, running_server
from tests.web.api_client import assert_problem, create_key
from tests.web.gateway.test_journal import wait_for_journal
from tests.web.scraper import Scraper

BETS, CLIENTS, SCRAPES = 300, 8, 20


@pytest.fixture(scope="module")
def scraper(server: Server) -> Scraper:
    return Scraper(server)


def test_a_call_is_counted_once_by_its_outcome(server: Server, scraper: Scraper) -> None:
    """The calls are a bet, its retry, a refused one, one of an unknown session, a malformed one, an unknown type,
    and a wrong method."""
    token = server.cli.open_session(server.cli.add_player(balance="10"))
    before = scraper.scrape()
    bet: dict[str, Any] = {"type": "bet", "bet": 100, "id": 1, "game": 1}
    for _ in range(2):
        assert server.wallet_v2(code=token, **bet)["credit"] == 900
    server.wallet_v2(code=token, **bet | {"id": 2, "bet": 901})
    server.wallet_v2(code="nobody", **bet)
    server.wallet_v2(code=token, type="bet")
    server.wallet_v2(code=token, type="dance")
    assert server.http.get("/wallet").status_code == 405
    server.vela("bet", access_token=token, ticket_id=1, total_bet=1)
    after = scraper.scrape()

    def counted(protocol: str, operation: str, outcome: str) -> float:
        labels = {"protocol": protocol, "operation": operation, "outcome": outcome}
        return after("calls_total", **labels) - before("calls_total", **labels)

    assert counted("wallet-v2", "bet", "applied") == 1
    assert counted("wallet-v2", "bet", "replayed") == 1
    assert counted("wallet-v2", "bet", "insufficient_funds") == 1
    assert counted("wallet-v2", "bet", "session_unknown") == 1
    assert counted("wallet-v2", "bet", "malformed") == 1
    assert counted("wallet-v2", "unknown", "malformed") == 1
    assert counted("wallet-v2", "unknown", "http 405") == 1
    assert counted("vela", "bet", "applied") == 1


def test_calls_and_commits_are_timed(server: Server, scraper: Scraper) -> None:
    """Each call is in the histogram of its operation, and each commit in that of commits; a query commits nothing."""
    token = server.cli.open_session(server.cli.add_player())
    before = scraper.scrape()
    for id_ in range(10, 13):
        server.vela("bet", access_token=token, ticket_id=id_, total_bet=1)
    server.vela("authenticate", access_token=token)
    after = scraper.scrape()

    def grown(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    bets = {"protocol": "vela", "operation": "bet"}
    assert grown("call_seconds_count", **bets) == grown("call_seconds_bucket", **bets, le="+Inf") == 3
    assert 0 < grown("call_seconds_sum", **bets) < 30
    assert grown("call_seconds_count", protocol="vela", operation="authenticate") == 1
    assert grown("batch_commands_count") == grown("batch_commands_sum") == grown("commit_seconds_count") == 3
    assert 0 < grown("commit_seconds_sum") <= grown("call_seconds_sum", **bets)


def test_held_cents_is_the_sum_of_accounts(db: Path) -> None:
    """The sums cover all agents by currency, with separate cash and bonus. There are also the open rounds and the
    sizes of the files."""
    cli = InProcessCli(db)
    cli("agent", "add", "other")
    cli("player", "add", "eve", "--agent", "other", "--currency", "USD", "--balance", "7.50")
    tokens = [
        cli.open_session(cli.add_player(balance="100", bonus="5")),
        cli.open_session(cli.add_player("EUR", "20")),
    ]
    with running_server(db) as server:
        for id_ in (1, 2):
            server.wallet_v2(code=tokens[0], type="bet", bet=300, id=id_, game=1)
        server.wallet_v2(code=tokens[0], type="win", win=50, id=3, round_id=2, game=1)
        # The journal is written after the replies, and makes the WAL longer.
        wait_for_journal(cli, cli.read_entries(next(iter(cli("player", "list")["players"]))["player_id"])[-1]["seq"])
        told = Scraper(server).scrape()
        held = Counter[tuple[str, str]]()
        for agent in ("default", "other"):
            for player in server.cli("player", "list", "--agent", agent)["players"]:
                for account in player["accounts"]:
                    held[account["currency"], "cash"] += account["cash"]
                    held[account["currency"], "bonus"] += account["bonus"]
        assert held["USD", "cash"] == 10_000 - 600 + 50 + 750
        for (currency, kind), cents in held.items():
            assert told("held_cents", currency=currency, kind=kind) == cents
        assert told.get_label_values("held_cents") == {"USD", "EUR", "cash", "bonus"}
        assert told("open_rounds") == 1
        assert told("file_bytes") == db.stat().st_size
        assert told("wal_bytes") == db.with_name("wallet.db-wal").stat().st_size
        assert told("free_bytes") > 0
        assert told("ready") == 1
        assert told("waiting_calls") == 0
        assert told("info", version=__version__, sqlite=SqliteStore.sqlite_version) == 1
        assert {"process_start_time_seconds", "process_resident_memory_bytes", "process_open_fds"} <= told.names


def test_metrics_require_a_key_for_all_agents(server: Server, scraper: Scraper) -> None:
    """No key, a wrong one and a revoked one get 401, and a key of one agent 403, each as a problem document like in
    the admin API."""
    assert server.http.get("/metrics").headers["www-authenticate"] == "Bearer"
    assert_problem(server.http.get("/metrics"), 401, "unauthorized")
    assert_problem(scraper.request("wrong"), 401, "unauthorized")
    revoked = create_key(server, "revoked", "read")
    server.cli("key", "revoke", "revoked")
    assert_problem(scraper.request(revoked), 401, "unauthorized")
    assert_problem(scraper.request(create_key(server, "bound", "write", "default")), 403, "forbidden", "default")
    assert scraper.request(create_key(server, "writer")).status_code == 200
    assert_problem(server.http.post("/metrics"), 405, "method_not_allowed")


def test_metrics_contain_no_player_token_or_key(server: Server, scraper: Scraper) -> None:
    """This holds even if a call has them in the wrong place."""
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    server.wallet_v2(code=token, type="credit")
    server.wallet_v2(code=token, type=token)
    server.wallet_v2(code=token, type=player)
    server.http.post(f"/wallet/{token}", json={"code": token, "type": "credit"})
    server.http.get(f"/api/bet?access_token={token}&ticket_id={token}&game_code={player}")
    told = scraper.scrape()
    for secret in (player, token, scraper.key, "default"):
        assert secret not in told.text
    operations = {"credit", "bet", "win", "cancel", "authenticate", "result", "refund", "betwin", "unknown"}
    assert told.get_label_values("call_seconds_count") <= operations | {"wallet-v2", "vela"}


@pytest.mark.anyio
async def test_scrapes_succeed_under_load(server: Server, scraper: Scraper) -> None:
    """Every scrape beside many bets succeeds, counters never decrease, and at the end all bets are counted."""
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    applied = {"protocol": "wallet-v2", "operation": "bet", "outcome": "applied"}
    counts = [scraper.scrape()("calls_total", **applied)]

    async def bet(client: httpx2.AsyncClient, ids: range) -> None:
        for id_ in ids:
            call = {"code": token, "type": "bet", "bet": 1, "id": 1000 + id_, "game": 1}
            assert (await client.post("/wallet", json=call)).json()["result"] == 1

    async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as client, asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(bet(client, range(number, BETS, CLIENTS)))
        for _ in range(SCRAPES):
            scrape = await asyncio.to_thread(scraper.scrape)
            counts.append(scrape("calls_total", **applied))
    counts.append(scraper.scrape()("calls_total", **applied))
    assert counts == sorted(counts)
    assert counts[-1] - counts[0] == BETS


def test_a_server_that_is_not_ready_reports_0(db: Path) -> None:
    """Like /readyz, the metric is 0 if disk space is low, and the scrape succeeds."""
    with running_server(db, MINWALLET_MIN_FREE_MB="900000000") as server:
        assert Scraper(server).scrape()("ready") == 0
        assert server.http.get("/readyz").status_code == 503


def test_a_server_that_stops_is_not_ready() -> None:
    """A request during the shutdown gets the reason."""
    wallet = Wallet(MemoryStore())
    assert check_readiness(wallet, "3")["ready"]
    wallet.commit_notifier.close()
    assert check_readiness(wallet, "3")["reasons"] == ["the server is stopping"]


def test_two_servers_in_one_process_count_separately() -> None:
    """A commit counts in the metrics of its own server only."""
    first, second = Metrics("3"), Metrics("3")
    first.record_commit(5, 0.01)
    assert first.render().count(b"minwallet_batch_commands_sum 5.0") == 1
    assert second.render().count(b"minwallet_batch_commands_sum 0.0") == 1
