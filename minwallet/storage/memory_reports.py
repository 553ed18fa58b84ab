"""The reference engine's half of what providers tell: game lists and reports."""

from dataclasses import dataclass, field

from minwallet.ledger.reconciliation import ReportRow
from minwallet.storage.base import GameList, ReportMark, ReportSheet


@dataclass
class MemoryReports:
    """What the `Store` of `storage.base` keeps of each agent's provider, forgotten at the end."""

    _games: dict[int, GameList] = field(default_factory=dict)
    _marks: dict[int, ReportMark] = field(default_factory=dict)
    _report: dict[tuple[int, str, str], ReportRow] = field(default_factory=dict)

    async def keep_games(self, agent_id: int, games: GameList) -> None:
        self._games[agent_id] = games

    async def find_games(self, agent_id: int) -> GameList | None:
        return self._games.get(agent_id)

    async def keep_report(self, agent_id: int, sheet: ReportSheet) -> bool:
        mark = ReportMark() if sheet.anew else await self.find_report_mark(agent_id)
        if sheet.after != mark.key:
            return False
        if sheet.anew:
            self._report = {key: row for key, row in self._report.items() if key[0] != agent_id}
        self._report |= {(agent_id, row.ticket, row.id): row for row in sheet.rows}
        pulled_at_ms = mark.pulled_at_ms if sheet.ended_at_ms is None else sheet.ended_at_ms
        self._marks[agent_id] = ReportMark(sheet.key, pulled_at_ms)
        return True

    async def find_report_mark(self, agent_id: int) -> ReportMark:
        return self._marks.get(agent_id, ReportMark())
