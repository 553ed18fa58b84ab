"""The conformance kit: it tests any wallet server, in any language, from outside over HTTP.

A suite has the cases of one protocol. A case is a list of requests with the expected replies and balance changes. The
runner reads the balance after each step.

- A *must* is a rule of the specification, and the case quotes its sentence. A wallet that breaks it fails.
- A *should* is a rule of minwallet's own contract only. A wallet that differs gets advice, not a failure.

`dsl` defines how cases are written, with `amounts` and `request_fields`, and `checks` what is checked in a reply.
`wallet_v2_cases` and `vela_cases` are the cases; the modules `…_requests` beside them have the requests and the quoted
sentences. `client` sends requests, `balances` watches the money, `case_run` runs and judges one case, `runner` all of
them. `report` describes the results for people, and `junit` for build servers.

A protocol package brings its own cases: its class names a `ProtocolSuite` in `conformance`, as `module:object`. The
requests of `CommandRequests` suffice for most protocols:

    PICO = PicoProtocol()
    orders = CommandRequests(PICO)
    SUITE = ProtocolSuite(
        PICO,
        balance_request=orders.query(),
        cancel_bet=orders.cancel,
        id_field="id",
        drain=lambda letter, amount: [orders.bet(letter, amount)],
        cases=(
            must("bet", "A bet takes its stake.", "bet: takes the amount", orders.bet("a", 5).accepted(-5)),
            must("bet-retry", "A retry takes nothing more.", "id: unique",
                 orders.bet("a", 5).accepted(-5), orders.bet("a", 5).moves(-5)),
            should("bet-id-other-stake", "A used id with another stake is refused.", "A used id is refused.",
                   orders.bet("a", 5).accepted(-5), orders.bet("a", 6).refused(-5)),
        ),
    )
"""

from minwallet.conformance.dsl import ProtocolSuite
from minwallet.protocols.packages import describe_fault
from minwallet.protocols.registry import has_part, list_protocols, load_part


class NoCases(LookupError):
    """A protocol has no conformance cases that can be used; the message says why."""


def list_tested_protocols() -> tuple[str, ...]:
    """Return the names of the installed protocols that have cases."""
    return tuple(name for name in list_protocols() if has_part(name, "conformance"))


def load_suite(name: str) -> ProtocolSuite:
    """Return the suite of an installed protocol. Raise NoCases if it has none, or a faulty one."""
    if not has_part(name, "conformance"):
        raise NoCases(f"protocol {name!r} has no conformance cases; use {' or '.join(list_tested_protocols())}")
    try:
        suite: ProtocolSuite = load_part(name, "conformance")
    except Exception as error:
        raise NoCases(
            f"the conformance cases of protocol {name!r} cannot be loaded: {describe_fault(error)}"
        ) from error
    return suite
