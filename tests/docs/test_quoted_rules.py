"""What the explanation of the money rules quotes is what the specifications say."""

import re
from types import ModuleType

import pytest

from minwallet.conformance import vela_cases, wallet_v2_cases
from tests.support import ROOT

pytestmark = pytest.mark.long

QUOTED = re.compile(r"^> “(.+)” \((wallet-v2|vela) specification, .+\)$", re.MULTILINE)


def _quoted_rules(dialect: ModuleType) -> set[str]:
    """The sentences of a specification, as the conformance kit keeps them for its cases."""
    return {text for name, text in vars(dialect).items() if name.isupper() and isinstance(text, str)}


def test_what_is_quoted_is_what_is_written() -> None:
    """Each quotation is, word for word, a sentence that the conformance kit holds wallets to."""
    page = (ROOT / "docs/money.md").read_text("utf-8")
    quoted = QUOTED.findall(page)
    kept = {"wallet-v2": _quoted_rules(wallet_v2_cases), "vela": _quoted_rules(vela_cases)}
    assert len(quoted) == len(re.findall(r"^>", page, re.MULTILINE)) > 10
    assert [sentence for sentence, protocol in quoted if sentence not in kept[protocol]] == []
