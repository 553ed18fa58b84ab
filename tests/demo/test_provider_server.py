"""The provider's web server for operators, players and scripts."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from minwallet.demo.game_rules import GAMES
from minwallet.demo.provider_server import ProviderOptions, create_provider_app
from minwallet.ledger.reconciliation import ReportRow
from minwallet.protocols.operator_service import FetchedGames, ReportPage, ReportUnit, ServiceError
from minwallet.protocols.registry import load_operator_service, load_protocol
from minwallet.protocols.wire import Launch
from tests.demo.in_process_client import ALL_OPERATIONS, PROTOCOLS, InProcessClient, run_provider_app
from tests.support import ROOT

URL = "http://127.0.0.1"
GOLDEN_EXCHANGES = json.loads((ROOT / "sample_data/wire/vela.json").read_text("utf-8"))["provider"]
SERVICE = load_operator_service("vela")


@pytest.fixture
def caller() -> InProcessClient:
    return InProcessClient()


@pytest.fixture
def provider(caller: InProcessClient) -> Iterator[TestClient]:
    """Return a provider with four rows on a page of the report."""
    with run_provider_app(caller, timeout_s=10, report_page=4) as client:
        yield client


PlayRounds = Callable[..., Any]


@pytest.fixture
def play(provider: TestClient) -> PlayRounds:
    """Play rounds as a script, and return the provider's summary."""

    def played(**fields: object) -> Any:  # noqa: ANN401 the summary's JSON
        response = provider.post("/demo/play", json={"protocol": "vela", "game": "fish", **fields})
        assert response.status_code == 200, response.text
        return response.json()

    return played


def find_golden_reply(name: str) -> Any:  # noqa: ANN401 the reply of the specification's example
    return next(each["reply"] for each in GOLDEN_EXCHANGES if each["name"] == name)


def test_the_game_list_is_that_of_the_specification(provider: TestClient) -> None:
    """It has the specified fields, with the provider's own URLs and titles in several languages."""
    shown = provider.get("/api/user/gamelist?host_id=demo")
    expected = find_golden_reply("game list")
    assert shown.json()["data"].keys() == expected["data"].keys()
    assert [each.keys() for each in shown.json()["data"]["list"]] == [expected["data"]["list"][0].keys()] * len(GAMES)
    found = SERVICE.parse_games(shown.content)
    assert isinstance(found, FetchedGames)
    assert [(game.code, game.url) for game in found.games] == [(each.code, f"{URL}/play/{each.code}") for each in GAMES]
    assert all({"en", "cn"} <= set(game.titles) for game in found.games)


@pytest.mark.parametrize(("path", "name"), [("user/gamelist", "game list"), ("report", "user report")])
def test_an_unknown_operator_gets_the_specified_error(provider: TestClient, path: str, name: str) -> None:
    """The error has the specified code, message and envelope."""
    expected = find_golden_reply(f"{name} of nobody")
    expected["error"].pop("retry", None)
    assert provider.get(f"/api/{path}?host_id=nobody").json() == expected
    for query in ("", "?host_id=", "?key=0"):
        error = provider.get(f"/api/{path}{query}").json()["error"]
        assert error == {"status_code": 2001, "message": "Required field cannot be empty"}


def read_report(provider: TestClient, key: str) -> ReportPage | ServiceError:
    shown = provider.get(f"/api/report?host_id=demo&key={key}")
    return SERVICE.parse_report(shown.content, ReportUnit.CENTS)


def test_the_report_has_the_fields_of_the_specification(provider: TestClient, play: PlayRounds) -> None:
    """A report has all specified fields, and the key of its last row."""
    play(token="a")
    data = provider.get("/api/report?host_id=demo&key=").json()["data"]
    expected = find_golden_reply("user report")["data"]
    assert data.keys() == expected.keys()
    assert data["report"][0].keys() == expected["report"][0].keys()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", data["report"][0]["report_date"])
    assert data["key"] == data["report"][0]["id"]


def test_the_report_is_read_page_by_page(provider: TestClient, play: PlayRounds) -> None:
    """Each row is on one page, in order; the last page returns the same key, from which later rows are found."""
    play(token="a", rounds=10)
    play(token="a", rounds=3, protocol="wallet-v2")
    rows: list[ReportRow] = []
    key, sizes = "0", []
    while True:
        page = read_report(provider, key)
        assert isinstance(page, ReportPage)
        if not page.rows:
            break
        key = page.key
        sizes.append(len(page.rows))
        rows += page.rows
    assert (sizes, page.key) == ([4, 4, 2], key)
    assert [row.id for row in rows] == [str(100 + number) for number in range(10)]
    assert {(row.game, row.player_id, row.stake, row.status) for row in rows} == {("fish", "player.a", 100, "done")}
    play(token="a")
    later = read_report(provider, key)
    assert isinstance(later, ReportPage)
    assert [row.id for row in later.rows] == ["110"]
    assert isinstance(read_report(provider, "nonsense"), ServiceError)


def test_rejected_and_cancelled_stakes_are_reported(provider: TestClient, play: PlayRounds) -> None:
    """The complete stake is reported as rejected if the wallet refused it, or as cancelled if it was refunded;
    nothing is paid."""
    provider.put("/demo/faults", json={"cancel-first": 1})
    assert play(token="a")["rejected"] == 1
    provider.put("/demo/faults", json={"lost-reply": 1})
    assert play(token="a")["cancelled"] == 1
    page = read_report(provider, "0")
    assert isinstance(page, ReportPage)
    told = [(row.status, row.stake, row.payout, row.cancelled, row.rejected) for row in page.rows]
    assert told == [("rejected", 100, 0, 0, 100), ("cancelled", 100, 0, 100, 0)]


def test_a_row_of_the_report_can_be_removed(provider: TestClient, play: PlayRounds) -> None:
    """A removed row is a difference for a reconciliation; the other rows keep their keys."""
    play(token="a", rounds=3)
    page = read_report(provider, "0")
    assert isinstance(page, ReportPage)
    assert provider.delete(f"/demo/report/{page.rows[1].ticket}").status_code == 204
    assert provider.delete(f"/demo/report/{page.rows[1].ticket}").status_code == 404
    left = read_report(provider, "0")
    assert isinstance(left, ReportPage)
    assert left.rows == [page.rows[0], page.rows[2]]


def build_launch_url(protocol: str, token: str | None, agent: str = "demo", code: str = "zodiac") -> str:
    game = next(each for each in GAMES if each.code == code)
    base = f"{URL}/play/{code}" if protocol == "vela" else f"{URL}/play"
    return load_protocol(protocol).build_launch_url(Launch(base, game.number, "en", token, agent))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_launch_url_opens_a_game(provider: TestClient, caller: InProcessClient, protocol: str) -> None:
    """The page shows the player and the balance; its form plays a round and shows the result."""
    url = build_launch_url(protocol, "secrettoken")
    opened = provider.get(url)
    assert opened.status_code == 200
    assert "player.secrettoken" in opened.text
    assert "1050.00 USD" in opened.text
    asked = len(caller.sent_calls)
    played = provider.post(url, content="stake=5.00&choice=odd")
    assert "Staked 5.00 USD on odd" in played.text
    assert ("1045.00 USD" in played.text) or ("1054.50 USD" in played.text)
    assert len(caller.sent_calls) == asked + 4
    for page in (opened, played):
        # The token is in the URL but not in the page; no request to another site or link can reveal it.
        assert "secrettoken" not in page.text.replace("player.secrettoken", "")
        assert not re.search(r"src=|<script|@import|url\(", page.text)
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_launch_without_a_token_plays_as_guest(provider: TestClient, caller: InProcessClient, protocol: str) -> None:
    """Demo and guest mode use virtual credit, which stays with the browser, and do not call the wallet."""
    url = build_launch_url(protocol, None)
    assert "demo credit" in provider.get(url).text
    first = provider.post(url, content="stake=1000&choice=z1").text
    assert ("0.00 FUN" in first) or ("11400.00 FUN" in first)
    assert "1000.00 FUN" not in provider.get(url).text
    provider.cookies.clear()
    assert "1000.00 FUN" in provider.get(url).text
    assert caller.sent_calls == []


def test_the_title_is_in_the_players_language(provider: TestClient) -> None:
    """ "ch" and "cn" are both Chinese in the specification; an unknown language is shown in English."""
    for lang, title in (("ch", "生肖台"), ("cn", "生肖台"), ("de", "Tierkreistisch"), ("xx", "Zodiac Table")):
        assert title in provider.get(f"/play/zodiac?lang={lang}").text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/play/roulette", 404, "no such game"),
        ("/play?mode=demo&gameID=7", 404, "no such game"),
        ("/play/slot?host_id=other&access_token=a", 403, "operator"),
        ("/play/slot?access_token=a", 403, "operator"),
        ("/play/slot?host_id=demo&access_token=nobody", 403, "Invalid Token"),
    ],
)
def test_an_invalid_launch_url_shows_an_error_page(provider: TestClient, path: str, status: int, words: str) -> None:
    """The page has a link to the lobby."""
    page = provider.get(path)
    assert (page.status_code, words in page.text) == (status, True)
    assert 'href="/"' in page.text


def test_a_wallet_token_restricts_launches(caller: InProcessClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the provider has a wallet token, a launch of wallet-v2 must contain it."""
    monkeypatch.setattr("minwallet.demo.provider_server.WalletClient", lambda *_: caller)
    options = ProviderOptions("http://wallet.invalid", wallet_token="mine")
    with TestClient(create_provider_app(options, print), base_url=URL) as client:
        assert client.get(build_launch_url("wallet-v2", "a", "mine")).status_code == 200
        assert client.get(build_launch_url("wallet-v2", "a", "other")).status_code == 403


def test_the_lobby_leads_to_every_game(provider: TestClient) -> None:
    """The lobby links to each game as a guest of each protocol."""
    links = re.findall(r'href="([^"]+)"', provider.get("/").text)
    assert len(links) == 2 * len(GAMES)
    for link in links:
        assert "demo credit" in provider.get(link.replace("&amp;", "&")).text


def test_user_input_is_escaped(provider: TestClient) -> None:
    """Text of a form or a launch URL is shown literally, or not at all."""
    evil = "<script>alert(1)</script>"
    for page in (
        provider.post(build_launch_url("vela", None), data={"stake": evil}),
        provider.post(build_launch_url("vela", None), data={"stake": "1", "choice": evil}),
        provider.get("/play/slot", params={"lang": evil}),
        provider.get(f"/play/{evil}"),
    ):
        assert "<script" not in page.text


@pytest.mark.parametrize("stake", ["", "0", "-1", "abc", "1.234", "100000000", "\uff11"])
def test_an_invalid_stake_shows_an_error(provider: TestClient, stake: str) -> None:
    """The page shows the error, and no round is played."""
    page = provider.post(build_launch_url("vela", None), data={"stake": stake})
    assert page.status_code == 200
    assert 'class="error"' in page.text
    assert "1000.00 FUN" in page.text


def test_the_summary_counts_the_rounds_played(provider: TestClient, play: PlayRounds) -> None:
    """The net changes are those of completed rounds, and all rounds can be listed."""
    summary = play(token="a", rounds=20, stake=200)
    assert (summary["rounds"], summary["done"], summary["staked"]) == (20, 20, 4000)
    assert summary["net"] == summary["won"] - summary["staked"]
    assert [call["operation"] for call in summary["played"][-1]["calls"]] == ["bet", "result"]
    told = provider.get("/demo/rounds").json()
    assert (told["pending"], len(told["rounds"])) == (0, 20)
    assert told["net"] == [{"player_id": "player.a", "currency": "USD", "net": summary["net"]}]
    assert sum(each["net"] for each in told["rounds"]) == summary["net"]


def test_an_unanswering_wallet_is_reported(provider: TestClient, caller: InProcessClient, play: PlayRounds) -> None:
    """Scripts and players get an error, and no round is played."""
    play(token="a")
    caller.unanswered_operations = ALL_OPERATIONS
    response = provider.post("/demo/play", json={"protocol": "vela", "game": "slot", "token": "a"})
    assert (response.status_code, "does not answer" in response.json()["error"]) == (502, True)
    assert "does not answer" in provider.get(build_launch_url("vela", "a")).text


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("", 400, "JSON"),
        ("[]", 400, "object"),
        ("[" * 5000, 400, "JSON"),
        ({}, 422, "protocol"),
        ({"protocol": "other"}, 422, "vela, wallet-v2"),
        ({"protocol": "vela"}, 404, "zodiac (1053)"),
        ({"protocol": "vela", "game": "roulette"}, 404, "game"),
        ({"protocol": "vela", "game": "slot", "stake": "1"}, 422, "stake"),
        ({"protocol": "vela", "game": "slot", "stake": 0}, 422, "stake"),
        ({"protocol": "vela", "game": "slot", "stake": True}, 422, "stake"),
        ({"protocol": "vela", "game": "slot", "rounds": 10**9}, 422, "rounds"),
        ({"protocol": "vela", "game": "slot", "token": 7}, 422, "token"),
        ({"protocol": "vela", "game": "slot", "token": ""}, 422, "token"),
        ({"protocol": "vela", "game": "zodiac", "choice": "z13"}, 422, "choice"),
        ({"protocol": "vela", "game": "slot", "faults": "all"}, 422, "faults: must be an object of probabilities"),
        ({"protocol": "vela", "game": "slot", "faults": {"delay": 2}}, 422, "faults: invalid probability 2 of delay"),
        (
            {"protocol": "vela", "game": "slot", "faults": {}, "at": "win"},
            422,
            "at: must be one of opening, closing",
        ),
        ({"protocol": "vela", "game": "slot", "at": "opening"}, 422, "faults: is required with at or lucky"),
        ({"protocol": "vela", "game": "slot", "lucky": 1}, 422, "lucky: must be true or false"),
        ({"protocol": "vela", "game": "slot", "token": "nobody"}, 403, "Invalid Token"),
        ("x" * 10_000, 413, ""),
    ],
)
def test_an_invalid_play_request_names_the_field(provider: TestClient, body: object, status: int, words: str) -> None:
    """The error is JSON and names the field."""
    content = body if isinstance(body, str) else json.dumps(body)
    response = provider.post("/demo/play", content=content)
    assert response.status_code == status, response.text
    assert words in response.text


def test_fault_rates_can_be_changed_at_run_time(provider: TestClient) -> None:
    """New rates replace all earlier ones; invalid rates are rejected and change nothing."""
    assert provider.get("/demo/faults").json() == {}
    assert provider.put("/demo/faults", json={"delay": 0.5}).json() == {"delay": 0.5}
    refused = provider.put("/demo/faults", json={"nonsense": 1})
    assert (refused.status_code, "lost-reply" in refused.json()["error"]) == (422, True)
    assert provider.get("/demo/faults").json() == {"delay": 0.5}


def test_a_foreign_host_header_is_rejected(provider: TestClient) -> None:
    """A page of another site cannot call the provider through DNS rebinding."""
    assert provider.get("/", headers={"host": "evil.example"}).status_code == 400
    assert provider.get("/", headers={"host": "localhost:8100"}).status_code == 200


def test_a_stopping_provider_lists_pending_rounds(caller: InProcessClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints their number and ids, because their bets may stay open in the wallet."""
    monkeypatch.setattr("minwallet.demo.provider_server.WalletClient", lambda *_: caller)
    said: list[str] = []
    caller.unanswered_operations = {"result"}
    options = ProviderOptions("http://wallet.invalid", timeout_s=0.01, first_id=100)
    with TestClient(create_provider_app(options, said.append), base_url=URL) as client:
        wanted = {"protocol": "vela", "game": "fish", "token": "a", "rounds": 5}
        summary = client.post("/demo/play", json=wanted).json()
        assert (summary["rounds"], summary["pending"]) == (1, 1)
        assert "has not replied yet" in client.post(build_launch_url("vela", "a"), content="stake=1&choice=odd").text
    assert said == ["2 rounds are pending; their bets may stay open in the wallet: 100, 101"]


def test_a_second_run_uses_new_ids(caller: InProcessClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids continue without an option; the same seed plays the same games again."""
    monkeypatch.setattr("minwallet.demo.provider_server.WalletClient", lambda *_: caller)
    runs = []
    for _ in range(2):
        with TestClient(
            create_provider_app(ProviderOptions("http://wallet.invalid", seed=7), print), base_url=URL
        ) as client:
            wanted = {"protocol": "vela", "game": "zodiac", "token": "a", "rounds": 50}
            assert client.post("/demo/play", json=wanted).json()["done"] == 50
            runs.append(client.get("/demo/rounds").json()["rounds"])
    first, second = runs
    assert not {each["id"] for each in first} & {each["id"] for each in second}
    assert [each["play"] for each in first] == [each["play"] for each in second]
