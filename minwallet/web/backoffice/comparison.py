"""What a comparison of report and ledger found, laid out for people."""

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
from minwallet.operations.timestamps import format_iso
from minwallet.web.backoffice.exports import escape_formula, format_csv

STATUS_MEANINGS: Mapping[MatchStatus, str] = {
    MatchStatus.MATCHED: "Both sides agree.",
    MatchStatus.NOT_DUE: "It moved after the report was pulled, or is still in play; look again after the next pull.",
    MatchStatus.NO_MONEY: "It was called off before any money moved.",
    MatchStatus.AMOUNT_DIFFERS: "Both sides know the ticket, and disagree on what was staked or paid.",
    MatchStatus.PLAYER_DIFFERS: "Both sides know the ticket, as that of different players.",
    MatchStatus.MISSING_HERE: "The provider reports money that this wallet never moved.",
    MatchStatus.MISSING_THERE: "This wallet moved money of which the provider's report knows nothing.",
    MatchStatus.OPEN_BET: "The bet was taken long ago, and neither a result nor a refund has come.",
    MatchStatus.REFUND_UNKNOWN: "This wallet gave the stake back; the provider's report counts the bet.",
    MatchStatus.ORPHAN_WIN: "A win was paid to a round of which this wallet knows no bet.",
}

CSV_COLUMNS = (
    *("finding", "ticket", "player_id", "currency", "game", "at"),
    *("ledger_stake", "ledger_payout", "report_stake", "report_payout", "meaning"),
)


class ComparisonResult(NamedTuple):
    """A comparison that was made, when, and how it was asked for."""

    reconciliation: Reconciliation
    compared_at_ms: int
    open_after: str
    grace: str

    @property
    def difference_count(self) -> int:
        """How many differences there are, kept or not."""
        return sum(number for finding, number in self.reconciliation.counts.items() if finding not in NOT_DIFFERENCES)

    @property
    def status_counts(self) -> Sequence[tuple[MatchStatus, int, bool]]:
        """Each finding, how often, and whether all is well with it; what is not comes first."""
        counts = [(finding, self.reconciliation.counts[finding], finding in NOT_DIFFERENCES) for finding in MatchStatus]
        return sorted((each for each in counts if each[1]), key=lambda each: each[2])

    @property
    def totals(self) -> Sequence[tuple[TotalsKey, TicketTotals, TicketTotals]]:
        """What the ledger and the report come to for a day, a game and a currency; the newest day first."""
        no_tickets, found = TicketTotals(), self.reconciliation
        headings = sorted(found.list_totals_keys(), key=lambda heading: (heading.game, heading.currency))
        headings.sort(key=lambda heading: heading.day, reverse=True)
        return [(each, found.ours.get(each, no_tickets), found.theirs.get(each, no_tickets)) for each in headings]

    def to_csv(self) -> str:
        """The differences that were kept; amounts are decimals."""
        return format_csv([CSV_COLUMNS, *map(_build_difference_row, self.reconciliation.discrepancies)])


def _build_difference_row(difference: Discrepancy) -> list[str]:
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
    return [str(status), *map(escape_formula, texts), *cells, STATUS_MEANINGS[status]]
