"""Outcomes to render: one of each kind. No two amounts of cash and bonus are equal, so a mix-up is visible."""

from minwallet.ledger.commands import Bet, Cancel
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Refusal
from minwallet.ledger.outcomes import Applied, BalanceShown, Refused, Replayed
from minwallet.protocols.wire import AccountHolder
from tests.ledger.builders import NOW_MS, history_of, snapshot

HOLDER = AccountHolder("usr-1122334455", "USD")

SHOWN = BalanceShown(1000, 200)

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

CLOSED_AGAIN = decide(snapshot(5, 6, history=history_of(Cancel("3"))), Cancel("3"), NOW_MS)


def make_refused(refusal: Refusal) -> Refused:
    return Refused(refusal, 1000, 200)
