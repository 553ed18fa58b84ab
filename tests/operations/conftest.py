"""Fixtures of the tests of operations."""

from collections.abc import Iterator

import pytest

from tests.protocol_package import installed, write_protocol_package


@pytest.fixture(scope="module", autouse=True)
def signed_protocol(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install a protocol that signs its calls, for the requests about its secrets."""
    with installed(write_protocol_package(tmp_path_factory.mktemp("packages"))):
        yield
