"""The providers' wire protocols, one file each, both halves in it: parse and render for the wallet that answers, build
and read for whoever calls a wallet. Bytes in, bytes out; no sockets, no clock.

A third protocol is one new file and one line here; what its provider offers operators, if anything, is another.
"""

from importlib import import_module
from typing import Any

from minwallet.protocols.operator_service import OperatorServiceProtocol
from minwallet.protocols.wire import WireProtocol

PROTOCOLS = {
    "wallet-v2": "minwallet.protocols.wallet_v2:WalletV2",
    "vela": "minwallet.protocols.vela:Vela",
}


OPERATOR_SERVICES = {
    "vela": "minwallet.protocols.vela_service:VelaService",
}


def load_protocol(name: str) -> WireProtocol:
    """The protocol of this name; KeyError for a name that is not in PROTOCOLS."""
    protocol: WireProtocol = _load_instance(PROTOCOLS[name])
    return protocol


def load_operator_service(name: str) -> OperatorServiceProtocol:
    """What the protocol's provider offers operators; KeyError where that is nothing."""
    service: OperatorServiceProtocol = _load_instance(OPERATOR_SERVICES[name])
    return service


def _load_instance(target: str) -> Any:  # noqa: ANN401 whatever the registry names
    module, _, class_name = target.partition(":")
    return getattr(import_module(module), class_name)()
