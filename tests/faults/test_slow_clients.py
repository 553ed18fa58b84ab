"""Slow request heads."""

from pathlib import Path

import pytest

from tests.faults.harness import run_torture


@pytest.mark.long
def test_slow_heads_do_not_delay_normal_clients(tmp_path: Path) -> None:
    """With 500 connections that hardly send anything, the p99 of a normal client stays below twice its value."""
    assert run_torture("slow", 1, tmp_path).counts["slow heads"] >= 1_500
