"""The interface to sums over the ledger.

Sums are kept in tables that follow the ledger (`aggregate_totals`). Entries never change, so a sum stays correct, and
it can always be computed again.
"""

from collections.abc import Sequence
from typing import Protocol

from minwallet.storage.queries import CurrencyBalance, DailyTotalKey, MinuteCount, OrphanWins, Total


class TotalsStore(Protocol):
    """The totals of the ledger. Every method may raise StoreError."""

    async def aggregate_totals(self, limit: int) -> int:
        """Add up to `limit` further entries to the totals. Return the number of entries added."""

    async def read_totals(
        self, since_day: int, until_day: int, agent: str | None
    ) -> Sequence[tuple[DailyTotalKey, Total]]:
        """Return the aggregated totals of `since_day` <= day < `until_day`, in order of their keys."""

    async def read_minute_counts(self, since_ms: int) -> list[MinuteCount]:
        """Return the aggregated minutes since then that have entries, in order of time."""

    async def read_orphan_wins(self) -> list[OrphanWins]:
        """Return the wins without a bet of each currency that has any, at this moment, in order of currency."""

    async def read_currency_balances(self) -> list[CurrencyBalance]:
        """Return the balances of each currency at this moment, in order of currency."""
