"""Security of the back office's sign-in: guessing, other sites, and requests without a session."""

import re
from pathlib import Path

import pytest

from minwallet.config import load_settings
from minwallet.wallet.service import Wallet
from minwallet.web import backoffice
from minwallet.web.auth import (
    FREE_ATTEMPTS,
    MAX_DELAY_S,
    MAX_TRACKED_KEYS,
    RESET_AFTER_S,
    AttemptLimiter,
    sanitize_redirect,
)
from minwallet.web.gateway.recent_calls import RecentCalls
from tests.storage.reference_engine.memory_store import MemoryStore
from tests.support import Server, running_server
from tests.web.login_client import PASSWORD, LoginClient, create_login_link, extract_csrf, sign_in_by_link

SIGN_IN_PATHS = {"/admin/enter", "/admin/sign-in"}


def test_failed_sign_ins_are_indistinguishable(server: Server) -> None:
    """A wrong password, a name without a password and an unknown name get the same message."""
    sign_in_by_link(server, "peter").set_password(PASSWORD)
    sign_in_by_link(server, "paul")
    pages = set()
    for name in ("peter", "paul", "mary"):
        answer = LoginClient(server).sign_in(name, "wrong")
        assert answer.status_code == 403
        pages.add(answer.text.replace(name, "NAME"))
    assert len(pages) == 1
    assert "Wrong name or password." in pages.pop()


def test_guessing_is_slowed_down_for_an_address(server: Server, login_client: LoginClient) -> None:
    """After some attempts the page shows when the next one is allowed; a valid link still works from there."""
    for number in range(FREE_ATTEMPTS):
        assert login_client.sign_in(f"guess{number}", "wrong").status_code == 403
    answer = login_client.sign_in("guess", "wrong")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert re.search(r"Try again in \d+ seconds?, at \d\d:\d\d:\d\d UTC", answer.text)
    assert login_client.use_link(create_login_link(server)).status_code == 303


def test_guessing_is_slowed_down_for_a_name(server: Server) -> None:
    """The limit holds across addresses, and applies to the right password too."""
    sign_in_by_link(server, "uma").set_password(PASSWORD)
    for _ in range(FREE_ATTEMPTS):
        assert LoginClient(server).sign_in("uma", "wrong").status_code == 403
    assert LoginClient(server).sign_in("uma", PASSWORD).status_code == 429
    assert LoginClient(server).sign_in("vera", "wrong").status_code == 403


def test_guesses_from_other_addresses_do_not_lock_an_admin_out(server: Server) -> None:
    """An address from which the admin has signed in is not affected by guesses from others, but has its own limit."""
    sign_in_by_link(server, "xena").set_password(PASSWORD)
    home = "198.51.100.7"
    assert LoginClient(server, home).sign_in("xena", PASSWORD).status_code == 303
    for _ in range(FREE_ATTEMPTS):
        assert LoginClient(server).sign_in("xena", "wrong").status_code == 403
    assert LoginClient(server).sign_in("xena", PASSWORD).status_code == 429
    assert LoginClient(server, home).sign_in("xena", PASSWORD).status_code == 303
    for _ in range(FREE_ATTEMPTS):
        assert LoginClient(server, home).sign_in("xena", "wrong").status_code == 403
    assert LoginClient(server, home).sign_in("xena", PASSWORD).status_code == 429


def test_guessing_links_is_limited(server: Server, login_client: LoginClient) -> None:
    """Invalid links have the same limit."""
    for _ in range(FREE_ATTEMPTS):
        assert login_client.use_link("?token=made-up").status_code == 403
    assert login_client.use_link("?token=made-up").status_code == 429


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "//evil.example", "/\\evil", "/admin\\..", "https://evil.example/admin", "/administrator"),
        *("/admin/../x", "/admin/%2e%2e/x", "/admin/\nx", "/admin/sign-in?next=/admin", "javascript:alert(1)"),
    ],
)
def test_foreign_redirect_targets_are_rejected(path: str) -> None:
    """A target that is not clearly a page of the back office is replaced by the overview."""
    assert sanitize_redirect(path) == "/admin"


def list_routes() -> list[tuple[str, str]]:
    """Return all methods and paths of the back office, with values for their parameters."""
    routes = backoffice.routes(Wallet(MemoryStore()), load_settings(), "3.50.7", RecentCalls())
    return sorted(
        (method, re.sub(r"\{\w+\}", "x", getattr(route, "path", "")))
        for route in routes
        for method in getattr(route, "methods", None) or ()
    )


POST_PATHS = [path for method, path in list_routes() if method == "POST"]


def test_every_page_requires_sign_in(server: Server, login_client: LoginClient) -> None:
    """Each page redirects to the sign-in form without any content; a part of a page makes the browser load the whole
    page again."""
    seen = [path for method, path in list_routes() if method == "GET" and path not in SIGN_IN_PATHS]
    assert len(seen) > 10
    for path in seen:
        answer = login_client.get(path)
        assert (answer.status_code, answer.text) == (303, ""), path
        assert answer.headers["location"].startswith("/admin/sign-in")
        part = login_client.get(path, headers={"hx-request": "true"})
        assert (part.status_code, part.headers["hx-refresh"], part.text) == (401, "true", ""), path


@pytest.mark.parametrize("path", POST_PATHS)
def test_a_form_needs_cookie_csrf_token_and_origin(server: Server, path: str) -> None:
    """Without one of them nothing happens: the cookie, the hidden token, and the right origin."""
    xena = sign_in_by_link(server, "xena")
    csrf = extract_csrf(xena.get("/admin/access").text)
    stranger = LoginClient(server)
    if path not in SIGN_IN_PATHS:
        assert stranger.post(path, data={"csrf": csrf}).status_code == 401
        for wrong in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "\N{LATIN SMALL LETTER E WITH ACUTE}"}):
            assert xena.post(path, data={"x": "1", **wrong}).status_code == 403
        assert xena.post(path, params={"csrf": csrf}, data={"x": "1"}).status_code == 403
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"{server.url}.evil.example"},
        {"origin": server.url, "sec-fetch-site": "cross-site"},
        {"origin": server.url, "sec-fetch-site": "same-site"},
        {"origin": server.url, "sec-fetch-site": "none"},
    ):
        assert xena.post(path, data={"csrf": csrf}, headers=headers).status_code == 403, headers
    del xena.headers["origin"]
    assert xena.post(path, data={"csrf": csrf}).status_code == 403
    xena.headers["origin"] = server.url
    assert xena.is_signed_in


def test_the_public_address_is_this_server_too(db: Path) -> None:
    """Behind a proxy that hides the host name, forms from the public URL are accepted."""
    with running_server(db, MINWALLET_PUBLIC_URL="https://wallet.example.com") as server:
        caller = LoginClient(server)
        caller.headers["origin"] = "https://wallet.example.com"
        assert caller.use_link(create_login_link(server)).status_code == 303


def test_every_attempt_counts_and_delays_grow() -> None:
    """Some attempts are free, then the delay doubles up to a maximum. A success or enough time resets it."""
    now = [1000.0]
    throttle = AttemptLimiter(clock_s=lambda: now[0])
    waits = []
    for _ in range(FREE_ATTEMPTS + 12):
        throttle.record("a")
        waits.append(throttle.retry_after_s("a"))
        now[0] += waits[-1]
    assert waits[: FREE_ATTEMPTS + 3] == [0] * (FREE_ATTEMPTS - 1) + [5, 10, 20, 40]
    assert waits[-1] == MAX_DELAY_S
    assert throttle.retry_after_s("b") == 0
    throttle.record("a")
    throttle.reset("a")
    assert throttle.retry_after_s("a") == 0
    for _ in range(FREE_ATTEMPTS):
        throttle.record("c")
    now[0] += RESET_AFTER_S + 10
    throttle.record("c")
    assert throttle.retry_after_s("c") == 0


def test_tracked_keys_are_bounded() -> None:
    """The most recent keys are kept."""
    throttle = AttemptLimiter()
    for number in range(MAX_TRACKED_KEYS + 10):
        for _ in range(FREE_ATTEMPTS + 3):
            throttle.record(str(number))
    assert throttle.retry_after_s("0") == 0
    assert throttle.retry_after_s(str(MAX_TRACKED_KEYS + 9)) > 0
    assert len(throttle._attempts) == MAX_TRACKED_KEYS


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
def test_malformed_form_bodies_are_rejected(login_client: LoginClient, body: bytes, kind: str, status: int) -> None:
    """Repeated fields, invalid text, too long bodies and other content types are rejected."""
    assert login_client.post("/admin/enter", content=body, headers={"content-type": kind}).status_code == status
