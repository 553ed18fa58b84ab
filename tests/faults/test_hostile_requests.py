"""Hostile requests."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import SEED, create_players
from tests.faults.hostile_requests import send_tampered_bets, try_all_methods
from tests.faults.load_clients import SeededPlayer
from tests.support import InProcessCli, Server, running_server


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("victim") / "wallet.db"


@pytest.fixture(scope="module")
def player(file: Path) -> SeededPlayer:
    """Somebody with much money, and a session that lasts."""
    (seat,) = create_players(InProcessCli(file), 1, cash="90000000000")
    return seat


@pytest.fixture(scope="module")
def server(file: Path, player: SeededPlayer) -> Iterator[Server]:
    del player  # who is there before the server is
    with running_server(file) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text()


def test_every_method_on_every_route_is_answered(server: Server) -> None:
    """With an answer that has a meaning, and never with a fault of the server's."""
    assert try_all_methods(server)["methods on routes"] > 500


def test_a_tampered_call_is_answered_truly(server: Server, player: SeededPlayer) -> None:
    """What is acknowledged is in the ledger, and what is refused is not, whatever was done to the request's bytes."""
    counts = send_tampered_bets(server, player, random.Random(SEED), 1_500)
    assert counts["tampered calls"] == 1_500
    assert 100 < counts["taken all the same"] < 1_400
