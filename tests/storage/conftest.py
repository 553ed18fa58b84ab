"""Fixtures of the stores' tests."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from minwallet.storage.store import Store
from tests.storage.store_helpers import Run, open_store


@pytest.fixture
def run() -> Iterator[Run]:
    """Yield a function that runs coroutines on one event loop, as a store is bound to its loop."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, run: Run, tmp_path: Path) -> Iterator[Store]:
    """Yield a new store, once for each engine."""
    opened = run(open_store(request.param, tmp_path))
    yield opened
    run(opened.close())
