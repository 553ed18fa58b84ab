"""A provider's report held against the ledger, ticket by ticket. Amounts are cents, times ms since 1970 UTC.

A ticket is what became of one transaction id: in the ledger through its bet, result and refund, in the report through
the rows that name it. Of both sides what counts is the money that stayed staked, and the money that was paid.
"""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class ReportRow(NamedTuple):
    """What the provider says of a bet. `cancelled` and `rejected` are the parts of `stake` that were called off.

    `reported_at` is the provider's own date and time as text, in whatever zone it keeps.
    """

    id: str
    ticket: str
    game: str
    player_id: str
    stake: int
    payout: int
    cancelled: int = 0
    rejected: int = 0
    status: str = ""
    reported_at: str = ""


class Reported(NamedTuple):
    """A ticket as the report has it: its rows summed, `stake` without what was called off.

    `currency` is that of the player of this name here, "" where there is none, or more than one.
    """

    ticket: str
    game: str
    player_id: str
    currency: str
    stake: int
    payout: int
    reported_at: str


class Ticket(NamedTuple):
    """A ticket as the ledger has it. `took_money` is false for a refused bet, and for an id closed before its bet."""

    ticket: str
    game: str
    player_id: str
    currency: str
    stake: int
    payout: int
    took_money: bool
    is_open: bool
    is_refunded: bool
    opened_at_ms: int
    moved_at_ms: int


class Finding(StrEnum):
    """What the two sides of a ticket come to."""

    MATCHED = "matched"
    NOT_DUE = "not due"
    """It moved after the report was pulled, or is a bet that is still being played."""
    NO_MONEY = "no money"
    """Known to one side as something that was called off before any money moved."""
    AMOUNT_DIFFERS = "amount differs"
    PLAYER_DIFFERS = "player differs"
    MISSING_HERE = "missing here"
    MISSING_THERE = "missing there"
    OPEN_BET = "open bet"
    REFUND_UNKNOWN = "refund unknown"
    """Given back here, of which the report knows nothing."""
    ORPHAN_WIN = "orphan win"
    """Paid here, to a round without a bet."""


FINE = frozenset({Finding.MATCHED, Finding.NOT_DUE, Finding.NO_MONEY})


class Horizon(NamedTuple):
    """Up to when the sides can be compared: what moved since `due_ms` is not due, and an open bet has its time."""

    pulled_at_ms: int
    due_ms: int
    open_since_ms: int


def compare(ours: Ticket | None, theirs: Reported | None, horizon: Horizon) -> Finding:
    """What to say of a ticket that at least one side knows."""
    kept = (theirs.stake, theirs.payout) if theirs else (0, 0)
    if ours is None or not ours.took_money or (theirs is None and not ours.is_open and not ours.stake + ours.payout):
        return Finding.MISSING_HERE if any(kept) else Finding.NO_MONEY
    if ours.is_open and ours.opened_at_ms < horizon.open_since_ms:
        return Finding.OPEN_BET
    # A refunded ticket keeps nothing on either side, so a report that names it has to say that it was called off.
    if theirs and kept == ((0, 0) if ours.is_refunded else (ours.stake, ours.payout)):
        # A provider may call players by names of its own as long as they hold ours.
        return Finding.MATCHED if ours.player_id in theirs.player_id else Finding.PLAYER_DIFFERS
    if ours.moved_at_ms >= horizon.due_ms or (ours.is_open and theirs is None):
        return Finding.NOT_DUE
    if ours.is_refunded:
        return Finding.REFUND_UNKNOWN
    return Finding.AMOUNT_DIFFERS if theirs else Finding.MISSING_THERE


def sum_up(rows: Sequence[ReportRow], currencies: Sequence[str]) -> Reported:
    """The report's rows of one ticket as one, where `currencies` are those of each row's player."""
    first = rows[0]
    stake = sum(row.stake - row.cancelled - row.rejected for row in rows)
    payout = sum(row.payout for row in rows)
    return Reported(first.ticket, first.game, first.player_id, currencies[0], stake, payout, first.reported_at)


class Difference(NamedTuple):
    """A ticket that is not as it should be, with whatever each side says of it."""

    finding: Finding
    ours: Ticket | None
    theirs: Reported | None


class Heading(NamedTuple):
    """What totals are told by. `day` is the ledger's UTC day of the bet, the report's own for what is missing here."""

    day: str
    game: str
    currency: str


class Sums(NamedTuple):
    """Tickets that moved money, what was staked, what was paid."""

    tickets: int = 0
    stake: int = 0
    payout: int = 0

    def plus(self, stake: int, payout: int) -> "Sums":
        return Sums(self.tickets + 1, self.stake + stake, self.payout + payout)


class Reconciliation:
    """Feed it the tickets of both sides, pair by pair; it counts, sums and keeps what differs.

    At most `most_kept` differences are kept, if there is such a number; all are counted.
    """

    def __init__(self, horizon: Horizon, most_kept: int | None = None) -> None:
        self.horizon = horizon
        self.most_kept = most_kept
        self.counts: Counter[Finding] = Counter()
        self.differences: list[Difference] = []
        self.ours: dict[Heading, Sums] = {}
        self.theirs: dict[Heading, Sums] = {}

    def headings(self) -> list[Heading]:
        """What there are totals for, in order."""
        return sorted(self.ours.keys() | self.theirs.keys())

    def meet(self, ours: Ticket | None, theirs: Reported | None, day: str) -> None:
        """A ticket that at least one side knows, and the day it counts for."""
        self.note(compare(ours, theirs, self.horizon), ours, theirs)
        named = theirs if theirs and not (ours and ours.took_money) else ours
        assert named is not None
        heading = Heading(day, named.game, named.currency)
        if ours and ours.took_money and not ours.is_refunded:
            self.ours[heading] = self.ours.get(heading, Sums()).plus(ours.stake, ours.payout)
        if theirs and (theirs.stake or theirs.payout):
            self.theirs[heading] = self.theirs.get(heading, Sums()).plus(theirs.stake, theirs.payout)

    def note(self, finding: Finding, ours: Ticket | None, theirs: Reported | None) -> None:
        """Count a finding, and keep it where it is a difference."""
        self.counts[finding] += 1
        if finding not in FINE and (self.most_kept is None or len(self.differences) < self.most_kept):
            self.differences.append(Difference(finding, ours, theirs))
