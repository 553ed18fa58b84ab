"""What the provider knows: the rounds it plays, its report for operators of vela, and its guests' virtual credit."""

import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Sequence
from typing import NamedTuple

from minwallet.demo.caller import Sent
from minwallet.demo.games import Play
from minwallet.demo.rounds import Ending
from minwallet.ledger.reconciliation import ReportRow
from minwallet.protocols.operator_service import ReportPage

GUEST_CREDIT = 100_000

REMEMBERED_ROUNDS = 1000


class Played(NamedTuple):
    """A round in the provider's book, with what was `sent` for it so far; without an ending it is pending."""

    id: str
    protocol: str
    game: str
    player_id: str
    currency: str
    play: Play
    ending: Ending | None = None
    sent: Sequence[Sent] = ()

    @property
    def net(self) -> int:
        """What the player's balance changes by."""
        return self.play.payout - self.play.stake if self.ending is Ending.DONE else 0


class Book:
    """All in memory. `first_id` is where the report begins to count."""

    def __init__(self, first_id: int, page_size: int) -> None:
        self.pending: dict[str, Played] = {}
        self.ended: deque[Played] = deque(maxlen=REMEMBERED_ROUNDS)
        self.net: Counter[tuple[str, str]] = Counter()
        """What all rounds that have ended moved, by player and currency."""
        self._rows: list[ReportRow] = []
        self._next_row = first_id
        self._page_size = page_size
        self._guests: dict[str, int] = {}

    def begin(self, played: Played) -> None:
        self.pending[played.id] = played

    def end(self, id_: str, ending: Ending) -> Played:
        """The round is over for good: only now does it get a row in the report."""
        played = self.pending.pop(id_)._replace(ending=ending)
        self.ended.append(played)
        self.net[played.player_id, played.currency] += played.net
        if played.protocol == "vela":
            self._rows.append(_row(str(self._next_row), played))
            self._next_row += 1
        return played

    def report(self, key: int) -> ReportPage:
        """The page after this key; the key to ask on with is that of its last row."""
        after = bisect_right(self._rows, key, key=lambda row: int(row.id))
        rows = self._rows[after : after + self._page_size]
        return ReportPage(rows, rows[-1].id if rows else str(key))

    def remove(self, ticket: str) -> bool:
        """Take a ticket out of the report, and whether it was there."""
        kept = [row for row in self._rows if row.ticket != ticket]
        found = len(kept) < len(self._rows)
        self._rows = kept
        return found

    def credit(self, guest: str) -> int:
        """A guest's virtual credit."""
        return self._guests.get(guest, GUEST_CREDIT)

    def play_free(self, guest: str, play: Play) -> None:
        """Play with virtual credit, which is topped up when it runs out."""
        credit = self.credit(guest)
        enough = credit if credit >= play.stake else max(GUEST_CREDIT, play.stake)
        self._guests[guest] = enough - play.stake + play.payout


def _row(id_: str, played: Played) -> ReportRow:
    stake = played.play.stake
    return ReportRow(
        id_,
        played.id,
        played.game,
        played.player_id,
        stake,
        played.play.payout if played.ending is Ending.DONE else 0,
        stake if played.ending is Ending.CANCELLED else 0,
        stake if played.ending is Ending.REJECTED else 0,
        str(played.ending),
        time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
    )
