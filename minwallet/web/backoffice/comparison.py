"""The result of a comparison of report and ledger, as tables and as CSV."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from minwallet.ledger.money import format_amount
from minwallet.ledger.reconciliation import (
    NOT_DIFFERENCES,
    Discrepancy,
    MatchStatus,
    Reconciliation,
    TicketTotals,
    TotalsKey,
)
from minwallet.operations.spreadsheet import format_csv
from minwallet.operations.timestamps import format_iso

STATUS_MEANINGS: Mapping[MatchStatus, str] = {
    MatchStatus.MATCHED: "Both sides agree.",
    MatchStatus.NOT_DUE: "The ticket changed after the report was fetched, or its bet is still open.",
    MatchStatus.NO_MONEY: "The ticket was cancelled before money moved.",
    MatchStatus.AMOUNT_DIFFERS: "Both sides have the ticket, but its stake or payout differs.",
    MatchStatus.PLAYER_DIFFERS: "Both sides have the ticket, but its player differs.",
    MatchStatus.MISSING_HERE: "The report has a ticket that moved no money in this wallet.",
    MatchStatus.MISSING_THERE: "The ticket moved money in this wallet, but the report does not have it.",
    MatchStatus.OPEN_BET: "The bet has had no result or refund for too long.",
    MatchStatus.REFUND_UNKNOWN: "This wallet refunded the bet, but the report counts it.",
    MatchStatus.ORPHAN_WIN: "This wallet paid a win without a known bet.",
}

CSV_COLUMNS = (
    *("finding", "ticket", "player_id", "currency", "game", "at"),
    *("ledger_stake", "ledger_payout", "report_stake", "report_payout", "meaning"),
)


class ComparisonResult(NamedTuple):
    """A finished comparison, its time, and the options that the form had."""

    reconciliation: Reconciliation
    compared_at_ms: int
    open_after: str
    grace: str

    @property
    def difference_count(self) -> int:
        """Return the number of all differences, including those that were not kept."""
        return sum(number for finding, number in self.reconciliation.counts.items() if finding not in NOT_DIFFERENCES)

    @property
    def status_counts(self) -> Sequence[tuple[MatchStatus, int, bool]]:
        """Return each status that occurs, its number of tickets, and if it is expected; differences come first."""
        counts = [(finding, self.reconciliation.counts[finding], finding in NOT_DIFFERENCES) for finding in MatchStatus]
        return sorted((each for each in counts if each[1]), key=lambda each: each[2])

    @property
    def totals(self) -> Sequence[tuple[TotalsKey, TicketTotals, TicketTotals]]:
        """Return the totals of ledger and report for each day, game and currency, the newest day first."""
        no_tickets, found = TicketTotals(), self.reconciliation
        headings = sorted(found.list_totals_keys(), key=lambda heading: (heading.game, heading.currency))
        headings.sort(key=lambda heading: heading.day, reverse=True)
        return [(each, found.ours.get(each, no_tickets), found.theirs.get(each, no_tickets)) for each in headings]

    def to_csv(self) -> str:
        """Return the kept differences as CSV with decimal amounts."""
        return format_csv([CSV_COLUMNS, *map(_build_difference_row, self.reconciliation.discrepancies)])


def _build_difference_row(difference: Discrepancy) -> list[str | None]:
    status, ledger_ticket, reported_ticket = difference
    ticket = ledger_ticket or reported_ticket
    assert ticket is not None
    at = (
        format_iso(ledger_ticket.updated_at_ms)
        if ledger_ticket
        else reported_ticket.reported_at
        if reported_ticket
        else None
    )
    texts = [ticket.ticket, ticket.player_id, ticket.currency, ticket.game, at]
    amounts = [
        ledger_ticket.stake if ledger_ticket else None,
        ledger_ticket.payout if ledger_ticket else None,
        reported_ticket.stake if reported_ticket else None,
        reported_ticket.payout if reported_ticket else None,
    ]
    cells = ["" if cents is None else format_amount(cents) for cents in amounts]
    return [str(status), *texts, *cells, STATUS_MEANINGS[status]]
