"""`agent set`, `agent show`, `games` and `launch`: the way of a player into a game."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from minwallet.protocols.operator_service import Game, ServiceError
from tests.cli.cli_assertions import assert_error_line, assert_usage_error, split_cells
from tests.provider.stub_provider import SERVICE, StubProvider, run_stub_provider
from tests.support import InProcessCli, Server, running_server

FISH = Game("fish", {"en": "Blue Ocean", "cn": "蓝海龙王"}, "https://g.example/fish?skin=2")
SLOT = Game("slot", {"en": "Fruits", "de": "Früchte"}, "https://g.example/slot")


def test_settings_are_set_and_shown(wallet: InProcessCli) -> None:
    """Each setting changes alone. An empty text removes one, and no option changes nothing."""
    wallet("agent", "add", "ops", "--wallet-token", "ops1")
    fresh = {
        "name": "ops",
        "wallet_token": "ops1",
        "host_id": None,
        "service_url": None,
        "game_url": None,
        "report_unit": "cents",
    }
    assert wallet("agent", "show", "ops") == fresh
    changed = wallet(
        "agent", "set", "ops", "--host-id", "h9", "--report-unit", "units", "--game-url", "https://g.example"
    )
    assert changed == fresh | {"host_id": "h9", "report_unit": "units", "game_url": "https://g.example"}
    assert wallet("agent", "set", "ops", "--game-url", "", "--service-url", "http://p.example/base/") == changed | {
        "game_url": None,
        "service_url": "http://p.example/base/",
    }
    assert wallet("agent", "set", "ops") == wallet("agent", "show", "ops")
    listed = [each for each in wallet("agent", "list")["agents"] if each["name"] == "ops"]
    assert listed == [{"name": "ops", "wallet_token": "ops1", "host_id": "h9"}]
    rows = [split_cells(line) for line in wallet.run("agent", "show", "ops").out.splitlines()]
    assert ["host id", "h9"] in rows


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--wallet-token", "a-b", "wallet_token"),
        ("--wallet-token", "", "wallet_token"),
        ("--host-id", "a b", "host_id"),
        ("--service-url", "p.example", "service_url"),
        ("--service-url", "ftp://p.example", "an address such as"),
        ("--service-url", "https://p.example/?a=b", "service_url"),
        ("--service-url", f"https://{'x' * 500}", "service_url"),
        ("--game-url", "https://g.example/#top", "game_url"),
        ("--game-url", "https:///play", "game_url"),
        ("--game-url", "https://g.example:99999", "game_url"),
        ("--service-url", "https://[::1", "service_url"),
        ("--game-url", "https://g example", "game_url"),
    ],
)
def test_an_invalid_setting_is_refused(wallet: InProcessCli, option: str, value: str, words: str) -> None:
    """Nothing changes."""
    before = wallet("agent", "show")
    assert_error_line(wallet.run("agent", "set", "default", option, value), 2, words)
    assert wallet("agent", "show") == before


def test_a_setting_of_another_agent_is_refused(wallet: InProcessCli) -> None:
    """Wallet token and host id identify an agent. An unknown agent has no settings."""
    wallet("agent", "add", "taken", "--wallet-token", "taken1", "--host-id", "taken2")
    assert_error_line(wallet.run("agent", "set", "default", "--wallet-token", "taken1"), 1, "another agent")
    assert_error_line(wallet.run("agent", "set", "default", "--host-id", "taken2"), 1, "another agent")
    assert_error_line(wallet.run("agent", "set", "nobody", "--host-id", "x"), 1, "unknown agent 'nobody'")
    assert_error_line(wallet.run("agent", "show", "nobody"), 1, "unknown agent 'nobody'")
    assert_usage_error(wallet.run("agent", "set", "default", "--report-unit", "dollars"), "--report-unit")


def test_a_changed_wallet_token_takes_effect_immediately(server: Server) -> None:
    """This holds for sessions that the running server has cached."""
    cli = server.cli
    cli("agent", "add", "moving", "--wallet-token", "before")
    cli("player", "add", "mia", "--currency", "USD", "--agent", "moving")
    token = cli.open_session("mia", "--agent", "moving")
    assert server.wallet_v2("/wallet/before", type="credit", code=token)["result"] == 1
    cli("agent", "set", "moving", "--wallet-token", "after")
    assert server.wallet_v2("/wallet/before", type="credit", code=token)["err_code"] == 102
    assert server.wallet_v2("/wallet/after", type="credit", code=token)["result"] == 1


@pytest.fixture
def provider(cli: InProcessCli) -> Iterator[StubProvider]:
    """Yield a provider with two games that the default agent uses."""
    with run_stub_provider() as running:
        cli("player", "add", "ann", "--currency", "MYR", "--balance", "10")
        cli("agent", "add", "first")
        cli("agent", "set", "default", "--host-id", "h1", "--service-url", running.url)
        running.answer_always(SERVICE.render_games([FISH, SLOT]))
        yield running


@pytest.fixture
def cli(db: Path) -> InProcessCli:
    """Return the command line on an existing file."""
    found = InProcessCli(db)
    found("agent", "add", "second")
    return found


def test_the_game_list_is_fetched_and_shown(cli: InProcessCli, provider: StubProvider) -> None:
    """It has the titles in all languages of the provider."""
    listed = cli("games")
    assert provider.requested_paths == ["/api/user/gamelist?host_id=h1"]
    assert listed["agent"] == "default"
    assert listed["fetched_at"]
    assert listed["games"] == [
        {"game_code": "fish", "title": FISH.titles, "url": FISH.url},
        {"game_code": "slot", "title": SLOT.titles, "url": SLOT.url},
    ]
    shown = cli.run("games")
    lines = [split_cells(line) for line in shown.out.splitlines()]
    assert lines[0] == ["game", "en", "cn", "de", "url"]
    assert lines[1] == ["fish", "Blue Ocean", "蓝海龙王", "https://g.example/fish?skin=2"]
    assert lines[2] == ["slot", "Fruits", "Früchte", "https://g.example/slot"]


def test_a_game_that_cannot_be_read_is_skipped(cli: InProcessCli, provider: StubProvider) -> None:
    """It is named with its reason, and the other games are stored. A title that is null is absent."""
    games = [
        {"game_code": "fish", "title": {"en": None}, "url": FISH.url},
        {"game_code": "bad", "title": {"en": "a\u0007b"}, "url": FISH.url},
        {"game_code": "slot", "title": None, "url": SLOT.url},
    ]
    provider.answer_always(json.dumps({"data": {"status_code": 0, "list": games}}).encode())
    fetched = cli.run("games", "--json")
    assert fetched.code == 0
    assert [(each["game_code"], each["title"]) for each in fetched.json["games"]] == [("fish", {}), ("slot", {})]
    rule = "title must be an object of up to 50 languages, each with a text"
    assert fetched.err == f"minwallet: skipped game 2 (bad): {rule}\n"
    assert cli("games", "--cached") == fetched.json


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (SERVICE.render_error(ServiceError(2, "Invalid Host ID")), 1, "Invalid Host ID (code 2)"),
        (b"nonsense", 3, "not JSON"),
        (b'{"data":{"status_code":0,"list":[{}]}}', 3, "game 1"),
    ],
)
def test_the_stored_list_is_shown_after_a_failure(
    cli: InProcessCli, provider: StubProvider, body: bytes, code: int, words: str
) -> None:
    """One line and the exit code tell the failure of the provider."""
    kept = cli("games")
    provider.answer_always(body)
    result = cli.run("games", "--json")
    assert (result.code, result.json) == (code, kept)
    (line,) = result.err.splitlines()
    assert words in line
    assert "showing the stored list" in line
    asked = len(provider.requested_paths)
    assert cli("games", "--cached") == kept
    assert len(provider.requested_paths) == asked


def test_a_failure_without_a_stored_list_is_an_error(cli: InProcessCli, provider: StubProvider) -> None:
    """The output is one line, without an empty table."""
    provider.answer_always(b"nonsense")
    assert_error_line(cli.run("games"), 3, "invalid response")
    assert cli("games", "--cached") == {"agent": "default", "fetched_at": None, "games": []}
    assert cli.run("games", "--cached").out == "the game list is empty\n"


def parse_query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query)


def test_wallet_v2_is_launched_with_a_new_session(wallet: InProcessCli) -> None:
    """`BASE?mode=real_play&gameID=G&token=T&lang=L&wallet=W`, and the token is live."""
    wallet("agent", "add", "launching", "--wallet-token", "launch_1")
    wallet("player", "add", "lea", "--currency", "EUR", "--agent", "launching")
    wallet("agent", "set", "launching", "--game-url", "https://g.example")
    shown = wallet("launch", "lea", "--protocol", "wallet-v2", "--game", "1012", "--agent", "launching", "--lang", "de")
    token = shown["token"]
    assert shown["url"] == f"https://g.example?mode=real_play&gameID=1012&token={token}&lang=de&wallet=launch_1"
    assert (shown["player_id"], shown["currency"], shown["mode"]) == ("lea", "EUR", "real")
    (session,) = wallet("session", "list", "lea", "--agent", "launching")["sessions"]
    assert session["status"] == "live"
    plain = wallet.run("launch", "lea", "--protocol", "wallet-v2", "--game", "1", "--agent", "launching")
    assert parse_query(plain.out.strip())[1] == ("gameID", "1")


def test_wallet_v2_in_demo_mode(wallet: InProcessCli) -> None:
    """`BASE?mode=demo&gameID=G&lang=L`, and no session."""
    wallet("agent", "add", "showing", "--wallet-token", "showing")
    wallet("agent", "set", "showing", "--game-url", "https://g.example/play?x=1")
    wallet("player", "add", "dan", "--currency", "EUR", "--agent", "showing")
    command = ("launch", "dan", "--demo", "--protocol", "wallet-v2", "--game", "a/b", "--agent", "showing")
    assert wallet(*command)["url"] == "https://g.example/play?x=1&mode=demo&gameID=a%2Fb&lang=en"
    assert wallet("session", "list", "dan", "--agent", "showing")["sessions"] == []


def test_vela_is_launched_where_the_game_list_says(cli: InProcessCli, provider: StubProvider) -> None:
    """`GAME_URL?host_id=H&access_token=T&mode=singleplayer&lang=en&allow_vertical=1`; a guest's URL lacks host_id and
    access_token.
    """
    assert_error_line(cli.run("launch", "ann", "--protocol", "vela", "--game", "fish"), 1, "minwallet games")
    cli("games")
    shown = cli("launch", "ann", "--protocol", "vela", "--game", "slot")
    token = shown["token"]
    rest = "mode=singleplayer&lang=en&allow_vertical=1"
    assert shown["url"] == f"https://g.example/slot?host_id=h1&access_token={token}&{rest}"
    guest = cli("launch", "--guest", "--protocol", "vela", "--game", "fish", "--lang", "zh")
    assert guest["url"] == "https://g.example/fish?skin=2&mode=singleplayer&lang=zh&allow_vertical=1"
    assert "token" not in guest
    assert_error_line(
        cli.run("launch", "ann", "--protocol", "vela", "--game", "x"), 1, "unknown game 'x'", "fish, slot"
    )
    assert len(cli("session", "list", "ann")["sessions"]) == 1
    assert json.dumps(provider.requested_paths).count("gamelist") == 1


def test_a_launched_game_can_bet(db: Path) -> None:
    """The provider can call the wallet with the token in the URL."""
    with running_server(db) as server:
        player = server.cli.add_player("USD", "10")
        server.cli("agent", "set", "default", "--game-url", "https://g.example")
        url = server.cli("launch", player, "--protocol", "wallet-v2", "--game", "1012")["url"]
        token = dict(parse_query(url))["token"]
        assert server.wallet_v2(type="bet", bet=1000, id=1, game=1012, code=token)["credit"] == 0


def test_an_invalid_launch_is_an_error(wallet: InProcessCli) -> None:
    """Each error is one line, and no session is opened."""
    wallet("player", "add", "ida", "--currency", "EUR")
    launch = ("launch", "ida", "--protocol", "wallet-v2", "--game", "1012")
    assert_error_line(wallet.run(*launch), 1, "no game url", "minwallet agent set default --game-url")
    wallet("agent", "set", "default", "--game-url", "https://g.example")
    assert_error_line(wallet.run(*launch[:3], "v3", *launch[4:]), 2, "unknown protocol 'v3'", "wallet-v2")
    assert_error_line(wallet.run(*launch, "--lang", "english!"), 2, "a language, such as en")
    assert_error_line(wallet.run(*launch[:-1], "a b"), 2, "invalid game 'a b'")
    assert_error_line(wallet.run(*launch, "--ttl", "never"), 2, "invalid duration 'never'")
    assert_error_line(wallet.run("launch", *launch[2:]), 2, "add the player's id")
    assert_error_line(wallet.run("launch", "nobody", *launch[2:]), 1, "unknown player 'nobody'")
    assert_error_line(wallet.run(*launch, "--agent", "nobody"), 1, "unknown agent 'nobody'")
    assert_usage_error(wallet.run("launch", "ida"), "--game")
    assert wallet("session", "list", "ida")["sessions"] == []
    wallet("agent", "set", "default", "--game-url", "")
