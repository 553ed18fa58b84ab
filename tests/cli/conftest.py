"""Fixtures of the command line's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Here, serving

HERE = Path(__file__).parent

OF_PYTHON = ("test_ledger", "test_process", "test_seed", "test_serve", "test_tail")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Processes, signals and files are tried on every Python; what commands say would be nothing new there."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.path.stem not in OF_PYTHON:
            item.add_marker("long")


@pytest.fixture(scope="session", params=["alone", "served"])
def wallet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    """A wallet file, once with nobody else on it and once with a running server: the user notices no difference.

    All tests share it; each makes players of its own.
    """
    here = Here(tmp_path_factory.mktemp("wallet") / "wallet.db")
    if request.param == "alone":
        here("agent", "add", "first")
        yield here
    else:
        with serving(here.db):
            here("agent", "add", "first")
            yield here
