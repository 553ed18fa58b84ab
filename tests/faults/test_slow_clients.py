"""Slow heads."""

from pathlib import Path

import pytest

from tests.faults.harness import run_torture


@pytest.mark.long
def test_slow_heads_are_in_nobodys_way(tmp_path: Path) -> None:
    """With 500 connections that hardly send anything, a good client's p99 stays below twice its own."""
    assert run_torture("slow", 1, tmp_path).counts["slow heads"] >= 1_500
