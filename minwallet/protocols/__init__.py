"""The providers' wire protocols, one file each, both halves in it: parse and render for the wallet that answers, build
and read for whoever calls a wallet. Bytes in, bytes out; no sockets, no clock.

A third protocol is one new file and one line here.
"""

from importlib import import_module

from minwallet.protocols.wire import WireProtocol

PROTOCOLS = {
    "wallet-v2": "minwallet.protocols.wallet_v2:WalletV2",
    "vela": "minwallet.protocols.vela:Vela",
}


def load_protocol(name: str) -> WireProtocol:
    """The protocol of this name; KeyError for a name that is not in PROTOCOLS."""
    module, _, class_name = PROTOCOLS[name].partition(":")
    protocol: WireProtocol = getattr(import_module(module), class_name)()
    return protocol
