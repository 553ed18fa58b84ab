"""Agents: added, changed, and connected to a provider."""

import html
import json
import re
import shlex
from pathlib import Path

import httpx2

from tests.support import Server, running_server
from tests.web.backoffice.admin_client import AdminClient, read_field, read_flash


def read_copyables(page: str) -> list[str]:
    """Return the copyable texts of the page."""
    return [html.unescape(found) for found in re.findall(r'data-copy="([^"]*)"', page)]


def test_an_agent_is_added_and_found(server: Server, admin_client: AdminClient) -> None:
    """The wallet token is the given one, or one derived from the name."""
    flash_text = admin_client.flash_after("/admin/add-agent", name="north-1", wallet_token="", host_id="H1")
    assert "Agent north-1 added" in flash_text
    assert server.cli("agent", "show", "north-1")["wallet_token"] == "north_1"
    assert ">north-1</a>" in admin_client.get_page("/admin/agents")
    assert admin_client.get_page("/admin/agents/nowhere", 404)


def test_invalid_agent_fields_are_reported_beside_them(admin_client: AdminClient) -> None:
    """The entered values stay."""
    answer = admin_client.submit("/admin/add-agent", name="no spaces", wallet_token="kept", host_id="")
    assert answer.status_code == 422
    assert "It must be 1 to 40 of A-Z a-z 0-9 _ . -, but not only dots." in answer.text
    assert read_field(answer.text, "wallet_token") == "kept"
    again = admin_client.submit("/admin/add-agent", name="default", wallet_token="other", host_id="")
    assert again.status_code == 422
    assert "another agent already has the name 'default'" in read_flash(again.text)


def test_settings_are_changed_one_by_one(server: Server, admin_client: AdminClient) -> None:
    """Only changed settings are written and audited; an empty field removes a setting."""
    admin_client.flash_after("/admin/add-agent", name="south", wallet_token="", host_id="")
    path, same = "/admin/agents/south", {"wallet_token": "south", "report_unit": "cents"}
    urls = {"service_url": "https://api.example/", "game_url": "https://games.example/play"}
    assert admin_client.flash_after(path, **same, host_id="S-1", **urls) == "Changed: host id, service url, game url."
    assert admin_client.flash_after(path, **same, host_id="S-1", **urls) == "No changes."
    assert admin_client.flash_after(path, **same, host_id="", **urls) == "Changed: host id."
    shown = server.cli("agent", "show", "south")
    assert (shown["host_id"], shown["service_url"]) == (None, "https://api.example/")
    wrong = admin_client.submit(path, **same, host_id="", service_url="ftp://x", game_url="")
    assert wrong.status_code == 422
    assert "It must be an address such as https://api.example.com" in wrong.text
    strange = admin_client.submit(path, wallet_token="south", report_unit="gold", host_id="", **urls)
    assert "It must be cents or units." in strange.text
    taken = admin_client.submit(path, wallet_token="default", report_unit="cents", host_id="", **urls)
    assert "another agent already has this wallet token" in read_flash(taken.text)
    record = admin_client.get_page("/admin/access/audit-log")
    assert "host id S-1, service url https://api.example/, game url https://games.example/play" in record


def test_the_offered_endpoints_answer(db: Path) -> None:
    """The endpoints of each protocol are below the callback key; the curl commands return a balance once they
    contain a token."""
    with running_server(db, MINWALLET_CALLBACK_KEY="k3y") as server:
        admin_client, token = AdminClient(server), server.cli.open_session(server.cli.add_player())
        offered = read_copyables(admin_client.get_page("/admin/agents/default"))
        assert offered[:2] == [f"{server.url}/k3y/wallet/default", f"{server.url}/k3y/wallet"]
        for url in offered[:2]:
            answer = httpx2.post(url, json={"type": "credit", "code": token}, trust_env=False).json()
            assert answer["credit"] == 10_000
        assert f"{server.url}/k3y" in offered
        for operation in ("user/authenticate", "users/authenticate", "bet", "result", "refund", "betwin"):
            assert f"{server.url}/k3y/api/{operation}" in offered
        by_post, by_get = (shlex.split(command) for command in offered if command.startswith("curl "))
        body = by_post[by_post.index("--data-raw") + 1].replace("TOKEN", token)
        assert httpx2.post(by_post[2], content=body, trust_env=False).json()["result"] == 1
        assert httpx2.get(by_get[2].replace("TOKEN", token), trust_env=False).json()["status_code"] == 0
        assert json.loads(body)["type"] == "credit"
        commands = [each for each in offered if each.startswith("minwallet conformance")]
        assert commands == [
            f"minwallet conformance {server.url}/k3y --protocol {name} --token TOKEN" for name in ("wallet-v2", "vela")
        ]
        admin_client.http.close()


def test_callback_keys_are_created_and_revoked(server: Server, admin_client: AdminClient) -> None:
    """The addresses with the new key are shown once. A revoked key stays in the list of its agent."""
    admin_client.flash_after("/admin/add-agent", name="keyed", wallet_token="", host_id="")
    path = "/admin/agents/keyed"
    assert "No callback keys yet" in admin_client.get_page(path)
    created = admin_client.submit(f"{path}/callback-keys")
    assert created.status_code == 200
    key, wallet_url, vela_url = read_copyables(created.text)
    assert (wallet_url, vela_url) == (f"{server.url}/{key}/wallet", f"{server.url}/{key}")
    credit = {"type": "credit", "code": "nobody"}
    assert httpx2.post(wallet_url, json=credit, trust_env=False).json()["err_code"] == 102
    page = admin_client.get_page(path)
    assert key not in page
    assert f"Revoke {key[:12]}…?" in page
    (action,) = re.findall(rf'action="({path}/callback-keys/[^"]*)"', page)
    assert admin_client.flash_after(action) == f"Callback key {key[:12]}… revoked."
    assert httpx2.post(wallet_url, json=credit, trust_env=False).status_code == 404
    assert "Revoke mwc_" not in admin_client.get_page(path)
    assert admin_client.submit(action).status_code == 404
    record = admin_client.get_page("/admin/access/audit-log")
    assert "created callback key" in record
    assert f"{key[:12]}…" in record
    assert key not in record
    assert admin_client.submit("/admin/agents/nobody/callback-keys").status_code == 404


def test_a_required_wallet_token_is_part_of_every_address(db: Path) -> None:
    """The page does not offer what the server refuses."""
    with running_server(db, MINWALLET_REQUIRE_WALLET_TOKEN="true") as server:
        admin_client = AdminClient(server)
        page = admin_client.get_page("/admin/agents/default")
        offered = read_copyables(page)
        assert f"{server.url}/wallet/default" in offered
        assert f"{server.url}/wallet" not in offered
        assert "conformance --protocol wallet-v2" not in page
        admin_client.http.close()


def test_the_page_shows_how_callbacks_are_protected(server: Server, admin_client: AdminClient, db: Path) -> None:
    """It warns if there is neither a key nor an allow list, and uses the public URL if there is one."""
    page = admin_client.get_page("/admin/agents/default")
    assert "These addresses are not protected" in page
    assert "MINWALLET_PUBLIC_URL" in page
    protected = {"MINWALLET_CALLBACK_ALLOW": "203.0.113.0/24", "MINWALLET_PUBLIC_URL": "https://w.example/pay/"}
    with running_server(db, **protected) as other:
        another = AdminClient(other)
        page = another.get_page("/admin/agents/default")
        assert "These addresses are not protected" not in page
        assert "<code>203.0.113.0/24</code>" in page
        assert read_copyables(page)[0] == "https://w.example/pay/wallet/default"
        another.http.close()


def test_the_launch_url_uses_the_provider_settings(server: Server, admin_client: AdminClient) -> None:
    """Missing settings are replaced by examples, and the page names them."""
    admin_client.flash_after("/admin/add-agent", name="west", wallet_token="", host_id="")
    page = admin_client.get_page("/admin/agents/west")
    assert "host id, service address, game list" in page
    assert "game address" in page
    settings = {"host_id": "W-9", "game_url": "https://play.example/go", "service_url": "https://api.example"}
    server.cli(
        "agent", "set", "west", *(part for name, value in settings.items() for part in format_option(name, value))
    )
    offered = read_copyables(admin_client.get_page("/admin/agents/west"))
    assert "https://play.example/go?mode=real_play&gameID=GAME&token=TOKEN&lang=en&wallet=west" in offered
    assert any("host_id=W-9&access_token=TOKEN" in each for each in offered)


def format_option(name: str, value: str) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", value
