"""Players: search, new players, blocks, and sessions."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from minwallet.cli.dispatch import execute_on_file
from minwallet.operations.requests import GamesSave
from minwallet.protocols.operator_service import Game
from minwallet.protocols.registry import list_protocols
from minwallet.web.backoffice.player_detail import MAX_GAMES
from tests.orbit_package import write_orbit_package
from tests.protocol_package import add_secret
from tests.support import Server, running_server
from tests.web.backoffice.admin_client import (
    AdminClient,
    create_player,
    read_field,
    read_flash,
    read_table_rows,
    sign_in,
)
from tests.web.browser import Visitor


@pytest.fixture(scope="module")
def many_players(server: Server) -> list[str]:
    """Add more players than a page has, and return them in order."""
    names = [f"crowd{number:03}" for number in range(60)]
    path = server.db.with_name("crowd.csv")
    rows = [f"{name},USD,{number}.00,0.05" for number, name in enumerate(names)]
    path.write_text("\n".join(["player_id,currency,balance,bonus", *rows, "crowd007,EUR,3.00,"]))
    server.cli("seed", path)
    return names


def test_the_player_list_is_paginated(admin_client: AdminClient, many_players: list[str]) -> None:
    """Players are in order of their ids, each once."""
    page = admin_client.get_page("/admin/players?q=crowd")
    assert "50 players with “crowd” in the id, and more" in page
    assert [row[0] for row in read_table_rows(page)] == many_players[:50]
    (following,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert [row[0] for row in read_table_rows(admin_client.get_page(following.replace("&amp;", "&")))] == many_players[
        50:
    ]


def test_a_player_is_found_by_a_part_of_the_id(admin_client: AdminClient, many_players: list[str]) -> None:
    """Case is ignored, and all currencies are shown."""
    assert [row[0] for row in read_table_rows(admin_client.get_page("/admin/players?q=OWD00"))] == many_players[:10]
    assert read_table_rows(admin_client.get_page("/admin/players?q=crowd007")) == [
        ["crowd007", "active", "3.00 EUR 7.00 USD", "0.00 EUR 0.05 USD"]
    ]
    assert "No players found" in admin_client.get_page("/admin/players?q=%25")
    assert "<script>" not in admin_client.get_page("/admin/players?q=%3Cscript%3E")


def test_agents_keep_their_players_apart(server: Server, admin_client: AdminClient, many_players: list[str]) -> None:
    """If there are several agents, one is selected."""
    server.cli("agent", "add", "other")
    assert (
        admin_client.flash_after("/admin/players/new", agent="other", player_id="crowd001", currency="USD")
        == "crowd001 now has an account in USD."
    )
    assert [row[0] for row in read_table_rows(admin_client.get_page("/admin/players?agent=other&q=crowd"))] == [
        "crowd001"
    ]
    assert len(read_table_rows(admin_client.get_page("/admin/players?agent=default&q=crowd"))) == len(many_players[:50])
    assert 'value="crowd001"' in admin_client.get_page("/admin/players/new?agent=other&player=crowd001")


def test_a_player_is_added_with_money(server: Server, admin_client: AdminClient) -> None:
    """A second currency of the same player can be added later."""
    told = admin_client.flash_after(
        "/admin/players/new", agent="default", player_id="zoe@x", currency="USD", balance="12.5", bonus=""
    )
    assert told == "zoe@x now has an account in USD."
    admin_client.flash_after(
        "/admin/players/new", agent="default", player_id="zoe@x", currency="EUR", balance="", bonus="1"
    )
    accounts = server.cli("player", "show", "zoe@x")["accounts"]
    assert [tuple(each.values()) for each in accounts] == [("EUR", 0, 100), ("USD", 1250, 0)]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"player_id": "a b"}, "It must be 1 to 40 of"),
        ({"currency": "us$"}, "It must be 3 to 10 of"),
        ({"balance": "1,5"}, "Invalid amount &#39;1,5&#39;: write it like 12 or 12.50."),
        ({"balance": "9" * 20}, "the maximum is"),
        ({"balance": "92233720368547758.07", "bonus": "0.01"}, "balance plus bonus exceeds"),
    ],
)
def test_invalid_players_are_reported_and_kept_in_the_form(
    server: Server, admin_client: AdminClient, fields: dict[str, str], said: str
) -> None:
    """The page shows the entered values and an error."""
    typed = {"player_id": "yan", "currency": "USD", "balance": "1.00", "bonus": "2.00"} | fields
    response = admin_client.submit("/admin/players/new", agent="default", **typed)
    assert response.status_code == 422
    assert said in response.text
    assert {name: read_field(response.text, name) for name in typed} == typed
    assert server.cli.run("player", "show", "yan").code == 1


def test_an_existing_player_is_not_added_again(admin_client: AdminClient, many_players: list[str]) -> None:
    """Money is added by a deposit, not by adding the player a second time."""
    response = admin_client.submit(
        "/admin/players/new", agent="default", player_id=many_players[0], currency="USD", balance="5"
    )
    assert response.status_code == 422
    assert read_flash(response.text).startswith(f"{many_players[0]} already has an account in USD")


def test_a_player_is_blocked_and_unblocked(server: Server, admin_client: AdminClient) -> None:
    """Each is one button, and audited."""
    name = server.cli.add_player()
    path = f"/admin/players/default/{name}"
    assert admin_client.flash_after(f"{path}/status", status="blocked") == f"{name} is blocked."
    assert server.cli("player", "show", name)["status"] == "blocked"
    assert ">Unblock<" in admin_client.get_page(path)
    assert admin_client.flash_after(f"{path}/status", status="active") == f"{name} is active again."
    assert server.cli("player", "show", name)["status"] == "active"


def test_a_token_is_shown_once(server: Server, admin_client: AdminClient) -> None:
    """It is on the page that opened the session and on no other; the session can be revoked."""
    name = server.cli.add_player()
    path = f"/admin/players/default/{name}"
    shown = admin_client.submit(f"{path}/sessions", currency="USD", ttl_s="900")
    assert shown.status_code == 200
    (token,) = re.findall(r"<code>(\w{40})</code>", shown.text)
    assert server.wallet_v2(type="credit", code=token)["credit"] == 10_000
    assert token not in admin_client.get_page(path)
    ((number, *_),) = [row for row in read_table_rows(admin_client.get_page(path)) if "live" in row]
    assert admin_client.flash_after(f"{path}/sessions/{number}/end") == f"Session {number} is revoked."
    assert server.wallet_v2(type="credit", code=token)["err_code"] == 102


def test_a_session_of_another_player_cannot_be_revoked(server: Server, admin_client: AdminClient) -> None:
    """The URL names player and session."""
    ann, bob = server.cli.add_player(), server.cli.add_player()
    token = server.cli.open_session(ann)
    (session,) = server.cli("session", "list", ann)["sessions"]
    assert admin_client.submit(f"/admin/players/default/{bob}/sessions/{session['session']}/end").status_code == 404
    assert server.wallet_v2(type="credit", code=token)["result"] == 1


def test_a_launch_link_is_made_for_either_protocol(server: Server, admin_client: AdminClient) -> None:
    """It contains a session. Missing settings are reported before a session is opened."""
    name = server.cli.add_player()
    path = f"/admin/players/default/{name}/launch"
    fields = {"currency": "USD", "ttl_s": "3600", "lang": "en", "game": "1012"}
    refused = admin_client.submit(path, protocol="wallet-v2", **fields)
    assert refused.status_code == 422
    assert "has no game url" in read_flash(refused.text)
    assert read_field(refused.text, "game") == "1012"
    assert server.cli("session", "list", name)["sessions"] == []
    server.cli("agent", "set", "default", "--game-url", "https://games.example/play")
    made = admin_client.submit(path, protocol="wallet-v2", **fields)
    url = re.findall(r'href="(https://games.example/[^"]+)"', made.text)[0].replace("&amp;", "&")
    token = re.findall(r"token=(\w{40})", url)[0]
    assert url == f"https://games.example/play?mode=real_play&gameID=1012&token={token}&lang=en&wallet=default"
    assert server.wallet_v2(type="credit", code=token)["result"] == 1
    server.cli("agent", "set", "default", "--host-id", "h1")
    assert "was never fetched" in read_flash(admin_client.submit(path, protocol="vela", **fields).text)
    for wrong, said in (
        ({"game": "no such"}, "It must be 1 to 64 printable ASCII characters without spaces."),
        ({"lang": "?"}, "It must be a language, such as en or pt-BR."),
        ({"protocol": "http"}, f"Expected {' or '.join(list_protocols())}."),
        ({"ttl_s": "0"}, "It must be between 1s and 100 years."),
        ({"currency": "EUR"}, "has no account in EUR"),
    ):
        refused = admin_client.submit(path, **{"protocol": "wallet-v2", **fields, **wrong})
        assert refused.status_code == 422
        assert said in refused.text
    assert len(server.cli("session", "list", name)["sessions"]) == 1


def test_a_launch_link_of_a_signed_protocol_needs_a_secret(db: Path, tmp_path: Path) -> None:
    """Without one the form says so, and no session is opened."""
    packages = write_orbit_package(tmp_path / "packages")
    with running_server(db, PYTHONPATH=str(packages)) as server:
        server.cli("agent", "set", "default", "--game-url", "https://games.example/play")
        name, admin_client = server.cli.add_player(), AdminClient(server)
        fields = {"currency": "USD", "ttl_s": "3600", "lang": "en", "game": "comet", "protocol": "orbit"}
        refused = admin_client.submit(f"/admin/players/default/{name}/launch", **fields)
        assert refused.status_code == 422
        assert "has no secret for the protocol 'orbit'" in read_flash(refused.text)
        assert server.cli("session", "list", name)["sessions"] == []
        add_secret(server.cli, packages, "secret_of_orbit", protocol="orbit")
        assert "sign=" in admin_client.submit(f"/admin/players/default/{name}/launch", **fields).text
        admin_client.http.close()


def test_a_long_game_list_is_truncated(server: Server, admin_client: AdminClient) -> None:
    """Some games are suggested while a game is entered, and each one can be launched."""
    titles = {"en": "A game"}
    games = tuple(Game(f"game{number}", titles, f"https://games.example/{number}") for number in range(2_000))
    server.cli("agent", "add", "estate", "--host-id", "c1")
    execute_on_file(server.db, GamesSave(agent="estate", games=games))
    server.cli("player", "add", "gil", "--currency", "USD", "--agent", "estate")
    path = "/admin/players/estate/gil"
    assert admin_client.get_page(path).count('<option value="game') == MAX_GAMES
    fields = {"currency": "USD", "ttl_s": "60", "lang": "en", "game": "game1999"}
    assert "https://games.example/1999" in admin_client.submit(f"{path}/launch", protocol="vela", **fields).text


def test_search_as_you_type(server: Server, many_players: list[str], page: Page) -> None:
    """The list and the URL follow the entered text, so the URL can be shared."""
    sign_in(page, server)
    page.goto(f"{server.url}/admin/players")
    page.get_by_label("Part of the id").fill("crowd05")
    expect(page.locator("#found tbody tr")).to_have_count(10)
    expect(page.locator("#number")).to_have_text("10 players with “crowd05” in the id")
    expect(page).to_have_url(re.compile("q=crowd05"))
    page.get_by_role("link", name=many_players[51]).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(many_players[51])


def test_search_without_scripts(server: Server, many_players: list[str], visitor: Visitor) -> None:
    """Enter searches too."""
    page = visitor.open(scripts=False)
    sign_in(page, server)
    page.goto(f"{server.url}/admin/players")
    page.get_by_label("Part of the id").fill(many_players[7])
    page.get_by_label("Part of the id").press("Enter")
    expect(page.locator("#found tbody tr")).to_have_count(1)


def test_a_session_is_copied(server: Server, page: Page) -> None:
    """A button copies the token."""
    name = create_player(server)
    sign_in(page, server)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{server.url}/admin/players/default/{name}")
    page.get_by_role("button", name="Open session").click()
    page.get_by_role("button", name="Copy the token").click()
    expect(page.locator("#toasts")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("code").inner_text()
