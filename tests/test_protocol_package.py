"""The tests' own package with a protocol is found as an installed one is."""

import subprocess
import sys
from pathlib import Path

import pytest

from minwallet.protocols.registry import is_installed, list_protocols, load_protocol
from tests.protocol_package import installed, write_protocol_package
from tests.support import clean_environment


def test_a_package_is_installed_inside_the_block(tmp_path: Path) -> None:
    """Before and after it, this process knows minwallet's own protocols only."""
    before = list_protocols()
    with installed(write_protocol_package(tmp_path)):
        assert set(list_protocols()) == {*before, "signed"}
        signature = load_protocol("signed").signature
        assert signature
        assert signature.max_age_ms == 60_000
    assert list_protocols() == before
    assert not is_installed("signed")
    with pytest.raises(KeyError):
        load_protocol("signed")


def test_a_process_finds_the_package_in_pythonpath(tmp_path: Path) -> None:
    """As it finds one that pip installed."""
    program = "from minwallet.protocols.registry import list_protocols; print(*list_protocols())"
    folder = write_protocol_package(tmp_path)
    env = clean_environment(PYTHONPATH=str(folder))
    found = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert "signed" in found.stdout.split()
