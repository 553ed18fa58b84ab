"""Outcomes to render: one of each kind, with cash and bonus that cannot be taken for each other."""

from minwallet.ledger.commands import Bet, Cancel
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Refusal
from minwallet.ledger.outcomes import Applied, Refused, Replayed, Shown
from minwallet.protocols.wire import Holder
from tests.ledger.builders import NOW_MS, seen, snapshot

HOLDER = Holder("usr-1122334455", "USD")

SHOWN = Shown(1000, 200)

_bet = decide(snapshot(1000, 200), Bet("3", 1100, "3"), NOW_MS)
_closed = decide(snapshot(1000, 200), Cancel("3"), NOW_MS)
assert isinstance(_bet, Applied)
assert isinstance(_closed, Applied)

APPLIED = _bet
"""A bet that left no cash and 100 bonus."""

REPLAYED = Replayed(_bet.entry, 5, 6)
"""The same bet again, when there are 5 cash and 6 bonus."""

CLOSED = _closed
"""A cancel of an id never seen, with 1000 cash and 200 bonus."""

CLOSED_AGAIN = decide(snapshot(5, 6, trail=seen(Cancel("3"))), Cancel("3"), NOW_MS)


def refused(refusal: Refusal) -> Refused:
    return Refused(refusal, 1000, 200)
