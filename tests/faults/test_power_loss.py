"""The power goes, at any moment, and the disk keeps of what was not synced whatever it likes."""

import os
from pathlib import Path

import pytest

from tests.faults.harness import run_torture
from tests.faults.syscalls import can_trace

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def _strace() -> None:
    """Without strace there is nothing to go by: skipped, or failed where `STRACE_REQUIRED` is set."""
    if not can_trace():
        reason = "no strace, or it may not trace: install it (apt install strace)"
        if os.environ.get("STRACE_REQUIRED"):
            pytest.fail(reason)
        pytest.skip(reason)


def test_no_loss_of_power_makes_a_reply_a_lie(tmp_path: Path) -> None:
    """Wherever the power goes, the wallet recovers to a ledger that has all that was acknowledged, and is whole."""
    counts = run_torture("power", 2_000, tmp_path).counts
    assert counts["states"] > 50
    assert counts["at stake"] > 1_000
