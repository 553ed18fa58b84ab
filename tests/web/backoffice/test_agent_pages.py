"""Agents: added, changed, and connected to a provider."""

import html
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from minwallet.protocols.registry import list_protocols, load_protocol
from tests.protocol_package import ORBIT, OWN_PROTOCOLS, add_secret, installed, write_protocol_package
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
        addresses = [f"{server.url}/k3y/wallet/default", f"{server.url}/k3y/wallet"]
        assert [each for each in offered if each in addresses] == addresses
        for url in addresses:
            answer = httpx2.post(url, json={"type": "credit", "code": token}, trust_env=False).json()
            assert answer["credit"] == 10_000
        assert f"{server.url}/k3y" in offered
        for operation in ("user/authenticate", "users/authenticate", "bet", "result", "refund", "betwin"):
            assert f"{server.url}/k3y/api/{operation}" in offered
        by_get, by_post = (
            next(command for command in map(shlex.split, offered) if command[0] == "curl" and path in " ".join(command))
            for path in ("/api/", "/wallet")
        )
        body = by_post[by_post.index("--data-raw") + 1].replace("TOKEN", token)
        post_url, get_url = (next(word for word in each if word.startswith("http")) for each in (by_post, by_get))
        assert httpx2.post(post_url, content=body, trust_env=False).json()["result"] == 1
        assert httpx2.get(get_url.replace("TOKEN", token), trust_env=False).json()["status_code"] == 0
        assert json.loads(body)["type"] == "credit"
        commands = [each for each in offered if each.startswith("minwallet conformance")]
        for protocol in OWN_PROTOCOLS:
            assert f"minwallet conformance {server.url}/k3y --protocol {protocol} --token TOKEN" in commands
        admin_client.http.close()


def test_callback_keys_are_created_and_revoked(server: Server, admin_client: AdminClient) -> None:
    """The addresses with the new key are shown once. A revoked key stays in the list of its agent."""
    admin_client.flash_after("/admin/add-agent", name="keyed", wallet_token="", host_id="")
    path = "/admin/agents/keyed"
    assert "No callback keys yet" in admin_client.get_page(path)
    created = admin_client.submit(f"{path}/callback-keys")
    assert created.status_code == 200
    key, *addresses = read_copyables(created.text)
    wallet_url = f"{server.url}/{key}/wallet"
    assert {wallet_url, f"{server.url}/{key}"} <= {*addresses}
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


@pytest.fixture(scope="module")
def signing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that has a protocol with signed calls."""
    packages = write_protocol_package(tmp_path_factory.mktemp("packages"))
    with running_server(tmp_path_factory.mktemp("signed") / "wallet.db", PYTHONPATH=str(packages)) as server:
        yield server


def test_protocol_secrets_are_added_and_revoked(signing_server: Server) -> None:
    """No page shows a secret. A revoked one stays in the list of its agent."""
    admin_client, secret = AdminClient(signing_server), "the-secret-of-a-provider"
    path = "/admin/agents/default"
    assert "No protocol secrets yet" in admin_client.get_page(path)
    fields = {"protocol": "signed", "secret": f" {secret} "}
    message = admin_client.flash_after(f"{path}/protocol-secrets", **fields)
    found = re.fullmatch(r"Secret ([0-9a-f]{12}) for signed added\.", message)
    assert found, message
    page = admin_client.get_page(path)
    assert f"Revoke {found[1]}?" in page
    again = admin_client.submit(f"{path}/protocol-secrets", **fields)
    assert again.status_code == 422
    assert f"already has this secret for signed: {found[1]}" in again.text
    invalid = admin_client.submit(f"{path}/protocol-secrets", protocol="signed", secret=f"{secret} {secret}")
    assert invalid.status_code == 422
    assert "It must be 4 to 256 printable ASCII characters without spaces." in invalid.text
    (action,) = re.findall(rf'action="({path}/protocol-secrets/[^"]*)"', page)
    assert admin_client.flash_after(action) == f"Secret {found[1]} for signed revoked."
    revoked = admin_client.get_page(path)
    assert found[1] in revoked
    assert f"Revoke {found[1]}?" not in revoked
    record = admin_client.get_page("/admin/access/audit-log")
    for text in ("added protocol secret", "revoked protocol secret", found[1], "protocol signed"):
        assert text in record
    for text in (message, page, again.text, invalid.text, revoked, record, signing_server.read_log()):
        assert secret not in text
    assert admin_client.submit(action).status_code == 404
    assert admin_client.submit("/admin/agents/nobody/protocol-secrets", **fields).status_code == 404
    unknown = admin_client.submit(f"{path}/protocol-secrets", protocol="vela", secret=secret)
    assert "protocol vela does not sign its calls" in unknown.text
    admin_client.http.close()


def test_the_page_has_secrets_if_a_protocol_signs_its_calls(server: Server, admin_client: AdminClient) -> None:
    """minwallet's own protocols sign nothing, so the secrets are missing unless another protocol is installed."""
    signing = {name for name in list_protocols() if load_protocol(name).signature}
    assert not signing & {*OWN_PROTOCOLS}
    assert ("Protocol secrets" in admin_client.get_page("/admin/agents/default")) == bool(signing)


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
        assert "https://w.example/pay/wallet/default" in read_copyables(page)
        another.http.close()


def test_the_launch_url_uses_the_provider_settings(server: Server, admin_client: AdminClient) -> None:
    """Missing settings are replaced by examples, and the page names them."""
    admin_client.flash_after("/admin/add-agent", name="west", wallet_token="", host_id="")
    page = admin_client.get_page("/admin/agents/west")
    assert "host id, service address, game list" in page
    assert "game address" in page
    assert "The signature is an example" not in read_card(page, "vela") + read_card(page, "wallet-v2")
    settings = {"host_id": "W-9", "game_url": "https://play.example/go", "service_url": "https://api.example"}
    server.cli(
        "agent", "set", "west", *(part for name, value in settings.items() for part in format_option(name, value))
    )
    offered = read_copyables(admin_client.get_page("/admin/agents/west"))
    assert "https://play.example/go?mode=real_play&gameID=GAME&token=TOKEN&lang=en&wallet=west" in offered
    assert any("host_id=W-9&access_token=TOKEN" in each for each in offered)


def format_option(name: str, value: str) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", value


def test_a_protocol_of_a_package_is_connected(db: Path, tmp_path: Path) -> None:
    """The page has its address, what is missing, and a command that signs. It has no curl command, which cannot sign.

    Without the optional parts, the page offers nothing that would need them.
    """
    folder = write_protocol_package(tmp_path / "plugins", ORBIT, name="orbit", object_name="Orbit")
    with running_server(db, PYTHONPATH=str(folder)) as server:
        admin_client, player = AdminClient(server), server.cli.add_player()
        card = read_card(admin_client.get_page("/admin/agents/default"), "orbit")
        assert "game address, secret" in card
        assert "minwallet agent secret add default orbit" in card
        add_secret(server.cli, folder, "secret_of_orbit", protocol="orbit")
        card = read_card(admin_client.get_page("/admin/agents/default"), "orbit")
        assert "game address, secret" not in card
        offered = read_copyables(card)
        assert f"{server.url}/orbit" in offered
        (launch_url,) = [each for each in offered if each.startswith("https://games.example/play?")]
        assert "sign=" in launch_url
        assert "The signature is an example and not valid" in card
        assert not any(each.startswith(("curl", "minwallet conformance")) for each in offered)
        (command,) = [each for each in offered if each.startswith("minwallet trigger")]
        with installed(folder):
            made = server.cli(*shlex.split(command.replace("PLAYER", player))[1:])
        assert json.loads(made["reply"])["balance"] == "100.00"
        admin_client.http.close()


def read_card(page: str, protocol: str) -> str:
    """Return the part of the agent's page about one protocol."""
    _, _, rest = page.partition(f'aria-labelledby="{protocol}"')
    return rest.partition("</section>")[0]
