"""The money rules, the signatures and the golden pairs, played with orbit against a wallet in a temporary file."""

from pathlib import Path

from minwallet_orbit import Orbit

from minwallet.testing import ProtocolTests


class TestOrbit(ProtocolTests):
    """The tests of minwallet.testing for orbit."""

    protocol = Orbit
    golden_pairs = Path(__file__).with_name("orbit.json")
