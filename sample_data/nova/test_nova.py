"""The money rules and the golden pairs, played with nova against a wallet in a temporary file."""

from pathlib import Path

from minwallet_nova import Nova

from minwallet.testing import ProtocolTests


class TestNova(ProtocolTests):
    """The tests of minwallet.testing for nova."""

    protocol = Nova
    golden_pairs = Path(__file__).with_name("nova.json")
