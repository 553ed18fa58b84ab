"""The tests for authors of protocols, with minwallet's own protocols."""

import pytest

from minwallet.protocols.vela import Vela
from minwallet.protocols.wallet_v2 import WalletV2
from minwallet.testing import ProtocolTests

pytestmark = pytest.mark.long


class TestWalletV2Rules(ProtocolTests):
    """wallet-v2 keeps the rules of money."""

    protocol = WalletV2


class TestVelaRules(ProtocolTests):
    """vela keeps the rules of money."""

    protocol = Vela
