"""Random histories over real HTTP."""

from pathlib import Path

import pytest

from tests.faults.harness import run_torture


@pytest.mark.long
def test_the_server_does_what_a_naive_model_does(tmp_path: Path) -> None:
    """Whatever is asked in whatever order, in both protocols and at the desk, each answer is the model's, whether the
    server goes on or is stopped or killed in between; and the file is what was said.
    """
    run_torture("model", 200, tmp_path)
