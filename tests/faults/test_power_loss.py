"""Power loss at any moment, with any subset of unsynced writes on the disk."""

import os
from pathlib import Path

import pytest

from tests.faults.harness import run_torture
from tests.faults.syscalls import can_trace, read_calls


@pytest.fixture
def _strace() -> None:
    """Skip the test without strace, or fail it if `STRACE_REQUIRED` is set."""
    if not can_trace():
        reason = "no strace, or it may not trace: install it (apt install strace)"
        if os.environ.get("STRACE_REQUIRED"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.mark.long
@pytest.mark.usefixtures("_strace")
def test_a_power_loss_loses_no_acknowledged_call(tmp_path: Path) -> None:
    """After a power loss at any place, the wallet recovers to a valid ledger with all acknowledged calls."""
    counts = run_torture("power", 2_000, tmp_path).counts
    assert counts["states"] > 50
    assert counts["at stake"] > 1_000


def test_a_killed_thread_leaves_a_call_without_a_name(tmp_path: Path) -> None:
    """A call of a killed thread that strace could not read is no call; one without an end is."""
    log = tmp_path / "killed.strace"
    log.write_text(
        "11 fdatasync(7</w.db> <unfinished ...>\n"
        "12 ???( <unfinished ...>\n"
        "13 ???( )                = ?\n"
        "12 <... ??? resumed>)                = ?\n"
        "12 +++ killed by SIGKILL +++\n"
        "11 +++ killed by SIGKILL +++\n"
    )
    assert [call.name for call in read_calls(log)] == ["fdatasync"]
