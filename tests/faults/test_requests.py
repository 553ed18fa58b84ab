"""Hostile requests."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.clients import Seat
from tests.faults.requests import tamper, try_all_methods
from tests.faults.trial import SEED, seats
from tests.support import Here, Server, serving


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("victim") / "wallet.db"


@pytest.fixture(scope="module")
def victim(file: Path) -> Seat:
    """Somebody with much money, and a session that lasts."""
    (seat,) = seats(Here(file), 1, cash="90000000000")
    return seat


@pytest.fixture(scope="module")
def server(file: Path, victim: Seat) -> Iterator[Server]:
    del victim  # who is there before the server is
    with serving(file) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text()


def test_every_method_on_every_route_is_answered(server: Server) -> None:
    """With an answer that has a meaning, and never with a fault of the server's."""
    assert try_all_methods(server)["methods on routes"] > 500


def test_a_tampered_call_is_answered_truly(server: Server, victim: Seat) -> None:
    """What is acknowledged is in the ledger, and what is refused is not, whatever was done to the request's bytes."""
    counts = tamper(server, victim, random.Random(SEED), 1_500)
    assert counts["tampered calls"] == 1_500
    assert 100 < counts["taken all the same"] < 1_400
