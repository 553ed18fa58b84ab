"""The quotations in the explanation of the money rules equal the specifications."""

import re
from types import ModuleType

import pytest

from minwallet.conformance import vela_cases, wallet_v2_cases
from tests.support import ROOT

pytestmark = pytest.mark.long

QUOTED = re.compile(r"^> “(.+)” \((wallet-v2|vela) specification, .+\)$", re.MULTILINE)


def _quoted_rules(dialect: ModuleType) -> set[str]:
    """Return the sentences of a specification that the conformance kit's cases quote."""
    return {text for name, text in vars(dialect).items() if name.isupper() and isinstance(text, str)}


def test_each_quotation_is_in_the_specification() -> None:
    """Each quotation equals, word for word, a sentence that the conformance kit tests."""
    page = (ROOT / "docs/money.md").read_text("utf-8")
    quoted = QUOTED.findall(page)
    kept = {"wallet-v2": _quoted_rules(wallet_v2_cases), "vela": _quoted_rules(vela_cases)}
    assert len(quoted) == len(re.findall(r"^>", page, re.MULTILINE)) > 10
    assert [sentence for sentence, protocol in quoted if sentence not in kept[protocol]] == []
