"""A disk that fails in the nth call."""

import os
from pathlib import Path

import pytest

from tests.faults.harness import run_torture
from tests.faults.preload import preload_unavailable_reason


@pytest.mark.long
@pytest.mark.skipif(
    bool(preload_unavailable_reason()) and not os.environ.get("COMPILER_REQUIRED"),
    reason=preload_unavailable_reason() or "it can be tried",
)
def test_a_failing_disk_loses_nothing(tmp_path: Path) -> None:
    """Whichever call fails, every acknowledged call is in the file, and a retry gets the true outcome."""
    counts = run_torture("io", 40, tmp_path).counts
    for phase in ("under load", "in making a file", "in a life", "in a deposit", "in a seed", "in a checkpoint"):
        assert counts[f"failures {phase}"] >= 12, phase
    for call in ("write of its log", "sync of its log", "write of the file", "write of its index"):
        assert counts[f"failures of a {call}"] > 0, call
    assert counts["bets that a restart brought back"] > 0
    assert counts["stopped under load"] >= 12
    assert counts["goes on under load"] >= 6
