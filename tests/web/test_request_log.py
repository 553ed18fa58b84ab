"""The log of requests that are not provider calls: who, from where, what, with which status, and never a secret."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from minwallet.web.log_setup import configure_logging
from minwallet.web.request_log import ACTOR, RequestLog
from tests.support import Server, running_server
from tests.web.api_client import ApiClient, create_key
from tests.web.login_client import PASSWORD, LoginClient, close_clients, create_login_link, extract_token

TYPED_PASSWORD = "my-secret-passphrase"


@pytest.fixture
def logged_server(db: Path) -> Iterator[Server]:
    with running_server(db, MINWALLET_CALLBACK_KEY="callback_key_0123456789") as server:
        yield server
    close_clients()


def read_documents(server: Server) -> list[dict[str, Any]]:
    """Return the lines of the log after the first ones, which are for people."""
    return [json.loads(line) for line in server.read_log().splitlines() if line.startswith("{")]


def read_requests(server: Server) -> list[dict[str, Any]]:
    """Return the lines of requests, without those of this test's own commands."""
    return [each for each in read_documents(server) if each["path"] != "/control"]


def list_requests(server: Server) -> list[tuple[str, str, str, int]]:
    return [(each["actor"], each["method"], each["path"], each["status"]) for each in read_requests(server)]


def test_admin_api_calls_are_logged_with_their_key(logged_server: Server) -> None:
    """A successful call has its path, a rejected one the pattern of its route. A key is named even if it is revoked."""
    server = logged_server
    player = server.cli.add_player()
    robot = create_key(server, "robot")
    ApiClient(server, robot).get(f"/agents/default/players/{player}")
    reader = ApiClient(server, create_key(server, "reader", "read"))
    reader.request("POST", f"/agents/default/players/{player}/deposits", {"amount": 1})
    reader.request("GET", f"/agents/default/players/{TYPED_PASSWORD}?token={TYPED_PASSWORD}")
    server.cli("key", "revoke", "reader")
    reader.request("GET", "/agents")
    ApiClient(server, "invented").request("GET", "/agents")
    ApiClient(server).request("GET", f"/{TYPED_PASSWORD}")
    server.http.get("/metrics")
    callback_key = server.cli("agent", "callback-key", "add", "default")["callback_key"]
    keys_path = "/agents/default/callback-keys"
    for _ in range(2):
        ApiClient(server, robot).request("DELETE", f"{keys_path}/{callback_key}")
    prefix = "/admin/api/v1"
    pattern = f"{prefix}/agents/{{agent}}/players/{{player_id}}"
    assert list_requests(server) == [
        ("key robot", "GET", f"{prefix}/agents/default/players/{player}", 200),
        ("key reader", "POST", f"{pattern}/deposits", 403),
        ("key reader", "GET", pattern, 422),
        ("key reader", "GET", f"{prefix}/agents", 401),
        ("", "GET", f"{prefix}/agents", 401),
        ("", "GET", f"{prefix}/{{rest:path}}", 404),
        ("", "GET", "/metrics", 401),
        ("key robot", "DELETE", f"{prefix}{keys_path}/{callback_key[:12]}…", 200),
        ("key robot", "DELETE", f"{prefix}/agents/{{agent}}/callback-keys/{{key_prefix}}", 404),
    ]
    assert {each["address"] for each in read_requests(server)} == {"127.0.0.1"}
    assert all(each["ms"] > 0 for each in read_requests(server))
    assert TYPED_PASSWORD not in server.log.read_text()


def test_pages_are_logged_with_their_admin(logged_server: Server) -> None:
    """A failed sign-in names the admin only if there is one: people type passwords into the wrong field."""
    server = logged_server
    link = create_login_link(server, "boss")
    client = LoginClient(server, "203.0.113.77")
    client.use_link("http://x/admin/enter?token=wrong")
    client.use_link(link)
    client.set_password(PASSWORD)
    client.get("/admin/players")
    client.post("/admin/access/keys", data={"csrf": "wrong"})
    stranger = LoginClient(server, "203.0.113.78")
    stranger.sign_in("boss", "wrong password")
    stranger.sign_in(TYPED_PASSWORD, "wrong password")
    stranger.sign_in("boss", PASSWORD)
    client.get(f"/admin/{TYPED_PASSWORD}")
    LoginClient(server, "203.0.113.79").get("/admin/players/default/someone?next=x")
    assert list_requests(server) == [
        ("command line", "GET", "/settings", 200),
        ("", "POST", "/admin/enter", 403),
        ("admin boss", "POST", "/admin/enter", 303),
        ("admin boss", "GET", "/admin/access", 200),
        ("admin boss", "POST", "/admin/access/password", 303),
        ("admin boss", "GET", "/admin/players", 200),
        ("admin boss", "POST", "/admin/access/keys", 403),
        ("admin boss", "POST", "/admin/sign-in", 403),
        ("", "POST", "/admin/sign-in", 403),
        ("admin boss", "POST", "/admin/sign-in", 303),
        ("", "GET", "/admin/{rest:path}", 404),
        ("", "GET", "/admin/players/{agent}/{player_id}", 303),
    ]
    assert read_requests(server)[1]["address"] == "203.0.113.77"
    assert read_requests(server)[-1]["address"] == "203.0.113.79"
    log = server.log.read_text()
    assert not [secret for secret in (TYPED_PASSWORD, PASSWORD, "wrong", extract_token(link)) if secret in log]


def test_commands_and_unknown_paths_are_logged_but_health_checks_are_not(logged_server: Server) -> None:
    """A path that looks like a provider's has the line of a provider call. The public port has no `/control`."""
    server = logged_server
    server.cli.add_player()
    control = json.loads(server.cli.db.with_name(f"{server.cli.db.name}.owner").read_text())["url"]
    httpx2.post(f"{control}/control", json={}, trust_env=False)
    server.http.post("/control", json={})
    for path in ("/callback_key_0123456789/nothing", "/wallet", "/healthz", "/readyz", "/admin/static/minwallet.css"):
        server.http.get(path)
    documents = read_documents(server)
    assert documents[0]["actor"].startswith("command line")
    assert [(each.get("path", each.get("outcome")), each.get("status")) for each in documents] == [
        ("/control", 200),
        ("/control", 404),
        ("unknown", 404),
        ("http 404", None),
        ("http 404", None),
    ]
    assert "callback_key" not in server.log.read_text()


class Stream(io.StringIO):
    """A stream for the log, on a terminal or not."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.anyio
@pytest.mark.parametrize("is_terminal", [True, False])
async def test_no_text_of_a_client_begins_a_line(is_terminal: bool) -> None:
    """Control characters are escaped, on a terminal too."""
    stream, evil = Stream(is_terminal), 'x"\r\n\x1b[2J\u2028\u202e{"at":'

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        scope[ACTOR] = evil
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Message) -> None:
        del message

    async def receive() -> Message:
        raise AssertionError

    log = RequestLog(stream, answer)
    await log({"method": evil, "path": evil, "client": (evil, 1), "route": None}, receive, send)
    log._flush()
    assert len(stream.getvalue().splitlines()) == 1
    assert not {"\x1b", "\u202e"} & set(stream.getvalue())
    if not is_terminal:
        document = json.loads(stream.getvalue())
        assert (document["actor"], document["method"], document["address"]) == (evil, evil, evil)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_traceback_is_logged_once_a_minute(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its message is logged every time, and another line of code has a traceback of its own. A message is one line."""
    root, stream = logging.Logger("root"), Stream(is_terminal)
    monkeypatch.setattr(logging, "root", root)
    configure_logging(stream)
    for text in ("a\nb", "c\x1b", "d"):
        try:
            int("x")
        except ValueError:
            root.exception(text)
    try:
        int("y")
    except ValueError:
        root.exception("e")
    assert stream.getvalue().count("Traceback") == 2
    messages = [line for line in stream.getvalue().splitlines() if line[:1] == "{" or line[2:3] == ":"]
    assert len(messages) == 4
    assert "\x1b" not in stream.getvalue()


def test_an_exception_that_is_its_own_cause_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """`raise error from error` does not stop the server."""
    root, stream = logging.Logger("root"), Stream(False)
    monkeypatch.setattr(logging, "root", root)
    configure_logging(stream)
    error = ValueError("x")
    try:
        raise error from error
    except ValueError:
        root.exception("a")
    assert stream.getvalue().count("Traceback") == 1
