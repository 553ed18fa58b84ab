"""The reference is what the program says of itself."""

import pytest

from tests.docs.reference import render_reference
from tests.support import ROOT

pytestmark = pytest.mark.long


def test_the_reference_is_current() -> None:
    """Where this fails, `make reference` mends it."""
    assert (ROOT / "docs/reference.md").read_text("utf-8") == render_reference()
