"""The conformance kit: it tests any wallet server, in any language, from outside over HTTP.

A suite has the cases of one protocol. A case is a list of requests with the expected replies and balance changes. The
runner reads the balance after each step.

- A *must* is a rule of the specification, and the case quotes its sentence. A wallet that breaks it fails.
- A *should* is a rule of minwallet's own contract only. A wallet that differs gets advice, not a failure.

`dsl` defines how cases are written, `checks` what is checked in a reply. `wallet_v2_cases` and `vela_cases` are the
cases; the modules `…_requests` beside them have the requests and the quoted sentences. `client` sends requests,
`balances` watches the money, `case_run` runs and judges one case, `runner` all of them. `report` describes the results
for people, and `junit` for build servers. A further protocol needs one module of cases and one line below.
"""

from importlib import import_module

from minwallet.conformance.dsl import ProtocolSuite

PROTOCOL_SUITES = {
    "wallet-v2": "minwallet.conformance.wallet_v2_cases:WALLET_V2",
    "vela": "minwallet.conformance.vela_cases:VELA",
}


class NoCases(LookupError):
    """A protocol has no conformance cases."""


def load_suite(name: str) -> ProtocolSuite:
    """Return the suite of a protocol. Raise NoCases if `PROTOCOL_SUITES` has no such name."""
    if name not in PROTOCOL_SUITES:
        raise NoCases(f"protocol {name!r} has no conformance cases; use {' or '.join(PROTOCOL_SUITES)}")
    module, _, attribute = PROTOCOL_SUITES[name].partition(":")
    suite: ProtocolSuite = getattr(import_module(module), attribute)
    return suite
