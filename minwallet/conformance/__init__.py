"""The conformance kit: it tests any wallet server, in any language, from outside over HTTP.

A suite has the cases of one protocol. A case is a list of requests with the expected replies and balance changes. The
runner reads the balance after each step.

- A *must* is a rule of the specification, and the case quotes its sentence. A wallet that breaks it fails.
- A *should* is a rule of minwallet's own contract only. A wallet that differs gets advice, not a failure.

`dsl` defines how cases are written. `wallet_v2_cases` and `vela_cases` are the cases; the modules `…_requests` beside
them have the requests and the quoted sentences. `client` sends requests,
`runner` runs and judges the cases, and `junit` renders the results for build servers. A further protocol needs one
module of cases and one line below.
"""

from importlib import import_module

from minwallet.conformance.dsl import ProtocolSuite

PROTOCOL_SUITES = {
    "wallet-v2": "minwallet.conformance.wallet_v2_cases:WALLET_V2",
    "vela": "minwallet.conformance.vela_cases:VELA",
}


def load_suite(name: str) -> ProtocolSuite:
    """Return the suite of a protocol. Raise KeyError if `PROTOCOL_SUITES` has no such name."""
    module, _, attribute = PROTOCOL_SUITES[name].partition(":")
    suite: ProtocolSuite = getattr(import_module(module), attribute)
    return suite
