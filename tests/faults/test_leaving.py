"""Clients that leave, servers that are stopped, and who may serve a file."""

from pathlib import Path

import pytest

from tests.faults.trial import torture


@pytest.mark.long
def test_whoever_leaves_takes_nothing_along(tmp_path: Path) -> None:
    """A client that goes at any point leaves its call done wholly or not at all and nobody waiting; a server that is
    told to stop answers what it has begun; a command whose server died can be repeated; and one server has the file.
    """
    torture("leaving", 500, tmp_path)
