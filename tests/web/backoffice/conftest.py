"""Fixtures of the back office."""

from collections.abc import Iterator

import pytest

from tests.support import Server
from tests.web.backoffice.admin_client import AdminClient


@pytest.fixture(scope="module")
def admin_client(server: Server) -> Iterator[AdminClient]:
    """Return a signed-in client without a browser."""
    admin_client = AdminClient(server)
    yield admin_client
    admin_client.http.close()
