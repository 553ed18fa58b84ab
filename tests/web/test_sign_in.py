"""Signing in: by a link or a password, only from this server's own pages, and not by guessing."""

import json
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from minwallet.config import load_settings
from minwallet.storage.memory import MemoryStore
from minwallet.wallet.service import Wallet
from minwallet.web import backoffice
from minwallet.web.auth import FORGET_S, FREE_TRIES, LONGEST_WAIT_S, REMEMBERED, Throttle, local_path
from tests.support import PATIENCE_S, Server, minwallet, serving

PASSWORD = "correct horse battery"

DOORS = {"/admin/enter", "/admin/sign-in"}

_addresses = count(1)
_callers: list[httpx2.Client] = []


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    """Every caller hangs up at the end of a test."""
    yield
    while _callers:
        _callers.pop().close()


class Caller(httpx2.Client):
    """A browser with no cookies yet, at an address of its own, whose forms come from the server's own pages."""

    def __init__(self, server: Server, address: str = "") -> None:
        forwarded = address or f"203.0.113.{next(_addresses)}"
        headers = {"origin": server.url, "x-forwarded-for": forwarded}
        super().__init__(base_url=server.url, headers=headers, timeout=PATIENCE_S, trust_env=False)
        _callers.append(self)

    def enter(self, url: str) -> httpx2.Response:
        """Use a link."""
        return self.post("/admin/enter", data={"token": token_of(url)})

    def sign_in(self, name: str, password: str, following: str = "") -> httpx2.Response:
        return self.post("/admin/sign-in", data={"name": name, "password": password, "next": following})

    def submit(self, path: str, **fields: str) -> httpx2.Response:
        """A form of somebody who is signed in."""
        return self.post(path, data={"csrf": csrf_on(self.get("/admin/access").text), **fields})

    def set_password(self, new: str, old: str = "") -> httpx2.Response:
        return self.submit("/admin/access/password", old=old, new=new, again=new)

    @property
    def is_in(self) -> bool:
        return self.get("/admin").status_code == 200


@pytest.fixture
def caller(server: Server) -> Caller:
    """Somebody whom the server does not know."""
    return Caller(server)


def link(server: Server, name: str = "admin") -> str:
    url: str = server.cli("admin", "link", "--name", name)["url"]
    return url


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


def csrf_on(page: str) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', page)
    assert found is not None
    return found[1]


def entered(server: Server, name: str) -> Caller:
    """Somebody who has just used a link."""
    caller = Caller(server)
    assert caller.enter(link(server, name)).status_code == 303
    return caller


def test_a_link_signs_in_once(server: Server, caller: Caller) -> None:
    """Looking at it changes nothing, so previews and scanners do no harm; its button works once."""
    url = link(server)
    for _ in range(2):
        page = caller.get(url)
        assert page.status_code == 200
        assert "Sign in" in page.text
        assert not caller.is_in
    first, second = caller.enter(url), Caller(server).enter(url)
    assert (first.status_code, first.headers["location"]) == (303, "/admin")
    assert caller.is_in
    assert second.status_code == 403
    assert "has been used" in second.text
    assert "set-cookie" not in second.headers


def test_the_cookie_is_for_the_back_office_alone(server: Server, caller: Caller) -> None:
    """No script reads it, no other site's request carries it, and it lasts half a day."""
    cookie = caller.enter(link(server)).headers["set-cookie"]
    assert cookie.startswith("minwallet_admin=")
    assert {"HttpOnly", "Path=/admin", "SameSite=strict", "Max-Age=43200"} < set(cookie.split("; "))
    assert "Secure" not in cookie


def test_over_tls_the_cookie_stays_there(db: Path) -> None:
    """Whether it came over TLS is believed from a proxy that is known, and from nobody else."""
    for proxies, expected in (("127.0.0.1", True), ("203.0.113.7", False)):
        with serving(db, MINWALLET_FORWARDED_ALLOW=proxies) as server:
            caller = Caller(server)
            caller.headers["x-forwarded-proto"] = "https"
            caller.headers["origin"] = server.url.replace("http:", "https:" if expected else "http:")
            answer = caller.enter(link(server))
            assert answer.status_code == 303
            assert ("Secure" in answer.headers["set-cookie"]) is expected


def test_a_link_is_told_to_nobody_else(server: Server, caller: Caller) -> None:
    """It is in no log and in no Referer."""
    url = link(server)
    assert caller.get(url).headers["referrer-policy"] == "strict-origin"
    caller.enter(url)
    assert token_of(url) not in server.log.read_text()
    assert token_of(url) not in caller.get("/admin/access/record").text


def test_serve_prints_a_link_as_long_as_nobody_can_sign_in(db: Path) -> None:
    """The first start shows the way in; once there is a password, a start prints no secrets."""
    with serving(db) as server:
        caller = Caller(server)
        found = re.search(r"back office, once and within an hour: (\S+)\n", server.log.read_text())
        assert found is not None
        assert caller.enter(found[1]).status_code == 303
        assert caller.set_password(PASSWORD).status_code == 303
    with serving(db) as server:
        assert server.cli("admin", "list")["admins"] == [{"name": "admin", "has_password": True}]
        assert "token" not in server.log.read_text()


def test_admin_link_prints_a_whole_address(db: Path, server: Server) -> None:
    """That of the running server, or the public one; without a server it says what to start."""
    shown = server.cli.run("admin", "link")
    assert shown.out.startswith(f"{server.url}/admin/enter?token=")
    public = server.cli.run("admin", "link", "--json", MINWALLET_PUBLIC_URL="https://wallet.example.com/").json
    assert public["url"].startswith("https://wallet.example.com/admin/enter?token=")
    assert set(public) == {"admin", "url", "expires_at"}
    alone = minwallet("--db", db, "admin", "link")
    assert alone.code == 3
    assert f"minwallet --db {db} serve" in alone.err
    assert not db.exists()


def test_a_password_signs_in_too(server: Server, caller: Caller) -> None:
    """It is asked for by name and password, in words that password managers know."""
    assert entered(server, "olga").set_password(PASSWORD).status_code == 303
    form = caller.get("/admin/sign-in").text
    assert 'autocomplete="username"' in form
    assert 'autocomplete="current-password"' in form
    answer = caller.sign_in("olga", PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
    assert caller.is_in


def test_who_guesses_learns_nothing(server: Server) -> None:
    """A wrong password, a name without one and a name that nobody has are answered with the same words."""
    entered(server, "peter").set_password(PASSWORD)
    entered(server, "paul")
    pages = set()
    for name in ("peter", "paul", "mary"):
        answer = Caller(server).sign_in(name, "wrong")
        assert answer.status_code == 403
        pages.add(answer.text.replace(name, "NAME"))
    assert len(pages) == 1
    assert "Name or password is wrong." in pages.pop()


def test_a_new_password_ends_every_other_sign_in(server: Server) -> None:
    """Whoever changes it stays signed in, with another cookie; other browsers and links do not."""
    first, second, unused = entered(server, "rosa"), entered(server, "rosa"), link(server, "rosa")
    before = first.cookies["minwallet_admin"]
    assert first.set_password(PASSWORD).status_code == 303
    assert "Your password is set" in first.get("/admin/access").text
    assert first.cookies["minwallet_admin"] != before
    assert first.is_in
    assert not second.is_in
    assert Caller(server).enter(unused).status_code == 403


def test_a_password_is_changed_by_who_knows_it(server: Server) -> None:
    """Whoever finds a browser that is signed in cannot lock its owner out, nor guess for long."""
    rosa = entered(server, "ruth")
    rosa.set_password(PASSWORD)
    for old in ("", "wrong"):
        refused = rosa.set_password("another good password", old)
        assert refused.status_code == 422
        assert "not your current password" in refused.text
    assert "at least 12 symbols" in rosa.set_password("short", PASSWORD).text
    assert rosa.set_password("another good password", PASSWORD).status_code == 303
    assert Caller(server).sign_in("ruth", PASSWORD).status_code == 403
    assert Caller(server).sign_in("ruth", "another good password").status_code == 303
    for _ in range(FREE_TRIES):
        rosa.set_password(PASSWORD, "guess")
    assert "Too many attempts" in rosa.set_password(PASSWORD, "guess").text


def test_a_reset_leaves_only_new_links(server: Server) -> None:
    """Who has left, or forgotten the password, is signed out everywhere, and the password is nothing any more."""
    sven = entered(server, "sven")
    sven.set_password(PASSWORD)
    server.cli("admin", "reset", "sven")
    assert not sven.is_in
    assert Caller(server).sign_in("sven", PASSWORD).status_code == 403
    assert entered(server, "sven").set_password(PASSWORD).status_code == 303
    assert server.cli.run("admin", "reset", "nobody").code == 1


def test_signing_out_ends_the_sign_in_itself(server: Server) -> None:
    """Whoever kept the cookie has nothing."""
    tina = entered(server, "tina")
    cookie = tina.cookies["minwallet_admin"]
    answer = tina.submit("/admin/sign-out")
    assert answer.status_code == 303
    assert 'minwallet_admin=""' in answer.headers["set-cookie"]
    thief = Caller(server)
    thief.cookies.set("minwallet_admin", cookie, path="/admin")
    assert not thief.is_in


def test_guessing_is_slowed_down_for_an_address(server: Server, caller: Caller) -> None:
    """After some tries the page says when the next may be; a link still lets its owner in from there."""
    for number in range(FREE_TRIES):
        assert caller.sign_in(f"guess{number}", "wrong").status_code == 403
    answer = caller.sign_in("guess", "wrong")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert re.search(r"Try again in \d+ seconds?, at \d\d:\d\d:\d\d UTC", answer.text)
    assert caller.enter(link(server)).status_code == 303


def test_guessing_is_slowed_down_for_a_name(server: Server) -> None:
    """From many addresses it is no faster, and the right password has to wait as well."""
    entered(server, "uma").set_password(PASSWORD)
    for _ in range(FREE_TRIES):
        assert Caller(server).sign_in("uma", "wrong").status_code == 403
    assert Caller(server).sign_in("uma", PASSWORD).status_code == 429
    assert Caller(server).sign_in("vera", "wrong").status_code == 403


def test_links_are_not_guessed_either(server: Server, caller: Caller) -> None:
    """Made-up links are slowed down in the same way."""
    for _ in range(FREE_TRIES):
        assert caller.enter("?token=made-up").status_code == 403
    assert caller.enter("?token=made-up").status_code == 429


def test_after_signing_in_people_are_where_they_wanted_to_be(server: Server, caller: Caller) -> None:
    """A page that wants somebody signed in comes back afterwards, and nothing but a page of the back office does."""
    entered(server, "walt").set_password(PASSWORD)
    sent = caller.get("/admin/access/record?before=7")
    assert sent.headers["location"] == "/admin/sign-in?next=/admin/access/record%3Fbefore%3D7"
    form = caller.get(sent.headers["location"]).text
    assert 'name="next" value="/admin/access/record?before=7"' in form
    answer = caller.sign_in("walt", PASSWORD, "/admin/access/record?before=7")
    assert answer.headers["location"] == "/admin/access/record?before=7"
    assert Caller(server).sign_in("walt", PASSWORD, "https://evil.example/").headers["location"] == "/admin"


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "//evil.example", "/\\evil", "/admin\\..", "https://evil.example/admin", "/administrator"),
        *("/admin/../x", "/admin/%2e%2e/x", "/admin/\nx", "/admin/sign-in?next=/admin", "javascript:alert(1)"),
    ],
)
def test_no_other_address_is_gone_on_to(path: str) -> None:
    """What is not plainly a page of the back office leads to the overview."""
    assert local_path(path) == "/admin"


def all_routes() -> list[tuple[str, str]]:
    """Every method and path of the back office, with something in the place of its parameters."""
    routes = backoffice.routes(Wallet(MemoryStore()), load_settings(), "3.50.7")
    return sorted(
        (method, re.sub(r"\{\w+\}", "x", getattr(route, "path", "")))
        for route in routes
        for method in getattr(route, "methods", None) or ()
    )


POSTS = [path for method, path in all_routes() if method == "POST"]


def test_no_page_is_shown_to_strangers(server: Server, caller: Caller) -> None:
    """Every page sends them to the form, and tells nothing; a part of a page has the whole loaded anew."""
    seen = [path for method, path in all_routes() if method == "GET" and path not in DOORS]
    assert len(seen) > 10
    for path in seen:
        answer = caller.get(path)
        assert (answer.status_code, answer.text) == (303, ""), path
        assert answer.headers["location"].startswith("/admin/sign-in")
        part = caller.get(path, headers={"hx-request": "true"})
        assert (part.status_code, part.headers["hx-refresh"], part.text) == (401, "true", ""), path


@pytest.mark.parametrize("path", POSTS)
def test_a_form_needs_cookie_word_and_origin(server: Server, path: str) -> None:
    """Without any one of them nothing is done: the cookie, the hidden word, and having come from here."""
    xena = entered(server, "xena")
    word = csrf_on(xena.get("/admin/access").text)
    stranger = Caller(server)
    if path not in DOORS:
        assert stranger.post(path, data={"csrf": word}).status_code == 401
        for wrong in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "\N{LATIN SMALL LETTER E WITH ACUTE}"}):
            assert xena.post(path, data={"x": "1", **wrong}).status_code == 403
        assert xena.post(path, params={"csrf": word}, data={"x": "1"}).status_code == 403
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"{server.url}.evil.example"},
        {"origin": server.url, "sec-fetch-site": "cross-site"},
        {"origin": server.url, "sec-fetch-site": "same-site"},
        {"origin": server.url, "sec-fetch-site": "none"},
    ):
        assert xena.post(path, data={"csrf": word}, headers=headers).status_code == 403, headers
    del xena.headers["origin"]
    assert xena.post(path, data={"csrf": word}).status_code == 403
    xena.headers["origin"] = server.url
    assert xena.is_in


def test_the_public_address_is_this_server_too(db: Path) -> None:
    """Behind a proxy that hides the name it was called by, forms from the public address are taken."""
    with serving(db, MINWALLET_PUBLIC_URL="https://wallet.example.com") as server:
        caller = Caller(server)
        caller.headers["origin"] = "https://wallet.example.com"
        assert caller.enter(link(server)).status_code == 303


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"csrf=a&csrf=b", "application/x-www-form-urlencoded", 400),
        (b"token=%ff", "application/x-www-form-urlencoded", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"f%d=1" % number for number in range(101)), "application/x-www-form-urlencoded", 400),
        (b"token=" + b"a" * 65_536, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
        (b"", "", 415),
    ],
)
def test_what_no_form_of_ours_sends_is_refused(caller: Caller, body: bytes, kind: str, status: int) -> None:
    """Fields given twice, what is no text, too much, and other kinds of content."""
    assert caller.post("/admin/enter", content=body, headers={"content-type": kind}).status_code == status


def test_who_came_and_went_is_on_record(db: Path) -> None:
    """Signing in and out and a new password are; failed tries are counted together, and what was typed is not kept."""
    with serving(db) as server:
        yara = entered(server, "yara")
        yara.set_password(PASSWORD)
        guesser = Caller(server, "198.51.100.9")
        for _ in range(4):
            guesser.sign_in("yara", "wrong")
        guesser.sign_in("my secret by mistake", "wrong")
        yara.submit("/admin/sign-out")
        record = Caller(server)
        record.enter(link(server, "zoe"))
        page = record.get("/admin/access/record").text
    assert "my secret" not in page
    for told in ("signed in", "signed out", "set a password", "address 198.51.100.9"):
        assert told in page
    assert page.count("failed to sign in") == 1


def test_every_try_counts_and_waits_grow() -> None:
    """Some are free, then the wait doubles up to its longest; a good one forgives, and time forgets."""
    now = [1000.0]
    throttle = Throttle(clock_s=lambda: now[0])
    waits = []
    for _ in range(FREE_TRIES + 12):
        throttle.count("a")
        waits.append(throttle.wait_s("a"))
        now[0] += waits[-1]
    assert waits[: FREE_TRIES + 3] == [0] * (FREE_TRIES - 1) + [1, 2, 4, 8]
    assert waits[-1] == LONGEST_WAIT_S
    assert throttle.wait_s("b") == 0
    throttle.count("a")
    throttle.forgive("a")
    assert throttle.wait_s("a") == 0
    for _ in range(FREE_TRIES):
        throttle.count("c")
    now[0] += FORGET_S + 10
    throttle.count("c")
    assert throttle.wait_s("c") == 0


def test_what_is_remembered_of_tries_is_bounded() -> None:
    """Of very many keys those that tried last are remembered."""
    throttle = Throttle()
    for number in range(REMEMBERED + 10):
        for _ in range(FREE_TRIES + 3):
            throttle.count(str(number))
    assert throttle.wait_s("0") == 0
    assert throttle.wait_s(str(REMEMBERED + 9)) > 0
    assert len(throttle._tries) == REMEMBERED


def test_the_record_says_what_a_reset_was(server: Server) -> None:
    """Commands are on record as their user's."""
    entered(server, "abe")
    server.cli("admin", "reset", "abe")
    page = entered(server, "eva").get("/admin/access/record").text
    assert re.search(r"command line \(\w+\)", page)
    assert json.dumps("abe") not in page
    assert "<strong>abe</strong>" in page
