"""Players named `.` or `..`: refused for new players, and reachable if an older version added them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line
from tests.storage.tampering import open_without_triggers
from tests.support import InProcessCli, Server, running_server
from tests.web.api_client import PLAYERS_PATH, ApiClient, assert_problem, create_key
from tests.web.backoffice.admin_client import AdminClient


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server on a wallet in which an older version added the players `.` and `..`."""
    cli = InProcessCli(tmp_path_factory.mktemp("dots") / "w.db")
    with open_without_triggers(_add_players(cli, "one", "two")) as db:
        db.execute("UPDATE players SET player_id = CASE player_id WHEN 'one' THEN '.' ELSE '..' END")
    with running_server(cli.db) as running:
        yield running


def _add_players(cli: InProcessCli, *names: str) -> Path:
    for name in names:
        cli("player", "add", name, "--currency", "USD")
    return cli.db


@pytest.fixture(scope="module")
def api(server: Server) -> ApiClient:
    return ApiClient(server, create_key(server, "orders"))


@pytest.mark.parametrize("name", [".", ".."])
def test_the_admin_api_reaches_an_old_player(server: Server, api: ApiClient, name: str) -> None:
    """A tilde before the dots keeps clients and proxies from removing the segment of the path."""
    path = f"{PLAYERS_PATH}/~{name}"
    assert api.get(path)["player_id"] == name
    assert api.post(f"{path}/deposits", amount=500, reference=f"in {name}")["cash"] == 500
    assert api.post(f"{path}/withdrawals", amount=200, reference=f"out {name}")["cash"] == 300
    assert api.request("PATCH", path, {"status": "blocked"}).json()["status"] == "blocked"
    assert server.cli.read_balances(name) == (300, 0)


@pytest.mark.parametrize("name", [".", ".."])
def test_the_back_office_reaches_an_old_player(server: Server, name: str) -> None:
    """The list links to the page, and the forms of the page work."""
    admin = AdminClient(server)
    path = f"/admin/players/default/~{name}"
    assert f'href="{path}"' in admin.get_page("/admin/players")
    assert f'action="{path}/money"' in admin.get_page(path)
    fields = {
        "operation": "deposit",
        "part": "cash",
        "amount": "1.00",
        "currency": "USD",
        "reference": f"office {name}",
    }
    assert "Deposited 1.00 USD" in admin.flash_after(f"{path}/money", **fields)
    admin.http.close()


def test_a_new_player_or_agent_cannot_have_such_a_name(server: Server, api: ApiClient, tmp_path: Path) -> None:
    """The command line, a file of players, the admin API and the back office refuse it."""
    admin, cli, words = AdminClient(server), server.cli, "but not only dots"
    players = tmp_path / "players.csv"
    for name in (".", ".."):
        players.write_text(f"player_id,currency,balance\n{name},EUR,10\n")
        assert_error_line(cli.run("player", "add", name, "--currency", "EUR"), 2, f"invalid player_id '{name}'", words)
        assert_error_line(cli.run("agent", "add", name), 2, f"invalid name '{name}'", words)
        seeded = cli.run("seed", players)
        assert (seeded.code, seeded.out) == (1, "")
        assert f"line 2: invalid player_id '{name}'" in seeded.err
        body = {"player_id": name, "currency": "EUR"}
        assert_problem(api.request("POST", PLAYERS_PATH, body), 422, "invalid", "player_id")
        assert_problem(api.request("POST", "/agents", {"name": name}), 422, "invalid", "name")
        for path, fields in (
            ("/admin/players/new", {"agent": "default", **body}),
            ("/admin/add-agent", {"name": name}),
        ):
            refused = admin.submit(path, **fields)
            assert refused.status_code == 422
            assert words in refused.text
    admin.http.close()


def test_a_currency_may_be_typed_in_lower_case(server: Server, api: ApiClient, tmp_path: Path) -> None:
    """The command line, a file of players, the admin API and the back office take the currency that is meant."""
    admin, cli = AdminClient(server), server.cli
    cli("player", "add", "low", "--currency", "usd", "--balance", "10")
    assert cli("deposit", "low", "1", "--currency", "usd")["currency"] == "USD"
    assert cli("session", "open", "low", "--currency", "Usd")["currency"] == "USD"
    assert len(cli("ledger", "low", "--currency", "usd")["entries"]) == 2
    assert cli.run("deposit", "low", "1", "--currency", "us").code == 2
    players = tmp_path / "players.csv"
    players.write_text("player_id,currency,balance\nlow,usd,10\nlow,eur,10\n")
    assert cli("seed", players) == {"rows": 2, "players_added": 0, "accounts_added": 1}
    path = f"{PLAYERS_PATH}/low"
    assert api.post(f"{path}/accounts", currency="jpy")["accounts"][1]["currency"] == "JPY"
    assert api.post(f"{path}/deposits", amount=1, currency="jpy", reference="yen")["currency"] == "JPY"
    assert len(api.get("/transactions", player_id="low", currency="jpy")["transactions"]) == 1
    fields = {"agent": "default", "player_id": "low", "currency": "kwd"}
    assert admin.flash_after("/admin/players/new", **fields) == "low now has an account in KWD."
    assert "yen" in admin.get_page("/admin/transactions?player=low&currency=jpy&agent=default")
    admin.http.close()


def test_a_byte_order_mark_before_a_body_is_ignored(server: Server, api: ApiClient) -> None:
    """Some programs write one before their JSON."""
    body = b'\xef\xbb\xbf{"player_id": "marked", "currency": "USD"}'
    url = f"/admin/api/v1{PLAYERS_PATH}"
    assert server.http.post(url, content=body, headers=api.headers).status_code == 201
