"""Fixtures that open pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support import Server
from tests.web.browser import Visitor, launch_chromium
from tests.web.login_client import LoginClient, close_clients

WEB_TESTS = Path(__file__).parent

GATEWAY_TEST_MODULES = (
    "test_bugs",
    "test_concurrency",
    "test_http",
    "test_journal",
    "test_process",
    "test_request_limits",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of pages and of the admin API as long, so that they run on one Python only. Provider calls are
    tested on each Python."""
    for item in items:
        if item.path.is_relative_to(WEB_TESTS) and item.path.stem not in GATEWAY_TEST_MODULES:
            item.add_marker("long")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Yield a browser for the tests of a module."""
    with launch_chromium() as browser:
        yield browser


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Visitor]:
    """Yield a user whose pages must not have errors."""
    visitor = Visitor(chromium)
    yield visitor
    visitor.close()


@pytest.fixture
def page(visitor: Visitor) -> Page:
    """Return a page of desktop size in light mode."""
    return visitor.open()


@pytest.fixture
def login_client(server: Server) -> Iterator[LoginClient]:
    """Yield a client that is not signed in. Close all such clients at the end."""
    yield LoginClient(server)
    close_clients()
