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


class ReportedTicket(NamedTuple):
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
    """A ticket in the ledger. `has_taken_money` is false for a refused bet and for an id closed before its bet."""

    ticket: str
    game: str
    player_id: str
    currency: str
    stake: int
    payout: int
    has_taken_money: bool
    is_open: bool
    is_refunded: bool
    opened_at_ms: int
    updated_at_ms: int


class MatchStatus(StrEnum):
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


NOT_DIFFERENCES = frozenset({MatchStatus.MATCHED, MatchStatus.NOT_DUE, MatchStatus.NO_MONEY})


class CutOff(NamedTuple):
    """The times that limit a comparison: a ticket updated after `due_before_ms` is not due."""

    pulled_at_ms: int
    due_before_ms: int
    overdue_before_ms: int


def compare_ticket(ours: Ticket | None, theirs: ReportedTicket | None, cut_off: CutOff) -> MatchStatus:
    """What to say of a ticket that at least one side knows."""
    reported_money = (theirs.stake, theirs.payout) if theirs else (0, 0)
    if (
        ours is None
        or not ours.has_taken_money
        or (theirs is None and not ours.is_open and not ours.stake + ours.payout)
    ):
        return MatchStatus.MISSING_HERE if any(reported_money) else MatchStatus.NO_MONEY
    if ours.is_open and ours.opened_at_ms < cut_off.overdue_before_ms:
        return MatchStatus.OPEN_BET
    # A refunded ticket keeps nothing on either side, so a report that names it has to say that it was called off.
    if theirs and reported_money == ((0, 0) if ours.is_refunded else (ours.stake, ours.payout)):
        # A provider may call players by names of its own as long as they hold ours.
        return MatchStatus.MATCHED if ours.player_id in theirs.player_id else MatchStatus.PLAYER_DIFFERS
    if ours.updated_at_ms >= cut_off.due_before_ms or (ours.is_open and theirs is None):
        return MatchStatus.NOT_DUE
    if ours.is_refunded:
        return MatchStatus.REFUND_UNKNOWN
    return MatchStatus.AMOUNT_DIFFERS if theirs else MatchStatus.MISSING_THERE


def merge_rows(rows: Sequence[ReportRow], currencies: Sequence[str]) -> ReportedTicket:
    """The report's rows of one ticket as one, where `currencies` are those of each row's player."""
    first = rows[0]
    stake = sum(row.stake - row.cancelled - row.rejected for row in rows)
    payout = sum(row.payout for row in rows)
    return ReportedTicket(first.ticket, first.game, first.player_id, currencies[0], stake, payout, first.reported_at)


class Discrepancy(NamedTuple):
    """A ticket that is not as it should be, with whatever each side says of it."""

    status: MatchStatus
    ours: Ticket | None
    theirs: ReportedTicket | None


class TotalsKey(NamedTuple):
    """What totals are told by. `day` is the ledger's UTC day of the bet, the report's own for what is missing here."""

    day: str
    game: str
    currency: str


class TicketTotals(NamedTuple):
    """Tickets that moved money, what was staked, what was paid."""

    tickets: int = 0
    stake: int = 0
    payout: int = 0

    def plus(self, stake: int, payout: int) -> "TicketTotals":
        return TicketTotals(self.tickets + 1, self.stake + stake, self.payout + payout)


class Reconciliation:
    """Feed it the tickets of both sides, pair by pair; it counts, sums and keeps what differs.

    At most `max_discrepancies` differences are kept, if there is such a number; all are counted.
    """

    def __init__(self, cut_off: CutOff, max_discrepancies: int | None = None) -> None:
        self.cut_off = cut_off
        self.max_discrepancies = max_discrepancies
        self.counts: Counter[MatchStatus] = Counter()
        self.discrepancies: list[Discrepancy] = []
        self.ours: dict[TotalsKey, TicketTotals] = {}
        self.theirs: dict[TotalsKey, TicketTotals] = {}

    def list_totals_keys(self) -> list[TotalsKey]:
        """What there are totals for, in order."""
        return sorted(self.ours.keys() | self.theirs.keys())

    def add_pair(self, ours: Ticket | None, theirs: ReportedTicket | None, day: str) -> None:
        """A ticket that at least one side knows, and the day it counts for."""
        self.add(compare_ticket(ours, theirs, self.cut_off), ours, theirs)
        ticket = theirs if theirs and not (ours and ours.has_taken_money) else ours
        assert ticket is not None
        key = TotalsKey(day, ticket.game, ticket.currency)
        if ours and ours.has_taken_money and not ours.is_refunded:
            self.ours[key] = self.ours.get(key, TicketTotals()).plus(ours.stake, ours.payout)
        if theirs and (theirs.stake or theirs.payout):
            self.theirs[key] = self.theirs.get(key, TicketTotals()).plus(theirs.stake, theirs.payout)

    def add(self, status: MatchStatus, ours: Ticket | None, theirs: ReportedTicket | None) -> None:
        """Count a finding, and keep it where it is a difference."""
        self.counts[status] += 1
        if status not in NOT_DIFFERENCES and (
            self.max_discrepancies is None or len(self.discrepancies) < self.max_discrepancies
        ):
            self.discrepancies.append(Discrepancy(status, ours, theirs))
