"""The interface to data from a provider (game list, report) and to the ledger's tickets that are compared with it."""

from collections.abc import Sequence
from typing import Protocol

from minwallet.ledger.reconciliation import ReportedTicket, Ticket
from minwallet.storage.models import GameList, ReportBatch, ReportCursor


class ReportStore(Protocol):
    """The game lists, reports and tickets of each agent. Every method may raise StoreError."""

    async def save_games(self, agent_id: int, games: GameList) -> None:
        """Store the game list in place of the last one."""

    async def find_games(self, agent_id: int) -> GameList | None: ...

    async def save_report(self, agent_id: int, report_batch: ReportBatch) -> bool:
        """Store the rows and the new key together. A row with a known ticket and id replaces the stored one.

        Return False, and change nothing, if another batch has been stored since this one was requested.
        """

    async def find_report_cursor(self, agent_id: int) -> ReportCursor: ...

    async def read_reported_tickets(self, agent_id: int, after: str, limit: int) -> list[ReportedTicket]:
        """Return up to `limit` tickets of the report after the ticket `after`, in order of their text."""

    async def find_players(self, agent_id: int, names: Sequence[str]) -> list[str]:
        """Return the ids of the agent's players with one of these names, in any case, sorted."""

    async def read_tickets(self, agent_id: int, protocol: str, after: str, limit: int) -> list[Ticket]:
        """Return up to `limit` tickets of a protocol whose ids are unique per agent, in order of their text."""

    async def read_orphans(self, agent_id: int) -> list[Ticket]:
        """Return the wins that were paid to rounds without a standing bet."""
