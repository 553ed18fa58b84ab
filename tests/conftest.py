"""Fixtures that start the real program; and property tests measure rules, not machines, so none has a deadline."""

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
    """The files of long tests come first: nobody waits in the end for one that was begun late."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run async tests on asyncio, with the event loop that the server uses."""
    return "asyncio", {"use_uvloop": sys.implementation.name == "cpython"}


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Where a wallet file may be made."""
    return tmp_path / "wallet.db"


@pytest.fixture
def cli(db: Path) -> InProcessCli:
    """The quick command line, on a file without a server."""
    return InProcessCli(db)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server that the tests of a module share; each test makes players of its own."""
    with running_server(tmp_path_factory.mktemp("server") / "wallet.db") as running:
        yield running
