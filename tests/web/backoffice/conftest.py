"""Fixtures of the back office."""

from collections.abc import Iterator

import pytest

from tests.support import Server
from tests.web.backoffice.clerk import Clerk


@pytest.fixture(scope="module")
def clerk(server: Server) -> Iterator[Clerk]:
    """Somebody signed in, without a browser."""
    clerk = Clerk(server)
    yield clerk
    clerk.http.close()
