"""The admin API: what an operator's website asks of the wallet, over real HTTP."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from minwallet import __version__
from tests.support import Server
from tests.web.api import PLAYERS, Caller, assert_problem, done, make_key


@pytest.fixture(scope="module")
def caller(server: Server) -> Caller:
    """Somebody who may do everything."""
    return Caller(server, make_key(server, "everything"))


@pytest.fixture
def player(server: Server) -> str:
    """A player with 100.00 USD."""
    return server.cli.player()


def test_agents_are_added_shown_changed_and_listed(caller: Caller) -> None:
    """As `minwallet agent` does it; null leaves a setting as it is, an empty text takes it away."""
    added = done(caller.ask("POST", "/agents", {"name": "north", "host_id": "h1"}), 201)
    assert added == {"name": "north", "wallet_token": "north", "host_id": "h1"}
    assert added in caller.get("/agents")["agents"]
    shown = caller.get("/agents/north")
    assert shown == added | {"service_url": None, "game_url": None, "report_unit": "cents"}
    change = {"game_url": "https://g.example", "host_id": "", "service_url": None, "report_unit": "units"}
    changed = done(caller.ask("PATCH", "/agents/north", change), 200)
    assert changed == shown | {"game_url": "https://g.example", "host_id": None, "report_unit": "units"}
    assert caller.get("/agents/north") == changed
    assert_problem(caller.ask("POST", "/agents", {"name": "north"}), 409, "taken", "north")
    assert_problem(caller.ask("PATCH", "/agents/nobody", {}), 404, "not_found", "nobody")
    assert_problem(caller.ask("GET", "/agents/nobody"), 404, "not_found", "nobody")


def test_a_player_is_added_once(caller: Caller) -> None:
    """With an account; more accounts are added to the player, one for each currency."""
    body = {"player_id": "ann", "currency": "EUR", "balance": 1000, "bonus": 50}
    added = done(caller.ask("POST", PLAYERS, body), 201)
    euros = {"currency": "EUR", "cash": 1000, "bonus": 50}
    assert added == {"player_id": "ann", "agent": "default", "status": "active", "accounts": [euros]}
    assert caller.get(f"{PLAYERS}/ann") == added
    assert_problem(caller.ask("POST", PLAYERS, body), 409, "taken", "ann")
    assert_problem(caller.ask("POST", PLAYERS, body | {"currency": "USD"}), 409, "taken", "ann")
    both = done(caller.ask("POST", f"{PLAYERS}/ann/accounts", {"currency": "USD"}), 201)
    assert both["accounts"] == [euros, {"currency": "USD", "cash": 0, "bonus": 0}]
    assert caller.get(f"{PLAYERS}/ann/accounts") == {"accounts": both["accounts"]}
    assert_problem(caller.ask("POST", f"{PLAYERS}/ann/accounts", {"currency": "USD"}), 409, "taken", "USD")
    assert_problem(caller.ask("POST", f"{PLAYERS}/nobody/accounts", {"currency": "USD"}), 404, "not_found", "nobody")
    assert_problem(caller.ask("POST", "/agents/nobody/players", body), 409, "not_possible", "nobody")


def test_players_come_in_pages(caller: Caller) -> None:
    """In order of their ids; whoever goes on after `next` sees each once. A text looks for ids that have it in them."""
    caller.post("/agents", name="crowd")
    path = "/agents/crowd/players"
    names = [f"p{number:02}" for number in range(23)]
    for name in reversed(names):
        caller.post(path, player_id=name, currency="USD")
    seen, after = [], ""
    while True:
        page = caller.get(path, limit=5, after=after)
        assert len(page["players"]) <= 5
        seen += [player["player_id"] for player in page["players"]]
        after = page["next"]
        if after is None:
            break
    assert seen == names
    found = caller.get(path, text="P2")
    assert [player["player_id"] for player in found["players"]] == ["p20", "p21", "p22"]
    assert found["next"] is None
    assert_problem(caller.ask("GET", "/agents/nobody/players"), 404, "not_found", "nobody")


def test_a_player_is_blocked_and_unblocked(server: Server, caller: Caller, player: str) -> None:
    """A blocked player's bets are refused."""
    token = server.cli.session(player)
    assert done(caller.ask("PATCH", f"{PLAYERS}/{player}", {"status": "blocked"}))["status"] == "blocked"
    assert server.wallet_v2(code=token, type="bet", bet=1, id=901, game=1)["err_code"] == 104
    assert done(caller.ask("PATCH", f"{PLAYERS}/{player}", {"status": "active"}))["status"] == "active"
    assert server.wallet_v2(code=token, type="bet", bet=1, id=902, game=1)["result"] == 1
    assert_problem(caller.ask("PATCH", f"{PLAYERS}/nobody", {"status": "active"}), 404, "not_found", "nobody")


def test_money_is_moved_once_for_a_reference(server: Server, caller: Caller, player: str) -> None:
    """The same again answers the same and changes nothing; the reference with other content is taken."""
    deposits, withdrawals = f"{PLAYERS}/{player}/deposits", f"{PLAYERS}/{player}/withdrawals"
    body = {"amount": 2500, "reference": f"{player}-1", "reason": "card"}
    first = caller.post(deposits, **body)
    assert first == {"player_id": player, "currency": "USD", "cash": 12_500, "bonus": 0, "seq": first["seq"]}
    assert caller.post(deposits, **body) == first
    assert_problem(caller.ask("POST", deposits, body | {"amount": 1}), 409, "taken", f"{player}-1")
    assert_problem(caller.ask("POST", withdrawals, body), 409, "taken")
    shown = caller.get(f"/transactions/{first['seq']}")
    assert json.loads(shown["entry"]["detail"]) == {"by": "key everything", "reason": "card"}
    paid = caller.post(withdrawals, amount=500, reference=f"{player}-2", currency="USD")
    assert (paid["cash"], paid["bonus"]) == (12_000, 0)
    given = caller.post(deposits, amount=300, reference=f"{player}-3", bonus=True)
    assert (given["cash"], given["bonus"]) == (12_000, 300)
    too_much = caller.ask("POST", withdrawals, {"amount": 12_001, "reference": f"{player}-4"})
    assert_problem(too_much, 409, "insufficient_funds", "120.00")
    beyond = caller.ask("POST", deposits, {"amount": 2**63 - 1, "reference": f"{player}-5"})
    assert_problem(beyond, 409, "out_of_range")
    assert server.cli.account(player) == (12_000, 300)


def test_a_currency_is_named_where_there_are_several(caller: Caller, player: str) -> None:
    """And it is one that the player has."""
    caller.post(f"{PLAYERS}/{player}/accounts", currency="EUR")
    path, body = f"{PLAYERS}/{player}/deposits", {"amount": 1, "reference": f"{player}-1"}
    assert_problem(caller.ask("POST", path, body), 409, "not_possible", "EUR, USD")
    assert_problem(caller.ask("POST", path, body | {"currency": "GBP"}), 409, "not_possible", "GBP")
    assert caller.post(path, **body, currency="EUR")["currency"] == "EUR"


def test_a_retry_is_known_whatever_the_player_has_got_since(caller: Caller, player: str) -> None:
    """Another currency makes no other transfer of it; and what was refused may be asked for again."""
    deposits, withdrawals = f"{PLAYERS}/{player}/deposits", f"{PLAYERS}/{player}/withdrawals"
    body = {"amount": 100, "reference": f"{player}-1"}
    first = caller.post(deposits, **body)
    too_much = {"amount": 10_200, "reference": f"{player}-2", "currency": "USD"}
    assert_problem(caller.ask("POST", withdrawals, too_much), 409, "insufficient_funds")
    caller.post(f"{PLAYERS}/{player}/accounts", currency="EUR")
    assert caller.post(deposits, **body) == first
    assert_problem(caller.ask("POST", deposits, body | {"amount": 2}), 409, "taken")
    assert_problem(caller.ask("POST", deposits, body | {"currency": "EUR"}), 409, "taken")
    caller.post(deposits, amount=100, reference=f"{player}-3", currency="USD")
    assert caller.post(withdrawals, **too_much)["cash"] == 0


def test_many_at_once_with_one_reference_move_money_once(server: Server, caller: Caller, player: str) -> None:
    """Whoever hears nothing asks again, and nobody is paid twice."""
    path, body = f"{PLAYERS}/{player}/deposits", {"amount": 100, "reference": f"{player}-once"}
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: caller.post(path, **body), range(48)))
    assert {reply["seq"] for reply in replies} == {replies[0]["seq"]}
    assert {reply["cash"] for reply in replies} == {10_100}
    assert server.cli.account(player) == (10_100, 0)


def test_a_session_is_opened_listed_and_revoked(server: Server, caller: Caller, player: str) -> None:
    """Its token plays until its number is revoked; the list shows only the token's beginning."""
    path = f"{PLAYERS}/{player}/sessions"
    opened = done(caller.ask("POST", path, {"ttl_s": 60}), 201)
    lives = datetime.fromisoformat(opened["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=40) < lives <= timedelta(seconds=60)
    assert server.wallet_v2(code=opened["token"], type="credit")["result"] == 1
    day = caller.post(path)
    assert datetime.fromisoformat(day["expires_at"]) - datetime.now(UTC) > timedelta(hours=23)
    listed = caller.ask("GET", path)
    assert opened["token"] not in listed.text
    rows = [(row["session"], row["status"]) for row in listed.json()["sessions"]]
    assert rows == [(day["session"], "live"), (opened["session"], "live")]
    page = caller.get(path, limit=1)
    assert [row["session"] for row in page["sessions"]] == [page["next"]] == [day["session"]]
    page = caller.get(path, limit=2, before=page["next"])
    assert ([row["session"] for row in page["sessions"]], page["next"]) == ([opened["session"]], None)
    number = opened["session"]
    assert done(caller.ask("DELETE", f"{path}/{number}")) == {"revoked": True}
    assert server.wallet_v2(code=opened["token"], type="credit")["err_code"] == 102
    assert done(caller.ask("DELETE", f"{path}/{number}")) == {"revoked": True}
    other = server.cli.player()
    assert_problem(caller.ask("DELETE", f"{PLAYERS}/{other}/sessions/{number}"), 404, "not_found")


def test_a_game_is_launched(server: Server, caller: Caller) -> None:
    """For a player with a session that can bet, or with virtual credit for anybody; what is missing opens none."""
    caller.post("/agents", name="launching")
    path = "/agents/launching"
    caller.post(f"{path}/players", player_id="lea", currency="USD", balance=100)
    wanted = {"protocol": "wallet-v2", "game": "1012", "lang": "de"}
    assert_problem(caller.ask("POST", f"{path}/players/lea/launches", wanted), 409, "not_possible", "game url")
    assert caller.get(f"{path}/players/lea/sessions")["sessions"] == []
    done(caller.ask("PATCH", path, {"game_url": "https://g.example"}))
    launched = done(caller.ask("POST", f"{path}/players/lea/launches", wanted | {"ttl_s": 60}), 201)
    token = launched["session"]["token"]
    assert dict(parse_qsl(urlsplit(launched["url"]).query))["token"] == token
    assert server.wallet_v2(code=token, type="bet", bet=100, id=1, game=1012)["credit"] == 0
    demo = done(caller.ask("POST", f"{path}/launches", wanted), 201)
    assert demo == {"url": "https://g.example?mode=demo&gameID=1012&lang=de", "session": None}
    vela = {"protocol": "vela", "game": "fish"}
    assert_problem(caller.ask("POST", f"{path}/launches", vela), 409, "not_possible", "no game list")
    assert_problem(caller.ask("POST", f"{path}/players/nobody/launches", wanted), 404, "not_found", "nobody")
    assert len(caller.get(f"{path}/players/lea/sessions")["sessions"]) == 1


@pytest.fixture(scope="module")
def played(server: Server) -> str:
    """A player of an agent of its own with twelve rounds in wallet-v2, of which three are open, and one bet in vela."""
    server.cli("agent", "add", "played")
    server.cli("player", "add", "max", "--currency", "USD", "--balance", "100", "--agent", "played")
    token = server.cli.session("max", "--agent", "played")
    for number in range(12):
        assert server.wallet_v2(code=token, type="bet", bet=10, id=100 + number, game=number % 2)["result"] == 1
        if number < 9:
            win = {"win": 5, "id": 200 + number, "round_id": 100 + number, "game": number % 2}
            assert server.wallet_v2("/wallet", code=token, type="win", **win)["result"] == 1
    assert server.vela("bet", access_token=token, ticket_id=7, total_bet=10_000)["status_code"] == 3
    return "max"


def test_transactions_come_in_pages(caller: Caller, played: str) -> None:
    """The newest first; whoever goes on before `next` sees each once."""
    seen: list[int] = []
    before: dict[str, int] = {}
    while True:
        page = caller.get("/transactions", agent="played", limit=4, **before)
        seen += [row["seq"] for row in page["transactions"]]
        assert {row["player_id"] for row in page["transactions"]} <= {played}
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
def test_transactions_are_filtered(caller: Caller, played: str, query: dict[str, str], count: int) -> None:
    """By everything that a row says; and by time, from `since` to before `until`."""
    del played
    assert len(caller.get("/transactions", agent="played", limit=100, **query)["transactions"]) == count


def test_the_moments_of_a_page_are_those_of_a_filter(caller: Caller, played: str) -> None:
    """`since` is the first moment, and `until` the one after the last."""
    del played
    (newest,) = caller.get("/transactions", agent="played", limit=1)["transactions"]
    since = caller.get("/transactions", agent="played", since=newest["at"])["transactions"]
    until = caller.get("/transactions", agent="played", until=newest["at"])["transactions"]
    assert newest in since
    assert newest not in until


def test_a_transaction_is_shown_with_what_was_said(caller: Caller, played: str) -> None:
    """Request and reply word for word, without the token."""
    del played
    (row,) = caller.get("/transactions", agent="played", id="100")["transactions"]
    shown = caller.get(f"/transactions/{row['seq']}")
    assert row.items() <= shown["entry"].items()
    assert shown["request"].startswith("POST /wallet {")
    assert '"code": "TOKEN"' in shown["request"]
    assert '"result":1' in shown["reply"]
    assert_problem(caller.ask("GET", "/transactions/999999"), 404, "not_found", "999999")


def test_the_bets_of_open_rounds_are_listed(caller: Caller, played: str) -> None:
    """Those without a win or a cancel, in pages."""
    del played
    page = caller.get("/rounds/open", agent="played", limit=2)
    assert [bet["id"] for bet in page["bets"]] == ["111", "110"]
    rest = caller.get("/rounds/open", agent="played", limit=2, before=page["next"])
    assert [bet["id"] for bet in rest["bets"]] == ["109"]


def test_totals_add_up(caller: Caller, played: str) -> None:
    """By day, currency, protocol and game; what comes after 92 days is told by `next`."""
    del played
    newest = caller.get("/transactions", agent="played", limit=1)["transactions"][0]
    today = datetime.fromisoformat(newest["at"]).date()
    totals = caller.get("/totals", agent="played", since=str(today), until=str(today + timedelta(days=1)))
    assert totals["next"] is None
    rows = {(row["protocol"], row["game"]): row for row in totals["totals"]}
    odd = rows["wallet-v2", "1"]
    assert (odd["bets"], odd["staked"], odd["wins"], odd["paid"], odd["ggr"]) == (6, 60, 4, 20, 40)
    assert (odd["day"], odd["agent"], odd["currency"]) == (str(today), "played", "USD")
    assert rows["opening", ""]["deposited"] == 10_000
    assert ("vela", "") not in rows or rows["vela", ""]["bets"] == 0
    assert caller.get("/totals", agent="played")["totals"] == totals["totals"]
    pages = [caller.get("/totals", agent="played", since=str(today - timedelta(days=200)))]
    while pages[-1]["next"]:
        pages.append(caller.get("/totals", agent="played", since=pages[-1]["next"]))
    assert [len(page["totals"]) for page in pages] == [0, 0, len(totals["totals"])]
    assert caller.get("/totals", until="1969-12-31") == {"totals": [], "next": None}


def test_holdings_are_what_the_entries_come_to(server: Server, caller: Caller) -> None:
    """In each currency, over all players."""
    server.cli.player("CHF", "12.50", "1")
    (francs,) = [held for held in caller.get("/holdings")["holdings"] if held["currency"] == "CHF"]
    assert francs == {"currency": "CHF", "accounts": 1, "cash": 1250, "bonus": 100, "entries": 1350, "ok": True}


def test_the_ledger_is_verified(server: Server, caller: Caller) -> None:
    """As `minwallet verify` does it."""
    assert caller.get("/verify") == server.cli("verify")


def test_health_is_told(caller: Caller) -> None:
    """Whether money can be taken, by what, and how much room there is."""
    health = caller.get("/health")
    assert (health["ready"], health["reasons"], health["version"]) == (True, [], __version__)
    assert re.fullmatch(r"3(\.\d+){2}", health["sqlite"])
    assert min(health["file_bytes"], health["free_bytes"]) > 0
