"""The provider's data, in memory: its rounds, its reports for operators, and its guests' demo credit."""

import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from minwallet.demo.game_rules import GameResult
from minwallet.demo.round_policy import RoundEnding
from minwallet.demo.wallet_client import CallRecord
from minwallet.ledger.reconciliation import ReportRow
from minwallet.protocols.operator_service import ReportPage

INITIAL_GUEST_CREDIT = 100_000

MAX_COMPLETED_ROUNDS = 1000


class RoundRecord(NamedTuple):
    """A round, with the calls `sent` for it so far. It is pending while `ending` is None."""

    id: str
    protocol: str
    game: str
    player_id: str
    currency: str
    play: GameResult
    ending: RoundEnding | None = None
    sent: Sequence[CallRecord] = ()

    @property
    def net(self) -> int:
        """Return the change of the player's balance, in cents."""
        return self.play.payout - self.play.stake if self.ending is RoundEnding.DONE else 0


class RoundStore:
    """The rounds, the reports and the guests' credit.

    `first_id` is the id of the first row of all reports. Each protocol in `reported_protocols` has a report.
    """

    def __init__(self, first_id: int, page_size: int, reported_protocols: Iterable[str]) -> None:
        self.pending: dict[str, RoundRecord] = {}
        self.completed: deque[RoundRecord] = deque(maxlen=MAX_COMPLETED_ROUNDS)
        self.net_changes: Counter[tuple[str, str]] = Counter()
        """The balance change of all rounds that have ended, in cents, by player and currency."""
        self._reports: dict[str, list[ReportRow]] = {name: [] for name in reported_protocols}
        self._next_row_id = first_id
        self._page_size = page_size
        self._guest_credits: dict[str, int] = {}

    def add(self, record: RoundRecord) -> None:
        self.pending[record.id] = record

    def complete(self, id_: str, ending: RoundEnding) -> RoundRecord:
        """Complete a pending round and return it. Only a completed round gets a row in its protocol's report."""
        record = self.pending.pop(id_)._replace(ending=ending)
        self.completed.append(record)
        self.net_changes[record.player_id, record.currency] += record.net
        if record.protocol in self._reports:
            self._reports[record.protocol].append(_build_report_row(str(self._next_row_id), record))
            self._next_row_id += 1
        return record

    def read_report_page(self, protocol: str, key: int) -> ReportPage:
        """Return the report's page after this key. The page's own key, that of its last row, continues the report."""
        report = self._reports[protocol]
        after = bisect_right(report, key, key=lambda row: int(row.id))
        rows = report[after : after + self._page_size]
        return ReportPage(rows, rows[-1].id if rows else str(key))

    def remove_ticket(self, ticket: str) -> bool:
        """Remove a ticket from each report. Return True if one of them contained it."""
        is_found = False
        for protocol, report in self._reports.items():
            kept = [row for row in report if row.ticket != ticket]
            is_found = is_found or len(kept) < len(report)
            self._reports[protocol] = kept
        return is_found

    def get_guest_credit(self, guest: str) -> int:
        """Return a guest's demo credit, in cents."""
        return self._guest_credits.get(guest, INITIAL_GUEST_CREDIT)

    def record_guest_play(self, guest: str, play: GameResult) -> None:
        """Apply a play to the guest's credit. If the credit does not cover the stake, it is first topped up."""
        credit = self.get_guest_credit(guest)
        available = credit if credit >= play.stake else max(INITIAL_GUEST_CREDIT, play.stake)
        self._guest_credits[guest] = available - play.stake + play.payout


def _build_report_row(id_: str, record: RoundRecord) -> ReportRow:
    stake = record.play.stake
    return ReportRow(
        id_,
        record.id,
        record.game,
        record.player_id,
        stake,
        record.play.payout if record.ending is RoundEnding.DONE else 0,
        stake if record.ending is RoundEnding.CANCELLED else 0,
        stake if record.ending is RoundEnding.REJECTED else 0,
        str(record.ending),
        time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
    )
