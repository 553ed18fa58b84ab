"""The host names under which browsers may open the server."""

from pathlib import Path

import pytest

from minwallet.config import load_settings
from minwallet.setting_sources import SettingsError
from minwallet.web.host_check import is_known_host
from tests.support import Server, running_server
from tests.web.api_client import create_key
from tests.web.login_client import create_login_link, extract_token

BROWSER_PATHS = (
    "/admin",
    "/admin/sign-in",
    "/admin/enter?token=x",
    "/admin/static/minwallet.css",
    "/admin/api/v1/docs",
)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("localhost", "LocalHost:8000", "a.localhost", "127.0.0.1:8000", "10.0.0.7")),
        *((host, True) for host in ("[::1]:8000", "[2001:db8::1]", "wallet.lan", "WALLET.lan.:443")),
        *((host, False) for host in ("", ":8000", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example")),
        *((host, False) for host in ("evil.example:127.0.0.1", "x.wallet.lan", "127.0.0.1@evil.example", "[evil]")),
        *((host, False) for host in ("wallet.lan/", "wallet.lan:", "wallet.lan\n", "w\u00e4llet.lan", "xlocalhost")),
    ],
)
def test_a_host_is_known_by_its_name_or_is_an_address(host: str, expected: bool) -> None:
    """Any port may follow. A name that only contains a known one is not known."""
    assert is_known_host(host, frozenset({"wallet.lan"})) is expected


def test_pages_for_browsers_need_a_known_host(server: Server) -> None:
    """An unknown name gets 421 and one sentence that says what to set, also for a form."""
    for path in BROWSER_PATHS:
        answer = server.http.get(path, headers={"host": "evil.example:8000"})
        assert answer.status_code == 421, path
        assert answer.text.count("\n") == 1
        assert "'evil.example:8000'" in answer.text
        assert "MINWALLET_HOSTS" in answer.text
        assert server.http.get(path, headers={"host": "localhost:1234"}).status_code in (200, 303)


def test_a_rebound_page_cannot_sign_in(server: Server) -> None:
    """Host and origin are both the attacker's name, so the check of the origin alone would accept the form."""
    token = extract_token(create_login_link(server))
    for host, status in (("evil.example:8000", 421), ("localhost:8000", 303)):
        headers = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
        assert server.http.post("/admin/enter", data={"token": token}, headers=headers).status_code == status


def test_two_hosts_are_rejected(server: Server) -> None:
    """A proxy might have checked the other one."""
    with server.connect() as connection:
        connection.sendall(b"GET /admin HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 421 ")


def test_programs_may_use_any_host(server: Server) -> None:
    """Provider calls, the admin API, metrics and health checks contain their secret or none at all."""
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    foreign = {"host": "evil.example"}
    key = {"authorization": f"Bearer {create_key(server, 'any-host', 'read')}", **foreign}
    assert server.http.post("/wallet", content=f'{{"code":"{token}","type":"credit"}}', headers=foreign).json()[
        "result"
    ]
    assert server.http.get(f"/api/user/authenticate?access_token={token}", headers=foreign).json()["status_code"] == 0
    for path in ("/healthz", "/readyz", "/admin/api/v1/openapi.json"):
        assert server.http.get(path, headers=foreign).status_code == 200
    for path in ("/metrics", "/admin/api/v1/agents"):
        assert server.http.get(path, headers=key).status_code == 200


def test_settings_add_hosts(db: Path) -> None:
    """The public URL's name and those of MINWALLET_HOSTS are allowed."""
    settings = {"MINWALLET_PUBLIC_URL": "https://Wallet.example.com:8443/x", "MINWALLET_HOSTS": "wallet.lan, Desk"}
    with running_server(db, **settings) as server:
        for host, status in (("wallet.example.com", 200), ("wallet.LAN:8000", 200), ("desk", 200), ("x.lan", 421)):
            assert server.http.get("/admin/sign-in", headers={"host": host}).status_code == status, host


def test_the_listening_name_is_allowed() -> None:
    """A server that listens on a name is opened under this name."""
    assert "wallet.lan" in load_settings(host="Wallet.lan").browser_hosts
    assert load_settings().browser_hosts == {"127.0.0.1"}


@pytest.mark.parametrize("hosts", ["https://wallet.lan", "wallet.lan:8000", "*.lan", "a b"])
def test_an_invalid_host_name_is_rejected_at_the_start(hosts: str) -> None:
    """The message shows how to write a name."""
    with pytest.raises(SettingsError, match=r"invalid host name .* without scheme and port"):
        load_settings(hosts=hosts)
    with pytest.raises(SettingsError, match=r"invalid host name"):
        load_settings(hosts=[hosts])


def test_a_list_of_hosts_in_toml_ignores_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list has the same rules as names separated by commas."""
    monkeypatch.chdir(tmp_path)
    Path("minwallet.toml").write_text('hosts = ["Wallet.LAN", "desk"]')
    assert {"wallet.lan", "desk"} < load_settings().browser_hosts
