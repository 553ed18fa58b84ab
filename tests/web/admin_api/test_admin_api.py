"""The admin API over real HTTP, as an operator's website uses it."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from minwallet import __version__
from tests.orbit_package import write_orbit_package
from tests.protocol_package import add_secret
from tests.support import Server, running_server
from tests.web.api_client import PLAYERS_PATH, ApiClient, assert_problem, create_key, read_success


@pytest.fixture(scope="module")
def api_client(server: Server) -> ApiClient:
    """Return a client with a key for everything."""
    return ApiClient(server, create_key(server, "everything"))


@pytest.fixture
def player(server: Server) -> str:
    """Add a player with 100.00 USD, and return the id."""
    return server.cli.add_player()


def test_agents_are_added_shown_changed_and_listed(api_client: ApiClient) -> None:
    """The results equal those of `minwallet agent`; null keeps a setting, an empty string removes it."""
    added = read_success(api_client.request("POST", "/agents", {"name": "north", "host_id": "h1"}), 201)
    assert added == {"name": "north", "wallet_token": "north", "host_id": "h1"}
    assert added in api_client.get("/agents")["agents"]
    shown = api_client.get("/agents/north")
    assert shown == added | {"service_url": None, "game_url": None, "report_unit": "cents"}
    change = {"game_url": "https://g.example", "host_id": "", "service_url": None, "report_unit": "units"}
    changed = read_success(api_client.request("PATCH", "/agents/north", change), 200)
    assert changed == shown | {"game_url": "https://g.example", "host_id": None, "report_unit": "units"}
    assert api_client.get("/agents/north") == changed
    assert_problem(api_client.request("POST", "/agents", {"name": "north"}), 409, "taken", "north")
    assert_problem(api_client.request("PATCH", "/agents/nobody", {}), 404, "not_found", "nobody")
    assert_problem(api_client.request("GET", "/agents/nobody"), 404, "not_found", "nobody")


def test_a_player_is_added_once(api_client: ApiClient) -> None:
    """The player starts with an account; more are added, one per currency."""
    body = {"player_id": "ann", "currency": "EUR", "balance": 1000, "bonus": 50}
    added = read_success(api_client.request("POST", PLAYERS_PATH, body), 201)
    euros = {"currency": "EUR", "cash": 1000, "bonus": 50}
    assert added == {
        "player_id": "ann",
        "agent": "default",
        "status": "active",
        "excluded_until": None,
        "accounts": [euros],
    }
    assert api_client.get(f"{PLAYERS_PATH}/ann") == added
    assert_problem(api_client.request("POST", PLAYERS_PATH, body), 409, "taken", "ann")
    assert_problem(api_client.request("POST", PLAYERS_PATH, body | {"currency": "USD"}), 409, "taken", "ann")
    both = read_success(api_client.request("POST", f"{PLAYERS_PATH}/ann/accounts", {"currency": "USD"}), 201)
    assert both["accounts"] == [euros, {"currency": "USD", "cash": 0, "bonus": 0}]
    assert api_client.get(f"{PLAYERS_PATH}/ann/accounts") == {"accounts": both["accounts"]}
    assert_problem(api_client.request("POST", f"{PLAYERS_PATH}/ann/accounts", {"currency": "USD"}), 409, "taken", "USD")
    assert_problem(
        api_client.request("POST", f"{PLAYERS_PATH}/nobody/accounts", {"currency": "USD"}), 404, "not_found", "nobody"
    )
    assert_problem(api_client.request("POST", "/agents/nobody/players", body), 409, "not_possible", "nobody")


def test_players_come_in_pages(api_client: ApiClient) -> None:
    """Players are in order of id, and following `next` returns each once. `text` finds ids that contain it."""
    api_client.post("/agents", name="crowd")
    path = "/agents/crowd/players"
    names = [f"p{number:02}" for number in range(23)]
    for name in reversed(names):
        api_client.post(path, player_id=name, currency="USD")
    seen, after = [], ""
    while True:
        page = api_client.get(path, limit=5, after=after)
        assert len(page["players"]) <= 5
        seen += [player["player_id"] for player in page["players"]]
        after = page["next"]
        if after is None:
            break
    assert seen == names
    found = api_client.get(path, text="P2")
    assert [player["player_id"] for player in found["players"]] == ["p20", "p21", "p22"]
    assert found["next"] is None
    assert_problem(api_client.request("GET", "/agents/nobody/players"), 404, "not_found", "nobody")


def test_a_player_is_blocked_and_unblocked(server: Server, api_client: ApiClient, player: str) -> None:
    """A blocked player's bets are refused."""
    token = server.cli.open_session(player)
    assert (
        read_success(api_client.request("PATCH", f"{PLAYERS_PATH}/{player}", {"status": "blocked"}))["status"]
        == "blocked"
    )
    assert server.wallet_v2(code=token, type="bet", bet=1, id=901, game=1)["err_code"] == 104
    assert (
        read_success(api_client.request("PATCH", f"{PLAYERS_PATH}/{player}", {"status": "active"}))["status"]
        == "active"
    )
    assert server.wallet_v2(code=token, type="bet", bet=1, id=902, game=1)["result"] == 1
    assert_problem(
        api_client.request("PATCH", f"{PLAYERS_PATH}/nobody", {"status": "active"}), 404, "not_found", "nobody"
    )


def test_money_is_moved_once_for_a_reference(server: Server, api_client: ApiClient, player: str) -> None:
    """A repeated transfer gets the same response and changes nothing; other content is a conflict."""
    deposits, withdrawals = f"{PLAYERS_PATH}/{player}/deposits", f"{PLAYERS_PATH}/{player}/withdrawals"
    body = {"amount": 2500, "reference": f"{player}-1", "reason": "card"}
    first = api_client.post(deposits, **body)
    assert first == {"player_id": player, "currency": "USD", "cash": 12_500, "bonus": 0, "seq": first["seq"]}
    assert api_client.post(deposits, **body) == first
    assert_problem(api_client.request("POST", deposits, body | {"amount": 1}), 409, "taken", f"{player}-1")
    assert_problem(api_client.request("POST", withdrawals, body), 409, "taken")
    shown = api_client.get(f"/transactions/{first['seq']}")
    assert json.loads(shown["entry"]["detail"]) == {"by": "key everything", "reason": "card"}
    paid = api_client.post(withdrawals, amount=500, reference=f"{player}-2", currency="USD")
    assert (paid["cash"], paid["bonus"]) == (12_000, 0)
    given = api_client.post(deposits, amount=300, reference=f"{player}-3", bonus=True)
    assert (given["cash"], given["bonus"]) == (12_000, 300)
    too_much = api_client.request("POST", withdrawals, {"amount": 12_001, "reference": f"{player}-4"})
    assert_problem(too_much, 409, "insufficient_funds", "120.00")
    beyond = api_client.request("POST", deposits, {"amount": 2**63 - 1, "reference": f"{player}-5"})
    assert_problem(beyond, 409, "out_of_range")
    assert server.cli.read_balances(player) == (12_000, 300)


def test_an_adjustment_reaches_an_excluded_player(server: Server, api_client: ApiClient, player: str) -> None:
    """It is signed, needs a reason, and is apart from deposits in the totals."""
    path, reference = f"{PLAYERS_PATH}/{player}/adjustments", f"{player}-1"
    until = {"until": "2099-01-31T00:00:00Z"}
    assert api_client.request("PUT", f"{PLAYERS_PATH}/{player}/exclusion", until).is_success
    before = sum(row["adjusted"] for row in api_client.get("/totals")["totals"])
    body = {"amount": 2500, "reference": reference, "reason": "ticket 7 was not paid"}
    first = api_client.post(path, **body)
    assert first == {"player_id": player, "currency": "USD", "cash": 12_500, "bonus": 0, "seq": first["seq"]}
    assert api_client.post(path, **body) == first
    assert_problem(api_client.request("POST", path, body | {"amount": -2500}), 409, "taken", reference)
    assert api_client.post(path, **body | {"amount": -12_500, "reference": f"{player}-2"})["cash"] == 0
    too_much = body | {"amount": -1, "reference": f"{player}-3"}
    assert_problem(api_client.request("POST", path, too_much), 409, "insufficient_funds")
    for wrong in ({"amount": 0}, {"reason": ""}, {"reason": "  "}, {"amount": -(2**63)}, {"amount": "1"}):
        assert_problem(api_client.request("POST", path, too_much | wrong), 422, "invalid", *wrong)
    shown = api_client.get(f"/transactions/{first['seq']}")["entry"]
    assert (shown["kind"], shown["amount"]) == ("adjustment", 2500)
    assert json.loads(shown["detail"]) == {"by": "key everything", "reason": "ticket 7 was not paid"}
    kept = api_client.get("/transactions", kind="adjustment", player_id=player)["transactions"]
    assert [row["amount"] for row in kept] == [-12_500, 2500]
    assert sum(row["adjusted"] for row in api_client.get("/totals")["totals"]) == before - 10_000
    assert server.cli.read_balances(player) == (0, 0)


def test_a_currency_is_named_where_there_are_several(api_client: ApiClient, player: str) -> None:
    """The currency must be one of the player's."""
    api_client.post(f"{PLAYERS_PATH}/{player}/accounts", currency="EUR")
    path, body = f"{PLAYERS_PATH}/{player}/deposits", {"amount": 1, "reference": f"{player}-1"}
    assert_problem(api_client.request("POST", path, body), 409, "not_possible", "EUR, USD")
    assert_problem(api_client.request("POST", path, body | {"currency": "GBP"}), 409, "not_possible", "GBP")
    assert api_client.post(path, **body, currency="EUR")["currency"] == "EUR"


def test_a_retry_returns_the_first_result_after_an_account_is_added(api_client: ApiClient, player: str) -> None:
    """The retry may omit the currency; a refused transfer may be repeated with its reference."""
    deposits, withdrawals = f"{PLAYERS_PATH}/{player}/deposits", f"{PLAYERS_PATH}/{player}/withdrawals"
    body = {"amount": 100, "reference": f"{player}-1"}
    first = api_client.post(deposits, **body)
    too_much = {"amount": 10_200, "reference": f"{player}-2", "currency": "USD"}
    assert_problem(api_client.request("POST", withdrawals, too_much), 409, "insufficient_funds")
    api_client.post(f"{PLAYERS_PATH}/{player}/accounts", currency="EUR")
    assert api_client.post(deposits, **body) == first
    assert_problem(api_client.request("POST", deposits, body | {"amount": 2}), 409, "taken")
    assert_problem(api_client.request("POST", deposits, body | {"currency": "EUR"}), 409, "taken")
    api_client.post(deposits, amount=100, reference=f"{player}-3", currency="USD")
    assert api_client.post(withdrawals, **too_much)["cash"] == 0


def test_concurrent_requests_with_one_reference_move_money_once(
    server: Server, api_client: ApiClient, player: str
) -> None:
    """A client without a response repeats its request, and the money moves once."""
    path, body = f"{PLAYERS_PATH}/{player}/deposits", {"amount": 100, "reference": f"{player}-once"}
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: api_client.post(path, **body), range(48)))
    assert {reply["seq"] for reply in replies} == {replies[0]["seq"]}
    assert {reply["cash"] for reply in replies} == {10_100}
    assert server.cli.read_balances(player) == (10_100, 0)


def test_a_session_is_opened_listed_and_revoked(server: Server, api_client: ApiClient, player: str) -> None:
    """Its token is valid until the session is revoked; the list shows only the token's beginning."""
    path = f"{PLAYERS_PATH}/{player}/sessions"
    opened = read_success(api_client.request("POST", path, {"ttl_s": 60}), 201)
    lives = datetime.fromisoformat(opened["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=40) < lives <= timedelta(seconds=60)
    assert server.wallet_v2(code=opened["token"], type="credit")["result"] == 1
    day = api_client.post(path)
    assert datetime.fromisoformat(day["expires_at"]) - datetime.now(UTC) > timedelta(hours=23)
    listed = api_client.request("GET", path)
    assert opened["token"] not in listed.text
    rows = [(row["session"], row["status"]) for row in listed.json()["sessions"]]
    assert rows == [(day["session"], "live"), (opened["session"], "live")]
    page = api_client.get(path, limit=1)
    assert [row["session"] for row in page["sessions"]] == [page["next"]] == [day["session"]]
    page = api_client.get(path, limit=2, before=page["next"])
    assert ([row["session"] for row in page["sessions"]], page["next"]) == ([opened["session"]], None)
    number = opened["session"]
    assert read_success(api_client.request("DELETE", f"{path}/{number}")) == {"revoked": True}
    assert server.wallet_v2(code=opened["token"], type="credit")["err_code"] == 102
    assert read_success(api_client.request("DELETE", f"{path}/{number}")) == {"revoked": True}
    other = server.cli.add_player()
    assert_problem(api_client.request("DELETE", f"{PLAYERS_PATH}/{other}/sessions/{number}"), 404, "not_found")


def test_a_game_is_launched(server: Server, api_client: ApiClient) -> None:
    """A launch opens a session for the player, or none with virtual credit; a failed one opens none."""
    api_client.post("/agents", name="launching")
    path = "/agents/launching"
    api_client.post(f"{path}/players", player_id="lea", currency="USD", balance=100)
    wanted = {"protocol": "wallet-v2", "game": "1012", "lang": "de"}
    assert_problem(api_client.request("POST", f"{path}/players/lea/launches", wanted), 409, "not_possible", "game url")
    assert api_client.get(f"{path}/players/lea/sessions")["sessions"] == []
    read_success(api_client.request("PATCH", path, {"game_url": "https://g.example"}))
    launched = read_success(api_client.request("POST", f"{path}/players/lea/launches", wanted | {"ttl_s": 60}), 201)
    token = launched["session"]["token"]
    assert dict(parse_qsl(urlsplit(launched["url"]).query))["token"] == token
    assert server.wallet_v2(code=token, type="bet", bet=100, id=1, game=1012)["credit"] == 0
    demo = read_success(api_client.request("POST", f"{path}/launches", wanted), 201)
    assert demo == {"url": "https://g.example?mode=demo&gameID=1012&lang=de", "session": None}
    vela = {"protocol": "vela", "game": "fish"}
    assert_problem(api_client.request("POST", f"{path}/launches", vela), 409, "not_possible", "game list")
    assert_problem(api_client.request("POST", f"{path}/players/nobody/launches", wanted), 404, "not_found", "nobody")
    assert len(api_client.get(f"{path}/players/lea/sessions")["sessions"]) == 1


def test_a_launch_of_a_signed_protocol_needs_a_secret(db: Path, tmp_path: Path) -> None:
    """Without one no session is opened. A launch with virtual credit needs none."""
    packages = write_orbit_package(tmp_path / "packages")
    with running_server(db, PYTHONPATH=str(packages)) as server:
        server.cli("agent", "set", "default", "--game-url", "https://g.example")
        player, api_client = server.cli.add_player(), ApiClient(server, create_key(server, "everything"))
        wanted, path = {"protocol": "orbit", "game": "comet"}, f"{PLAYERS_PATH}/{player}"
        assert_problem(api_client.request("POST", f"{path}/launches", wanted), 409, "not_possible", "has no secret")
        assert api_client.get(f"{path}/sessions")["sessions"] == []
        demo = read_success(api_client.request("POST", "/agents/default/launches", wanted), 201)
        assert demo["session"] is None
        add_secret(server.cli, packages, "secret_of_orbit", protocol="orbit")
        launched = read_success(api_client.request("POST", f"{path}/launches", wanted), 201)
        assert "sign=" in launched["url"]


@pytest.fixture(scope="module")
def player_with_rounds(server: Server) -> str:
    """Add an agent and a player with 12 rounds in wallet-v2, 3 of them open, and one bet in vela."""
    server.cli("agent", "add", "played")
    server.cli("player", "add", "max", "--currency", "USD", "--balance", "100", "--agent", "played")
    token = server.cli.open_session("max", "--agent", "played")
    for number in range(12):
        assert server.wallet_v2(code=token, type="bet", bet=10, id=100 + number, game=number % 2)["result"] == 1
        if number < 9:
            win = {"win": 5, "id": 200 + number, "round_id": 100 + number, "game": number % 2}
            assert server.wallet_v2("/wallet", code=token, type="win", **win)["result"] == 1
    assert server.vela("bet", access_token=token, ticket_id=7, total_bet=10_000)["status_code"] == 3
    return "max"


def test_transactions_come_in_pages(api_client: ApiClient, player_with_rounds: str) -> None:
    """Transactions are newest first, and following `next` returns each once."""
    seen: list[int] = []
    before: dict[str, int] = {}
    while True:
        page = api_client.get("/transactions", agent="played", limit=4, **before)
        seen += [row["seq"] for row in page["transactions"]]
        assert {row["player_id"] for row in page["transactions"]} <= {player_with_rounds}
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert len(seen) == 1 + 12 + 9 + 1
    assert seen == sorted(set(seen), reverse=True)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"kind": "bet"}, 13),
        ({"kind": "win", "game": "1"}, 4),
        ({"state": "refused"}, 1),
        ({"protocol": "vela"}, 1),
        ({"protocol": "opening"}, 1),
        ({"round": "103"}, 2),
        ({"id": "203"}, 1),
        ({"player_id": "max", "currency": "USD", "kind": "bet"}, 13),
        ({"player_id": "nobody"}, 0),
        ({"currency": "EUR"}, 0),
        ({"since": "2001-01-01T00:00:00Z", "until": "2999-12-31T23:59:59.999+01:00"}, 23),
        ({"until": "2001-01-01T00:00:00-05:00"}, 0),
        ({"since": "0001-01-01T00:00:00+14:00", "until": "9999-12-31T23:59:59-12:00"}, 23),
    ],
)
def test_transactions_are_filtered(
    api_client: ApiClient, player_with_rounds: str, query: dict[str, str], count: int
) -> None:
    """Filters cover all fields of a row, and the time from `since` to before `until`."""
    del player_with_rounds
    assert len(api_client.get("/transactions", agent="played", limit=100, **query)["transactions"]) == count


def test_transaction_times_work_as_filter_bounds(api_client: ApiClient, player_with_rounds: str) -> None:
    """`since` is the first time of the range, and `until` the first one after it."""
    del player_with_rounds
    (newest,) = api_client.get("/transactions", agent="played", limit=1)["transactions"]
    since = api_client.get("/transactions", agent="played", since=newest["at"])["transactions"]
    until = api_client.get("/transactions", agent="played", until=newest["at"])["transactions"]
    assert newest in since
    assert newest not in until


def test_a_transaction_shows_request_and_reply(api_client: ApiClient, player_with_rounds: str) -> None:
    """Request and reply are unchanged but for the token."""
    del player_with_rounds
    (row,) = api_client.get("/transactions", agent="played", id="100")["transactions"]
    shown = api_client.get(f"/transactions/{row['seq']}")
    assert row.items() <= shown["entry"].items()
    assert shown["request"].startswith("POST /wallet {")
    assert '"code": "TOKEN"' in shown["request"]
    assert '"result":1' in shown["reply"]
    assert_problem(api_client.request("GET", "/transactions/999999"), 404, "not_found", "999999")


def test_the_bets_of_open_rounds_are_listed(api_client: ApiClient, player_with_rounds: str) -> None:
    """Bets without a win or a cancel are listed in pages."""
    del player_with_rounds
    page = api_client.get("/rounds/open", agent="played", limit=2)
    assert [bet["id"] for bet in page["bets"]] == ["111", "110"]
    rest = api_client.get("/rounds/open", agent="played", limit=2, before=page["next"])
    assert [bet["id"] for bet in rest["bets"]] == ["109"]


def test_totals_add_up(api_client: ApiClient, player_with_rounds: str) -> None:
    """Totals are by day, currency, protocol and game; `next` continues after 92 days."""
    del player_with_rounds
    newest = api_client.get("/transactions", agent="played", limit=1)["transactions"][0]
    today = datetime.fromisoformat(newest["at"]).date()
    totals = api_client.get("/totals", agent="played", since=str(today), until=str(today + timedelta(days=1)))
    assert totals["next"] is None
    rows = {(row["protocol"], row["game"]): row for row in totals["totals"]}
    odd = rows["wallet-v2", "1"]
    assert (odd["bets"], odd["staked"], odd["wins"], odd["paid"], odd["ggr"]) == (6, 60, 4, 20, 40)
    assert (odd["day"], odd["agent"], odd["currency"]) == (str(today), "played", "USD")
    assert rows["opening", ""]["deposited"] == 10_000
    assert ("vela", "") not in rows or rows["vela", ""]["bets"] == 0
    assert api_client.get("/totals", agent="played")["totals"] == totals["totals"]
    pages = [api_client.get("/totals", agent="played", since=str(today - timedelta(days=200)))]
    while pages[-1]["next"]:
        pages.append(api_client.get("/totals", agent="played", since=pages[-1]["next"]))
    assert [len(page["totals"]) for page in pages] == [0, 0, len(totals["totals"])]
    assert api_client.get("/totals", until="1969-12-31") == {"totals": [], "next": None}


def test_holdings_equal_the_sum_of_entries(server: Server, api_client: ApiClient) -> None:
    """This holds in each currency, over all players."""
    server.cli.add_player("CHF", "12.50", "1")
    (francs,) = [held for held in api_client.get("/holdings")["holdings"] if held["currency"] == "CHF"]
    assert francs == {"currency": "CHF", "accounts": 1, "cash": 1250, "bonus": 100, "entries": 1350, "ok": True}


def test_the_ledger_is_verified(server: Server, api_client: ApiClient) -> None:
    """The result equals that of `minwallet verify`."""
    assert api_client.get("/verify") == server.cli("verify")


def test_health_is_reported(api_client: ApiClient) -> None:
    """The report has readiness, versions and sizes."""
    health = api_client.get("/health")
    assert (health["ready"], health["reasons"], health["version"]) == (True, [], __version__)
    assert re.fullmatch(r"3(\.\d+){2}", health["sqlite"])
    assert min(health["file_bytes"], health["free_bytes"]) > 0
