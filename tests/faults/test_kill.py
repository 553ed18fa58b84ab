"""Servers that are killed under load."""

from pathlib import Path

import pytest

from tests.faults.harness import run_torture


@pytest.mark.long
def test_a_killed_server_has_lost_nothing(tmp_path: Path) -> None:
    """After each kill -9 all acknowledged calls are in the file with the same balance, and no others."""
    counts = run_torture("kill", 30, tmp_path).counts
    assert counts["kills"] == 30
    assert counts["acknowledged"] > 3_000
    assert counts["commands"] > 30
