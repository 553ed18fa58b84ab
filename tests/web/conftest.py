"""Fixtures that open pages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support import Server
from tests.web.browser import Visitor, running_chromium
from tests.web.caller import Caller, hang_up


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a browser shows is the same on every Python."""
    for item in items:
        if isinstance(item, pytest.Function) and "chromium" in item.fixturenames:
            item.add_marker("long")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for the tests of a module."""
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Visitor]:
    """Somebody whose pages may not complain."""
    visitor = Visitor(chromium)
    yield visitor
    visitor.leave()


@pytest.fixture
def page(visitor: Visitor) -> Page:
    """One page on a desk, by day."""
    return visitor.open()


@pytest.fixture
def caller(server: Server) -> Iterator[Caller]:
    """Somebody at a door whom the server does not know; they and all others have hung up in the end."""
    yield Caller(server)
    hang_up()
