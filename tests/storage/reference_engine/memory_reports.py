"""The reference engine's half of what providers tell: game lists and reports."""

from dataclasses import dataclass, field

from minwallet.ledger.reconciliation import ReportRow
from minwallet.storage.models import GameList, ReportBatch, ReportCursor


@dataclass
class MemoryReportStore:
    """What the `Store` of `storage.base` keeps of each agent's provider, forgotten at the end."""

    _games: dict[int, GameList] = field(default_factory=dict)
    _cursors: dict[int, ReportCursor] = field(default_factory=dict)
    _report_rows: dict[tuple[int, str, str], ReportRow] = field(default_factory=dict)

    async def save_games(self, agent_id: int, games: GameList) -> None:
        self._games[agent_id] = games

    async def find_games(self, agent_id: int) -> GameList | None:
        return self._games.get(agent_id)

    async def save_report(self, agent_id: int, report_batch: ReportBatch) -> bool:
        cursor = ReportCursor() if report_batch.restart else await self.find_report_cursor(agent_id)
        if report_batch.after != cursor.key:
            return False
        if report_batch.restart:
            self._report_rows = {key: row for key, row in self._report_rows.items() if key[0] != agent_id}
        self._report_rows |= {(agent_id, row.ticket, row.id): row for row in report_batch.rows}
        pulled_at_ms = cursor.pulled_at_ms if report_batch.ended_at_ms is None else report_batch.ended_at_ms
        self._cursors[agent_id] = ReportCursor(report_batch.key, pulled_at_ms)
        return True

    async def find_report_cursor(self, agent_id: int) -> ReportCursor:
        return self._cursors.get(agent_id, ReportCursor())
