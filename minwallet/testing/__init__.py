"""Tests for the authors of protocols. Besides minwallet, they need only pytest.

- `ProtocolTests`: a class to derive from. Its tests run the rules of money against the protocol over HTTP.
- `TemporaryWallet`: a running wallet on a temporary file, with its operator's acts.
- `Caller`: it builds, signs and sends the calls of a player as the provider does.
- `load_pairs`, `WirePair`: golden pairs of requests and replies, in a JSON file.

docs/third-protocol.md shows how to use them.
"""

import pytest

# The modules with assertions, before they are imported: pytest then shows the values of one that fails.
pytest.register_assert_rewrite(
    "minwallet.testing.altered_requests",
    "minwallet.testing.golden_pairs",
    "minwallet.testing.protocol_tests",
    "minwallet.testing.signature_tests",
)

from minwallet.testing.caller import Answer, Caller, new_id, parse_request  # noqa: E402 after the registration
from minwallet.testing.golden_pairs import WirePair, load_pairs  # noqa: E402 after the registration
from minwallet.testing.protocol_tests import ProtocolTests  # noqa: E402 after the registration
from minwallet.testing.temporary_wallet import CommandFailed, TemporaryWallet, WalletPlayer  # noqa: E402 after the registration

__all__ = [
    "Answer",
    "Caller",
    "CommandFailed",
    "ProtocolTests",
    "TemporaryWallet",
    "WalletPlayer",
    "WirePair",
    "load_pairs",
    "new_id",
    "parse_request",
]
