"""Somebody at a door of the back office, without a browser: links, passwords, and forms that may be refused."""

import re
from itertools import count
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.support import PATIENCE_S, Server

PASSWORD = "correct horse battery"

_addresses = count(1)
_callers: list[httpx2.Client] = []


def hang_up() -> None:
    """Every caller is gone."""
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
