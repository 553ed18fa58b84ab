"""A client of the sign-in pages without a browser: links, passwords, and forms that may be rejected."""

import re
from itertools import count
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.support import TIMEOUT_S, Server

PASSWORD = "correct horse battery"

_address_numbers = count(1)
_clients: list[httpx2.Client] = []


def close_clients() -> None:
    """Close all clients."""
    while _clients:
        _clients.pop().close()


class LoginClient(httpx2.Client):
    """A client without cookies, at its own address, that sends the forms of the server's pages."""

    def __init__(self, server: Server, address: str = "") -> None:
        forwarded = address or f"203.0.113.{next(_address_numbers)}"
        headers = {"origin": server.url, "x-forwarded-for": forwarded}
        super().__init__(base_url=server.url, headers=headers, timeout=TIMEOUT_S, trust_env=False)
        _clients.append(self)

    def use_link(self, url: str) -> httpx2.Response:
        """Sign in with a link."""
        return self.post("/admin/enter", data={"token": extract_token(url)})

    def sign_in(self, name: str, password: str, next_path: str = "") -> httpx2.Response:
        return self.post("/admin/sign-in", data={"name": name, "password": password, "next": next_path})

    def submit(self, path: str, **fields: str) -> httpx2.Response:
        """Send a form of a signed-in admin."""
        return self.post(path, data={"csrf": extract_csrf(self.get("/admin/access").text), **fields})

    def set_password(self, new: str, old: str = "") -> httpx2.Response:
        return self.submit("/admin/access/password", old=old, new=new, again=new)

    @property
    def is_signed_in(self) -> bool:
        return self.get("/admin").status_code == 200


def create_login_link(server: Server, name: str = "admin") -> str:
    url: str = server.cli("admin", "link", "--name", name)["url"]
    return url


def extract_token(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


def extract_csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', page)
    assert found is not None
    return found[1]


def sign_in_by_link(server: Server, name: str) -> LoginClient:
    """Return a client that has signed in with a link."""
    client = LoginClient(server)
    assert client.use_link(create_login_link(server, name)).status_code == 303
    return client
