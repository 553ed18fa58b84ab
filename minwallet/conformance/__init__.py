"""Tries any wallet server, in any language, from outside: a script of cases for each protocol, written as what is asked
and what has to come of it, and a runner that looks at the money after every step.

What the specification fixes *must* be so, and each case quotes its sentence. What only minwallet's contract fixes
*should* be so: a wallet that does it otherwise gets advice, not a failure.

`script` has the words the cases are written in, `wallet_v2` and `vela` the cases, `client` speaks HTTP, `runner` runs
cases and judges, `junit` writes the result for machines that build. A third protocol is one new file and one line here.
"""

from importlib import import_module

from minwallet.conformance.dsl import ProtocolSuite

PROTOCOL_SUITES = {
    "wallet-v2": "minwallet.conformance.wallet_v2_cases:WALLET_V2",
    "vela": "minwallet.conformance.vela_cases:VELA",
}


def load_suite(name: str) -> ProtocolSuite:
    """The cases of the protocol of this name; KeyError for a name that is not in DIALECTS."""
    module, _, attribute = PROTOCOL_SUITES[name].partition(":")
    suite: ProtocolSuite = getattr(import_module(module), attribute)
    return suite
