"""What the network does between provider and wallet."""

from pathlib import Path

import pytest

from tests.faults.harness import run_torture


@pytest.mark.long
def test_a_bad_network_makes_nothing_of_money(tmp_path: Path) -> None:
    """Whatever a network does to calls and answers, nothing acknowledged is lost and nothing is applied twice."""
    run_torture("network", 2_000, tmp_path)
