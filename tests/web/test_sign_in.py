"""Signing in by a link or a password, and signing out."""

import json
import re
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from minwallet.web.auth import FREE_ATTEMPTS
from tests.support import TIMEOUT_S, Server, run_minwallet, running_server
from tests.web.login_client import (
    PASSWORD,
    LoginClient,
    create_login_link,
    extract_csrf,
    extract_token,
    sign_in_by_link,
)


def test_a_link_signs_in_once(server: Server, login_client: LoginClient) -> None:
    """Opening a link changes nothing, so link previews and scanners do no harm; its button works once."""
    url = create_login_link(server)
    for _ in range(2):
        page = login_client.get(url)
        assert page.status_code == 200
        assert "Sign in" in page.text
        assert not login_client.is_signed_in
    first, second = login_client.use_link(url), LoginClient(server).use_link(url)
    assert (first.status_code, first.headers["location"]) == (303, "/admin")
    assert login_client.is_signed_in
    assert second.status_code == 403
    assert "used or expired" in second.text
    assert "set-cookie" not in second.headers


def test_the_cookie_is_for_the_back_office_alone(server: Server, login_client: LoginClient) -> None:
    """Scripts and other sites' requests cannot use the cookie, and it is valid for half a day."""
    cookie = login_client.use_link(create_login_link(server)).headers["set-cookie"]
    assert cookie.startswith("minwallet_admin=")
    assert {"HttpOnly", "Path=/admin", "SameSite=strict", "Max-Age=43200"} < set(cookie.split("; "))
    assert "Secure" not in cookie


def test_over_tls_the_cookie_is_secure(db: Path) -> None:
    """Only a trusted proxy can report that a request came over TLS."""
    for proxies, expected in (("127.0.0.1", True), ("203.0.113.7", False)):
        with running_server(db, MINWALLET_FORWARDED_ALLOW=proxies) as server:
            caller = LoginClient(server)
            caller.headers["x-forwarded-proto"] = "https"
            caller.headers["origin"] = server.url.replace("http:", "https:" if expected else "http:")
            answer = caller.use_link(create_login_link(server))
            assert answer.status_code == 303
            assert ("Secure" in answer.headers["set-cookie"]) is expected


def test_with_an_https_public_url_the_cookie_is_secure(db: Path) -> None:
    """This holds for a proxy that does not report TLS too, for the sign-in and for its end."""
    with running_server(db, MINWALLET_PUBLIC_URL="https://wallet.example.com") as server:
        caller = LoginClient(server)
        caller.headers |= {"host": "wallet.example.com", "origin": "https://wallet.example.com"}
        answer = caller.use_link(create_login_link(server))
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"].split("; ")
        caller.headers["cookie"] = answer.headers["set-cookie"].partition(";")[0]
        assert caller.is_signed_in
        changed = caller.set_password(PASSWORD)
        caller.headers["cookie"] = changed.headers["set-cookie"].partition(";")[0]
        for response in (changed, caller.submit("/admin/sign-out")):
            assert "Secure" in response.headers["set-cookie"].split("; ")


def test_a_browser_that_would_drop_the_cookie_is_told_why(db: Path) -> None:
    """A page over plain HTTP cannot set a secure cookie, except on loopback. The link is not used up."""
    with running_server(db, MINWALLET_PUBLIC_URL="https://wallet.example.com") as server:
        caller, link = LoginClient(server), create_login_link(server)
        for host in ("10.0.0.7:8000", "wallet.example.com"):
            caller.headers |= {"host": host, "origin": f"http://{host}"}
            for answer in (caller.use_link(link), caller.sign_in("admin", PASSWORD)):
                assert answer.status_code == 403
                assert "Sign in at https://wallet.example.com/admin/sign-in" in answer.text
                assert "set-cookie" not in answer.headers
        caller.headers |= {"host": "localhost:8000", "origin": "http://localhost:8000"}
        assert caller.use_link(link).status_code == 303


def test_a_login_link_is_not_leaked(server: Server, login_client: LoginClient) -> None:
    """It is neither in the log nor in a Referer header."""
    url = create_login_link(server)
    assert login_client.get(url).headers["referrer-policy"] == "strict-origin"
    login_client.use_link(url)
    assert extract_token(url) not in server.log.read_text()
    assert extract_token(url) not in login_client.get("/admin/access/audit-log").text


def test_serve_prints_a_link_until_an_admin_has_a_password(db: Path) -> None:
    """The first start prints a login link; once there is a password, a start prints no secret."""
    with running_server(db) as server:
        caller = LoginClient(server)
        found = re.search(r"back office \(one-time link, valid for 1 hour\): (\S+)\n", server.log.read_text())
        assert found is not None
        assert caller.use_link(found[1]).status_code == 303
        assert caller.set_password(PASSWORD).status_code == 303
    with running_server(db) as server:
        assert server.cli("admin", "list")["admins"] == [{"name": "admin", "has_password": True}]
        assert "token" not in server.log.read_text()


def test_admin_link_prints_a_complete_url(db: Path, server: Server) -> None:
    """It is the URL of the running server, or the public URL; without a server the command says what to start."""
    shown = server.cli.run("admin", "link")
    assert shown.out.startswith(f"{server.url}/admin/enter?token=")
    public = server.cli.run("admin", "link", "--json", MINWALLET_PUBLIC_URL="https://wallet.example.com/").json
    assert public["url"].startswith("https://wallet.example.com/admin/enter?token=")
    assert set(public) == {"admin", "url", "expires_at"}
    alone = run_minwallet("--db", db, "admin", "link")
    assert alone.code == 3
    assert f"minwallet --db {db} serve" in alone.err
    assert not db.exists()


def test_a_password_signs_in_too(server: Server, login_client: LoginClient) -> None:
    """The form has a name and a password, in fields that password managers recognize."""
    assert sign_in_by_link(server, "olga").set_password(PASSWORD).status_code == 303
    form = login_client.get("/admin/sign-in").text
    assert 'autocomplete="username"' in form
    assert 'autocomplete="current-password"' in form
    answer = login_client.sign_in("olga", PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
    assert login_client.is_signed_in


def test_a_new_password_ends_every_other_sign_in(server: Server) -> None:
    """The admin who changes it stays signed in with a new cookie; other sessions and links end."""
    first, second, unused = (
        sign_in_by_link(server, "rosa"),
        sign_in_by_link(server, "rosa"),
        create_login_link(server, "rosa"),
    )
    before = first.cookies["minwallet_admin"]
    assert first.set_password(PASSWORD).status_code == 303
    assert "Your password is set" in first.get("/admin/access").text
    assert first.cookies["minwallet_admin"] != before
    assert first.is_signed_in
    assert not second.is_signed_in
    assert LoginClient(server).use_link(unused).status_code == 403


def test_changing_a_password_requires_the_current_one(server: Server) -> None:
    """A person at an unattended browser cannot lock its admin out, and has few attempts to guess."""
    rosa = sign_in_by_link(server, "ruth")
    rosa.set_password(PASSWORD)
    for old in ("", "wrong"):
        refused = rosa.set_password("another good password", old)
        assert refused.status_code == 422
        assert "wrong current password" in refused.text
    assert "must have 12 to 1000 characters" in rosa.set_password("short", PASSWORD).text
    assert rosa.set_password("another good password", PASSWORD).status_code == 303
    assert LoginClient(server).sign_in("ruth", PASSWORD).status_code == 403
    assert LoginClient(server).sign_in("ruth", "another good password").status_code == 303
    for _ in range(FREE_ATTEMPTS):
        rosa.set_password(PASSWORD, "guess")
    assert "Too many attempts" in rosa.set_password(PASSWORD, "guess").text


def test_a_reset_leaves_only_new_links(server: Server) -> None:
    """A reset ends all sessions of an admin and deletes the password."""
    sven = sign_in_by_link(server, "sven")
    sven.set_password(PASSWORD)
    server.cli("admin", "reset", "sven")
    assert not sven.is_signed_in
    assert LoginClient(server).sign_in("sven", PASSWORD).status_code == 403
    assert sign_in_by_link(server, "sven").set_password(PASSWORD).status_code == 303
    assert server.cli.run("admin", "reset", "nobody").code == 1


def test_a_reset_lists_what_it_ended(server: Server) -> None:
    """The command prints it, and names invited admins and keys of unknown makers, which stay."""
    uma = sign_in_by_link(server, "uma")
    for name in ("umas", "second"):
        uma.submit("/admin/access/keys", name=name, scope="read", agent="")
    uma.submit("/admin/access/admins", name="vic")
    uma.submit("/admin/agents/default/callback-keys")
    server.cli("key", "add", "own", "--scope", "read")
    kept = server.cli("admin", "reset", "uma", "--keep-keys")
    assert kept == {
        "name": "uma",
        "has_password": False,
        "sessions_ended": 1,
        "links_ended": ["vic"],
        "keys_revoked": [],
        "callback_keys_revoked": [],
        "protocol_secrets_revoked": [],
        "player_sessions_revoked": 0,
        "admins_invited": ["vic"],
        "keys_without_maker": [],
    }
    (callback_key,) = server.cli("agent", "callback-key", "list", "default")["callback_keys"]
    assert (callback_key["created_by"], callback_key["revoked_at"]) == ("admin uma", None)
    sign_in_by_link(server, "uma")
    assert server.cli.run("admin", "reset", "uma").out.splitlines() == [
        "admin uma is signed out and has no password",
        "sessions ended: 1 of the admin",
        "API keys revoked: second, umas",
        f"callback keys revoked: {callback_key['callback_key']} of agent default",
        "admins that uma invited can still sign in: vic",
    ]
    revoked = {key["name"]: key["revoked_at"] is not None for key in server.cli("key", "list")["keys"]}
    assert revoked == {"own": False, "second": True, "umas": True}


def test_a_request_that_began_before_a_reset_changes_nothing(server: Server) -> None:
    """A form or an API request whose body arrives after its sender has lost access is refused."""
    zoe = sign_in_by_link(server, "zoe")
    player = server.cli.add_player()
    key = server.cli("key", "add", "slow", "--scope", "write")["key"]
    form = urlencode(
        {"csrf": extract_csrf(zoe.get("/admin/access").text), "name": "late", "scope": "read", "agent": ""}
    )
    deposit = json.dumps({"amount": 1, "reference": "slow"})
    form_head = f"origin: {server.url}\r\ncookie: minwallet_admin={zoe.cookies['minwallet_admin']}"
    form_head += "\r\ncontent-type: application/x-www-form-urlencoded"
    requests = [
        ("/admin/access/keys", form_head, form),
        (f"/admin/api/v1/agents/default/players/{player}/deposits", f"authorization: Bearer {key}", deposit),
    ]
    connections, host = [], urlsplit(server.url).netloc
    for path, head, body in requests:
        connections.append(connection := server.connect())
        lines = f"POST {path} HTTP/1.1\r\nhost: {host}\r\n{head}\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall((lines + body[:-1]).encode())
    # Answered after the requests above have begun, because the server reads connections in order.
    assert zoe.is_signed_in
    server.cli("admin", "reset", "zoe")
    server.cli("key", "revoke", "slow")
    for connection, (_, _, body) in zip(connections, requests, strict=True):
        connection.sendall(body[-1:].encode())
        assert b" 401 " in connection.recv(100)
        connection.close()
    assert "late" not in [each["name"] for each in server.cli("key", "list")["keys"]]
    assert server.cli.read_balances(player) == (10_000, 0)


def test_signing_out_ends_the_session(server: Server) -> None:
    """A copy of the cookie is useless afterwards."""
    tina = sign_in_by_link(server, "tina")
    cookie = tina.cookies["minwallet_admin"]
    answer = tina.submit("/admin/sign-out")
    assert answer.status_code == 303
    assert 'minwallet_admin=""' in answer.headers["set-cookie"]
    thief = LoginClient(server)
    thief.cookies.set("minwallet_admin", cookie, path="/admin")
    assert not thief.is_signed_in


def test_a_reset_ends_the_live_feed(server: Server) -> None:
    """An open page gets no further events."""
    uwe = sign_in_by_link(server, "uwe")
    with uwe.stream("GET", "/admin/feed") as feed, ThreadPoolExecutor() as pool:
        lines = feed.iter_lines()
        assert next(lines).startswith(":")
        server.cli("admin", "reset", "uwe")
        ended = pool.submit(list, lines)
        for _ in range(TIMEOUT_S):
            server.cli.add_player(balance="1")
            if wait({ended}, timeout=0.2).done:
                break
        assert ended.result(0)


def test_sign_in_returns_to_the_requested_page(server: Server, login_client: LoginClient) -> None:
    """After the sign-in the requested page opens, but only if it is a page of the back office."""
    sign_in_by_link(server, "walt").set_password(PASSWORD)
    sent = login_client.get("/admin/access/audit-log?before=7")
    assert sent.headers["location"] == "/admin/sign-in?next=/admin/access/audit-log%3Fbefore%3D7"
    form = login_client.get(sent.headers["location"]).text
    assert 'name="next" value="/admin/access/audit-log?before=7"' in form
    answer = login_client.sign_in("walt", PASSWORD, "/admin/access/audit-log?before=7")
    assert answer.headers["location"] == "/admin/access/audit-log?before=7"
    assert LoginClient(server).sign_in("walt", PASSWORD, "https://evil.example/").headers["location"] == "/admin"


def test_sign_ins_are_in_the_audit_log(db: Path) -> None:
    """Sign-ins, sign-outs and new passwords are audited. Failed attempts are counted together, without the entered
    text."""
    with running_server(db) as server:
        yara = sign_in_by_link(server, "yara")
        yara.set_password(PASSWORD)
        guesser = LoginClient(server, "198.51.100.9")
        for _ in range(4):
            guesser.sign_in("yara", "wrong")
        guesser.sign_in("my secret by mistake", "wrong")
        yara.submit("/admin/sign-out")
        record = LoginClient(server)
        record.use_link(create_login_link(server, "zoe"))
        page = record.get("/admin/access/audit-log").text
    assert "my secret" not in page
    for told in ("signed in", "signed out", "set a password", "address 198.51.100.9"):
        assert told in page
    assert page.count("failed to sign in") == 2
    assert "tries 4" in page


def test_a_reset_is_in_the_audit_log(server: Server) -> None:
    """The actor of a command is its user."""
    sign_in_by_link(server, "abe")
    server.cli("admin", "reset", "abe")
    page = sign_in_by_link(server, "eva").get("/admin/access/audit-log").text
    assert re.search(r"command line \(\w+\)", page)
    assert json.dumps("abe") not in page
    assert "<strong>abe</strong>" in page


def test_forged_addresses_do_not_evade_the_limit(server: Server) -> None:
    """Addresses to the left of the one that the proxy added are ignored."""
    answers = [LoginClient(server, f"10.9.8.{n}, 198.51.100.77").sign_in(f"guess{n}", "wrong") for n in range(6)]
    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert LoginClient(server, "198.51.100.77, 198.51.100.78").sign_in("guess7", "wrong").status_code == 403
