"""The money rules and the golden pairs, played with the protocol pico against a wallet in a temporary file."""

from minwallet_pico import PicoProtocol

from minwallet.testing import ProtocolTests


class TestPico(ProtocolTests):
    """The tests of minwallet.testing for pico."""

    protocol = PicoProtocol
    golden_pairs = "pico.json"
