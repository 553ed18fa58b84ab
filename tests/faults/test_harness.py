"""The common parts of all faults."""

from importlib import import_module
from pathlib import Path

import pytest

from tests.faults.harness import FAULTS
from tests.faults.torture import main
from tests.support import ROOT


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_a_module_and_is_documented(name: str) -> None:
    """Each fault has a module with `torture`, and a row in docs/testing.md."""
    assert callable(import_module(f"tests.faults.{FAULTS[name].module}").torture)
    assert f"| `{name}` |" in (ROOT / "docs/testing.md").read_text("utf-8")


def test_a_torture_ends_with_a_table(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The table has the fault, its size, its seed, and its counts."""
    assert main(["--only", "network", "--size", "300", "--seed", "7", "--folder", str(tmp_path)]) == 0
    printed = capfd.readouterr().out
    assert "| network | 300 calls | 7 |" in printed
    assert "acknowledged" in printed
