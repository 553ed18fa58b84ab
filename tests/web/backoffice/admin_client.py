"""Somebody who is signed in to the back office: in a browser, or sending its forms without one."""

import html
import re
from itertools import count
from urllib.parse import parse_qs, urlsplit

import httpx2
from playwright.sync_api import Page

from minwallet.cli.dispatch import execute_on_file
from minwallet.operations.requests import AdminLink, PlayerAdd, SessionOpen, Transfer
from minwallet.web.auth import COOKIE_NAME, HOME_PATH
from tests.support import TIMEOUT_S, Server

CSRF_PATTERN = re.compile(r'name="csrf" value="(\w+)"')


_counter = count(1)


def create_login_link(server: Server) -> str:
    """An address that signs in once."""
    path: str = execute_on_file(server.db, AdminLink())["path"]
    return server.url + path


def create_player(server: Server) -> str:
    """A new player with 100.00 USD. The command line has its own way to make one, but none beside a browser."""
    name = f"visitor{next(_counter)}"
    execute_on_file(server.db, PlayerAdd(agent="default", player_id=name, currency="USD", balance=100_00))
    return name


def open_session(server: Server, name: str) -> str:
    """A token of the player's."""
    token: str = execute_on_file(server.db, SessionOpen(agent="default", player_id=name, ttl_s=3600))["token"]
    return token


def deposit(server: Server, name: str, cents: int) -> None:
    """Cash, from somewhere else than the back office."""
    reference = f"{name} {next(_counter)}"
    execute_on_file(
        server.db, Transfer(operation="deposit", agent="default", player_id=name, amount=cents, reference=reference)
    )


def sign_in(page: Page, server: Server) -> None:
    """Sign this browser in, so that the next page it opens is as an admin sees it."""
    client = AdminClient(server)
    address = urlsplit(server.url)
    assert address.hostname
    cookie = client.http.cookies[COOKIE_NAME]
    page.context.add_cookies(
        [{"name": COOKIE_NAME, "value": cookie, "domain": address.hostname, "path": HOME_PATH, "httpOnly": True}]
    )
    client.http.close()


class AdminClient:
    """Reads pages, and sends forms as those pages have them."""

    def __init__(self, server: Server) -> None:
        headers = {"origin": server.url}
        self.http = httpx2.Client(base_url=server.url, headers=headers, timeout=TIMEOUT_S, trust_env=False)
        (token,) = parse_qs(urlsplit(create_login_link(server)).query)["token"]
        assert self.http.post("/admin/enter", data={"token": token}).status_code == 303
        found = CSRF_PATTERN.search(self.get_page("/admin/players/new"))
        assert found is not None
        self.csrf = found[1]

    def get_page(self, path: str, status: int = 200) -> str:
        """A page's text."""
        response = self.http.get(path)
        assert response.status_code == status, response.text
        return response.text

    def submit(self, path: str, **fields: object) -> httpx2.Response:
        """What comes of a form."""
        return self.http.post(path, data={"csrf": self.csrf, **fields})

    def flash_after(self, path: str, **fields: object) -> str:
        """What the next page tells of a form that was carried out."""
        response = self.submit(path, **fields)
        assert response.status_code == 303, response.text
        return read_flash(self.get_page(response.headers["location"]))


def read_flash(page: str) -> str:
    """What a page tells."""
    match = re.search(r'<p class="flash [^>]*>([^<]*)', page)
    return html.unescape(match[1]).strip() if match else ""


def read_field(page: str, name: str) -> str:
    """What a page has typed into a field."""
    match = re.search(rf'<input[^>]* name="{name}" value="([^"]*)"', page)
    assert match is not None, name
    return html.unescape(match[1])


def read_table_rows(page: str) -> list[list[str]]:
    """The rows of a page's tables, as text."""
    rows = re.findall(r"<tr[ >].*?</tr>", page, re.DOTALL)
    texts = [[_strip_markup(cell) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)] for row in rows]
    return [row for row in texts if row]


def _strip_markup(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())
