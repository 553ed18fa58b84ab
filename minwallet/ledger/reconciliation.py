"""The comparison of a provider's report with the ledger, ticket by ticket. Amounts are cents, times ms since 1970 UTC.

Rules

1. A ticket is all that belongs to one transaction id. In the ledger this is its bet, result and refund. In the report
   it is the sum of the rows that name it.
2. Each side counts two amounts: the stake without its cancelled or rejected parts, and the payout.
3. A refunded ticket counts 0 on both sides. If the report names it, it must say that the stake was cancelled.
4. A ticket that moved after `CutOff.due_before_ms` is not due: the provider may not have reported it yet.
5. An open bet is not due until `CutOff.overdue_before_ms`; an older one is a difference of its own.
6. Player names match if the report's name contains ours, because providers add a prefix or a suffix of their own. Case
   does not matter. A name that is exactly another player of ours, or contains a longer name of ours around this one,
   differs: with players `1` and `12`, neither `12` nor `op_12` is player `1`.

Theory of operation

The caller pairs the tickets of both sides and passes each pair to `Reconciliation.add_pair`. `compare_ticket` checks in
this order, and the first status that applies wins: no money here, overdue open bet, equal money, not due, refund
unknown, different or missing. Equal money comes before "not due", so a report may be newer than its cut-off.

Totals per day, game and currency show both sides next to each other. Each side adds only its own tickets that kept
money.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import NamedTuple

MAX_PLAYER_ID_LENGTH = 40


class ReportRow(NamedTuple):
    """One row of the provider's report about a bet.

    `cancelled` and `rejected` are the parts of `stake` that the provider took back. `reported_at` is the provider's
    date and time as text; its time zone is unknown.
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
    """A ticket of the report: the sum of its rows, `stake` without the cancelled and rejected parts.

    The report has no currency. `currency` is that of the wallet's player with this name; if no name is equal, that of
    the player whose name differs in case only. It is "" if the player is unknown or has several currencies.
    """

    ticket: str
    game: str
    player_id: str
    currency: str
    stake: int
    payout: int
    reported_at: str


class Ticket(NamedTuple):
    """A ticket of the ledger. `has_taken_money` is false for a refused bet and for an id closed before its bet."""

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
    """The result of comparing the two sides of a ticket."""

    MATCHED = "matched"
    NOT_DUE = "not due"
    """It changed after the cut-off, or its bet is still open."""
    NO_MONEY = "no money"
    """No money moved here, and the report has none or all of it cancelled."""
    AMOUNT_DIFFERS = "amount differs"
    PLAYER_DIFFERS = "player differs"
    MISSING_HERE = "missing here"
    MISSING_THERE = "missing there"
    OPEN_BET = "open bet"
    REFUND_UNKNOWN = "refund unknown"
    """Refunded here, but not cancelled in the report."""
    ORPHAN_WIN = "orphan win"
    """Paid here, without a known bet."""


NOT_DIFFERENCES = frozenset({MatchStatus.MATCHED, MatchStatus.NOT_DUE, MatchStatus.NO_MONEY})
"""The statuses that need no action."""


class CutOff(NamedTuple):
    """The times that limit a comparison.

    - `pulled_at_ms`: the time of the last report pull.
    - `due_before_ms`: a ticket that changed at this time or later is not due. It is the time of the pull minus a grace.
    - `overdue_before_ms`: an open bet from before this time is a difference.
    """

    pulled_at_ms: int
    due_before_ms: int
    overdue_before_ms: int


def list_rival_names(ours: str, reported: str) -> list[str]:
    """Return the names, in lower case, by which the report could mean another player than `ours` (rule 6).

    They are the parts of the reported name that contain ours. The list is empty if the names are equal, or if the
    report's name does not contain ours.
    """
    if ours == reported:
        return []
    part, whole = ours.lower(), reported.lower()
    pieces = {
        whole[start : start + length]
        for length in range(len(part), MAX_PLAYER_ID_LENGTH + 1)
        for start in range(len(whole) - length + 1)
    }
    return sorted(piece for piece in pieces if part in piece)


def is_same_player(ours: str, reported: str, players: Collection[str]) -> bool:
    """Return True if the report's name means our player; `players` has the ids of ours among `list_rival_names`."""
    if ours == reported:
        return True
    is_another = any(each == reported or len(each) > len(ours) for each in players)
    return ours.lower() in reported.lower() and not is_another


def compare_ticket(
    ours: Ticket | None, theirs: ReportedTicket | None, cut_off: CutOff, players: Collection[str] = ()
) -> MatchStatus:
    """Return the status of a ticket that at least one side knows; `players` as in `is_same_player`."""
    reported_money = (theirs.stake, theirs.payout) if theirs else (0, 0)
    if (
        ours is None
        or not ours.has_taken_money
        or (theirs is None and not ours.is_open and not ours.stake + ours.payout)
    ):
        return MatchStatus.MISSING_HERE if any(reported_money) else MatchStatus.NO_MONEY
    if ours.is_open and ours.opened_at_ms < cut_off.overdue_before_ms:
        return MatchStatus.OPEN_BET
    # Rule 3: a refunded ticket counts nothing here, whatever stake and payout the ledger has for it.
    if theirs and reported_money == ((0, 0) if ours.is_refunded else (ours.stake, ours.payout)):
        # Rule 6.
        is_same = is_same_player(ours.player_id, theirs.player_id, players)
        return MatchStatus.MATCHED if is_same else MatchStatus.PLAYER_DIFFERS
    if ours.updated_at_ms >= cut_off.due_before_ms or (ours.is_open and theirs is None):
        return MatchStatus.NOT_DUE
    if ours.is_refunded:
        return MatchStatus.REFUND_UNKNOWN
    return MatchStatus.AMOUNT_DIFFERS if theirs else MatchStatus.MISSING_THERE


def merge_rows(rows: Sequence[ReportRow], currencies: Sequence[str]) -> ReportedTicket:
    """Return the sum of the report's rows of one ticket; `currencies` has the currency of each row's player.

    Raise IndexError if there are no rows. Game, player, currency and date are those of the first row.
    """
    first = rows[0]
    stake = sum(row.stake - row.cancelled - row.rejected for row in rows)
    payout = sum(row.payout for row in rows)
    return ReportedTicket(first.ticket, first.game, first.player_id, currencies[0], stake, payout, first.reported_at)


class Discrepancy(NamedTuple):
    """A ticket that differs, with the tickets of both sides; None for a side that does not know it."""

    status: MatchStatus
    ours: Ticket | None
    theirs: ReportedTicket | None


class TotalsKey(NamedTuple):
    """The group of a total. `day` is the UTC day of the ledger's bet, or the report's day if no bet is here."""

    day: str
    game: str
    currency: str


class TicketTotals(NamedTuple):
    """A number of tickets that kept money, and their stakes and payouts in cents."""

    tickets: int = 0
    stake: int = 0
    payout: int = 0

    def plus(self, stake: int, payout: int) -> "TicketTotals":
        """Return the totals with one more ticket."""
        return TicketTotals(self.tickets + 1, self.stake + stake, self.payout + payout)


class Reconciliation:
    """A comparison in progress: its counts per status, its totals and its differences.

    It keeps up to `max_discrepancies` differences (None: all) and counts all of them.
    """

    def __init__(self, cut_off: CutOff, max_discrepancies: int | None = None) -> None:
        self.cut_off = cut_off
        self.max_discrepancies = max_discrepancies
        self.counts: Counter[MatchStatus] = Counter()
        self.discrepancies: list[Discrepancy] = []
        self.ours: dict[TotalsKey, TicketTotals] = {}
        self.theirs: dict[TotalsKey, TicketTotals] = {}

    def list_totals_keys(self) -> list[TotalsKey]:
        """Return the keys of all totals of both sides, sorted."""
        return sorted(self.ours.keys() | self.theirs.keys())

    def add_pair(
        self, ours: Ticket | None, theirs: ReportedTicket | None, day: str, players: Collection[str] = ()
    ) -> None:
        """Compare and count a ticket that at least one side knows.

        `day` is the day of its totals, and `players` is that of `is_same_player`.
        """
        self.add(compare_ticket(ours, theirs, self.cut_off, players), ours, theirs)
        # The ledger's game and currency are certain. The report's serve only for a ticket that moved no money here.
        ticket = theirs if theirs and not (ours and ours.has_taken_money) else ours
        assert ticket is not None
        key = TotalsKey(day, ticket.game, ticket.currency)
        if ours and ours.has_taken_money and not ours.is_refunded:
            self.ours[key] = self.ours.get(key, TicketTotals()).plus(ours.stake, ours.payout)
        if theirs and (theirs.stake or theirs.payout):
            self.theirs[key] = self.theirs.get(key, TicketTotals()).plus(theirs.stake, theirs.payout)

    def add(self, status: MatchStatus, ours: Ticket | None, theirs: ReportedTicket | None) -> None:
        """Count a status, and keep the ticket if it is a difference and there is room."""
        self.counts[status] += 1
        if status not in NOT_DIFFERENCES and (
            self.max_discrepancies is None or len(self.discrepancies) < self.max_discrepancies
        ):
            self.discrepancies.append(Discrepancy(status, ours, theirs))
