"""Random histories over real HTTP."""

from pathlib import Path

import pytest

from tests.faults.harness import run_torture


@pytest.mark.long
def test_the_server_agrees_with_a_simple_model(tmp_path: Path) -> None:
    """In both protocols and at the control endpoint, each answer is that of the model, with stops and kills of the
    server in between. The file agrees with all answers."""
    run_torture("model", 120, tmp_path)
