"""A bad network between provider and wallet."""

from pathlib import Path

import pytest

from tests.faults.harness import run_torture


@pytest.mark.long
def test_a_bad_network_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """With any delivery of calls and answers, nothing acknowledged is lost and nothing is applied twice."""
    run_torture("network", 2_000, tmp_path)
