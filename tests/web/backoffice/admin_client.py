"""A signed-in admin of the back office: in a browser, or sending its forms without one."""

import html
import re
from itertools import count
from urllib.parse import parse_qs, urlsplit

import httpx2
from playwright.sync_api import Page

from minwallet.cli.dispatch import execute_on_file
from minwallet.operations.access_requests import AdminLink
from minwallet.operations.requests import PlayerAdd, SessionOpen, Transfer
from minwallet.web.auth import COOKIE_NAME, HOME_PATH
from tests.support import TIMEOUT_S, Server

CSRF_PATTERN = re.compile(r'name="csrf" value="(\w+)"')


_counter = count(1)


def create_login_link(server: Server) -> str:
    """Return a URL that signs in once."""
    path: str = execute_on_file(server.db, AdminLink())["path"]
    return server.url + path


def create_player(server: Server) -> str:
    """Add a new player with 100.00 USD. The in-process command line cannot be used beside a browser."""
    name = f"visitor{next(_counter)}"
    execute_on_file(server.db, PlayerAdd(agent="default", player_id=name, currency="USD", balance=100_00))
    return name


def open_session(server: Server, name: str) -> str:
    """Open a session of the player, and return its token."""
    token: str = execute_on_file(server.db, SessionOpen(agent="default", player_id=name, ttl_s=3600))["token"]
    return token


def deposit(server: Server, name: str, cents: int) -> None:
    """Deposit cash outside the back office."""
    reference = f"{name} {next(_counter)}"
    execute_on_file(
        server.db, Transfer(operation="deposit", agent="default", player_id=name, amount=cents, reference=reference)
    )


def sign_in(page: Page, server: Server) -> None:
    """Sign this browser in, so that the next page is shown to an admin."""
    client = AdminClient(server)
    address = urlsplit(server.url)
    assert address.hostname
    cookie = client.http.cookies[COOKIE_NAME]
    page.context.add_cookies(
        [{"name": COOKIE_NAME, "value": cookie, "domain": address.hostname, "path": HOME_PATH, "httpOnly": True}]
    )
    client.http.close()


class AdminClient:
    """A client that reads pages and sends their forms."""

    def __init__(self, server: Server) -> None:
        headers = {"origin": server.url}
        self.http = httpx2.Client(base_url=server.url, headers=headers, timeout=TIMEOUT_S, trust_env=False)
        (token,) = parse_qs(urlsplit(create_login_link(server)).query)["token"]
        assert self.http.post("/admin/enter", data={"token": token}).status_code == 303
        for cookie in self.http.cookies.jar:
            cookie.secure = False  # a browser sends a secure cookie to loopback without TLS
        found = CSRF_PATTERN.search(self.get_page("/admin/players/new"))
        assert found is not None
        self.csrf = found[1]

    def get_page(self, path: str, status: int = 200) -> str:
        """Return the text of a page."""
        response = self.http.get(path)
        assert response.status_code == status, response.text
        return response.text

    def submit(self, path: str, **fields: object) -> httpx2.Response:
        """Send a form, and return the response."""
        return self.http.post(path, data={"csrf": self.csrf, **fields})

    def flash_after(self, path: str, **fields: object) -> str:
        """Send a form that must succeed, and return the message on the next page."""
        response = self.submit(path, **fields)
        assert response.status_code == 303, response.text
        return read_flash(self.get_page(response.headers["location"]))


def read_flash(page: str) -> str:
    """Return the message on a page."""
    match = re.search(r'<p class="flash [^>]*>([^<]*)', page)
    return html.unescape(match[1]).strip() if match else ""


def read_field(page: str, name: str) -> str:
    """Return the value of a field on a page."""
    match = re.search(rf'<input[^>]* name="{name}" value="([^"]*)"', page)
    assert match is not None, name
    return html.unescape(match[1])


def read_table_rows(page: str) -> list[list[str]]:
    """Return the rows of a page's tables, as text."""
    rows = re.findall(r"<tr[ >].*?</tr>", page, re.DOTALL)
    texts = [[_strip_markup(cell) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)] for row in rows]
    return [row for row in texts if row]


def _strip_markup(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())
