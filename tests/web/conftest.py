"""Fixtures that open pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support import Server
from tests.web.browser import Visitor, running_chromium
from tests.web.caller import Caller, hang_up

HERE = Path(__file__).parent

OF_PROVIDERS = ("test_concurrency", "test_http", "test_journal", "test_process")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What providers meet is tried on every Python; pages and the admin API would say nothing new there."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.path.stem not in OF_PROVIDERS:
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
