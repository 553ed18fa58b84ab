"""Fixtures of the command line's tests."""

from collections.abc import Iterator

import pytest

from tests.support import Here, serving


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
