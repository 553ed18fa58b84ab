"""The registry of wire protocols: their names and import paths.

Each protocol is one file with both halves. The wallet parses requests and renders replies. The demo provider, the
conformance kit and `replay` build requests and parse replies. All of it is bytes in, bytes out: no sockets, no clock.

A third protocol is one new file and one line in PROTOCOLS. If its provider has a game list and a report, they are
another file and one line in OPERATOR_SERVICES. See docs/third-protocol.md.
"""

from importlib import import_module
from typing import Any

from minwallet.protocols.operator_service import OperatorServiceProtocol
from minwallet.protocols.wire import WireProtocol

PROTOCOLS = {
    "wallet-v2": "minwallet.protocols.wallet_v2:WalletV2",
    "vela": "minwallet.protocols.vela:Vela",
}
"""Each protocol's name, as the ledger and the command line write it, and its class as `module:class`."""

OPERATOR_SERVICES = {
    "vela": "minwallet.protocols.vela_service:VelaService",
}
"""The game list and report of the protocol's provider, as `module:class`; wallet-v2 has none."""


def load_protocol(name: str) -> WireProtocol:
    """Return a new instance of the protocol. Raise KeyError if PROTOCOLS has no such name."""
    protocol: WireProtocol = _load_instance(PROTOCOLS[name])
    return protocol


def load_operator_service(name: str) -> OperatorServiceProtocol:
    """Return the service of the protocol's provider. Raise KeyError if OPERATOR_SERVICES has no such name."""
    service: OperatorServiceProtocol = _load_instance(OPERATOR_SERVICES[name])
    return service


def _load_instance(target: str) -> Any:  # noqa: ANN401 whatever the registry names
    # Imported by name, so that a process loads only the protocols it uses and no other package names them.
    module, _, class_name = target.partition(":")
    return getattr(import_module(module), class_name)()
