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
    """Return a player with enough money, and a session without an expiry."""
    (seat,) = create_players(InProcessCli(file), 1, cash="90000000000")
    return seat


@pytest.fixture(scope="module")
def server(file: Path, player: SeededPlayer) -> Iterator[Server]:
    del player  # the player must exist before the server starts
    with running_server(file) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text()


def test_every_method_on_every_route_is_answered(server: Server) -> None:
    """Each answer has an expected status, and never 500."""
    assert try_all_methods(server)["methods on routes"] > 500


def test_the_answer_to_an_altered_call_agrees_with_the_ledger(server: Server, player: SeededPlayer) -> None:
    """Acknowledged bets are in the ledger and refused ones are not, whatever bytes were altered."""
    counts = send_tampered_bets(server, player, random.Random(SEED), 1_500)
    assert counts["tampered calls"] == 1_500
    assert 100 < counts["accepted calls"] < 1_400
