"""Fixtures that start the real program, and a profile for property tests without deadlines, as they measure rules and
not machines.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import InProcessCli, Server, running_server

settings.register_profile("calm", deadline=None)
settings.load_profile("calm")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files of long tests first, so that none of them runs alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Return the path for a new wallet file."""
    return tmp_path / "wallet.db"


@pytest.fixture
def cli(db: Path) -> InProcessCli:
    """Return the in-process command line on a file without a server."""
    return InProcessCli(db)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a running server that the tests of a module share. Each test adds players of its own."""
    with running_server(tmp_path_factory.mktemp("server") / "wallet.db") as running:
        yield running
