"""Shared fixtures, and settings of property tests: they have no deadline, because they test rules and not speed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import InProcessCli, Server, running_server

settings.register_profile("calm", deadline=None)
settings.load_profile("calm")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first, so that none of them starts last."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run async tests on asyncio, with the event loop that the server uses."""
    return "asyncio", {"use_uvloop": sys.implementation.name == "cpython"}


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Return a path for a new wallet file."""
    return tmp_path / "wallet.db"


@pytest.fixture
def cli(db: Path) -> InProcessCli:
    """Return the in-process command line, on a file without a server."""
    return InProcessCli(db)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server for the tests of a module; each test adds its own players."""
    with running_server(tmp_path_factory.mktemp("server") / "wallet.db") as running:
        yield running
