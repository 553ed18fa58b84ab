"""The reference equals the program's help."""

import pytest

from tests.docs.reference import render_reference
from tests.support import ROOT

pytestmark = pytest.mark.long


def test_the_reference_is_current() -> None:
    """If this fails, run `make reference`."""
    assert (ROOT / "docs/reference.md").read_text("utf-8") == render_reference()
