"""Fixtures of the command line's tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import InProcessCli, running_server

CLI_TESTS = Path(__file__).parent

RUN_ON_EVERY_PYTHON = ("test_ledger", "test_command_contract", "test_seed", "test_serve", "test_tail")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of plain messages as long. Processes, signals and files are tested on every Python."""
    for item in items:
        if item.path.is_relative_to(CLI_TESTS) and item.path.stem not in RUN_ON_EVERY_PYTHON:
            item.add_marker("long")


@pytest.fixture
def public_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change into a folder that all users can reach. The folders of pytest are private."""
    with tempfile.TemporaryDirectory(prefix="minwallet-test-") as name:
        Path(name).chmod(0o777)
        (folder := Path(name) / "here").mkdir()
        monkeypatch.chdir(folder)
        yield folder


@pytest.fixture(scope="session", params=["alone", "served"])
def wallet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCli]:
    """Return the command line on a wallet file, once without and once with a running server. Results are the same.

    All tests share the file, and each adds players of its own.
    """
    cli = InProcessCli(tmp_path_factory.mktemp("wallet") / "wallet.db")
    if request.param == "alone":
        cli("agent", "add", "first")
        yield cli
    else:
        with running_server(cli.db):
            cli("agent", "add", "first")
            yield cli
