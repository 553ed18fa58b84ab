"""The game lists, reports and tickets of the reference engine."""

from collections.abc import Sequence

from minwallet.ledger.entries import Kind, State
from minwallet.ledger.reconciliation import ReportedTicket, Ticket, merge_rows
from minwallet.ledger.snapshot import TransactionHistory
from minwallet.storage.models import GameList, ReportBatch, ReportCursor
from tests.storage.reference_engine.memory_decisions import find_round
from tests.storage.reference_engine.memory_state import MemoryState, is_reversed


class MemoryReportStore:
    """The `ReportStore` in memory."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def save_games(self, agent_id: int, games: GameList) -> None:
        self._state.games[agent_id] = games

    async def find_games(self, agent_id: int) -> GameList | None:
        return self._state.games.get(agent_id)

    async def save_report(self, agent_id: int, report_batch: ReportBatch) -> bool:
        cursor = ReportCursor() if report_batch.restart else await self.find_report_cursor(agent_id)
        if report_batch.after != cursor.key:
            return False
        if report_batch.restart:
            self._state.report_rows = {key: row for key, row in self._state.report_rows.items() if key[0] != agent_id}
        self._state.report_rows |= {(agent_id, row.ticket, row.id): row for row in report_batch.rows}
        pulled_at_ms = cursor.pulled_at_ms if report_batch.ended_at_ms is None else report_batch.ended_at_ms
        self._state.cursors[agent_id] = ReportCursor(report_batch.key, pulled_at_ms)
        return True

    async def find_report_cursor(self, agent_id: int) -> ReportCursor:
        return self._state.cursors.get(agent_id, ReportCursor())

    async def read_reported_tickets(self, agent_id: int, after: str, limit: int) -> list[ReportedTicket]:
        rows = [row for key, row in sorted(self._state.report_rows.items()) if key[0] == agent_id]
        found = []
        for ticket in sorted({row.ticket for row in rows if row.ticket > after})[:limit]:
            ticket_rows = [row for row in rows if row.ticket == ticket]
            found.append(merge_rows(ticket_rows, [self._find_currency(agent_id, row.player_id) for row in ticket_rows]))
        return found

    def _find_currency(self, agent_id: int, player_id: str) -> str:
        owners = [self._state.find_owner(number) for number in range(1, len(self._state.accounts) + 1)]
        name = self._state.agents[agent_id - 1].name
        equal = [owner.currency for owner in owners if (owner.agent, owner.player_id) == (name, player_id)]
        similar = [
            owner.currency for owner in owners if (owner.agent, owner.player_id.lower()) == (name, player_id.lower())
        ]
        found = equal or similar
        return found[0] if len(found) == 1 else ""

    async def find_players(self, agent_id: int, names: Sequence[str]) -> list[str]:
        wanted = {name.lower() for name in names}
        return sorted(
            player.player_id
            for player in self._state.players
            if player.agent.agent_id == agent_id and player.player_id.lower() in wanted
        )

    async def read_tickets(self, agent_id: int, protocol: str, after: str, limit: int) -> list[Ticket]:
        scope = (self._state.agents[agent_id - 1].name, protocol, "")
        histories = {
            id_: history
            for (its_scope, id_), history in self._state.histories.items()
            if its_scope == scope and id_ > after and _is_ticket(history)
        }
        return [self._make_ticket(id_, histories[id_]) for id_ in sorted(histories)[:limit]]

    def _make_ticket(self, id_: str, history: TransactionHistory) -> Ticket:
        bet, settled, cancelled, _ = history
        rows = [row for row in (bet, settled, cancelled) if row]
        owner = self._state.find_owner(rows[0].account_id)
        is_reversed_ = bet is not None and is_reversed(history, bet)
        took_money = bet is not None and bet.state is State.APPLIED
        return Ticket(
            id_,
            next((row.game for row in (bet, settled) if row and row.game), ""),
            owner.player_id,
            owner.currency,
            bet.stake if bet else 0,
            settled.payout if settled else bet.payout if bet else 0,
            took_money,
            bet is not None and took_money and bet.kind is Kind.BET and not (settled or cancelled or is_reversed_),
            took_money and (cancelled is not None or is_reversed_),
            rows[0].at_ms,
            rows[-1].at_ms,
        )

    async def read_orphans(self, agent_id: int) -> list[Ticket]:
        found = []
        for (scope, _), history in self._state.histories.items():
            win = history.original
            if win is None or win.state is not State.ORPHAN or scope[0] != self._state.agents[agent_id - 1].name:
                continue
            if is_reversed(history, win):
                continue
            owner = self._state.find_owner(win.account_id)
            if not find_round(self._state, scope, win.account_id, win.round).standing_bets:
                times = (win.at_ms, win.at_ms)
                found.append(Ticket(win.id, win.game or "", *owner[1:], 0, win.payout, True, False, False, *times))
        return found


def _is_ticket(history: TransactionHistory) -> bool:
    """Return True if the id is that of a bet, win or cancel, and not only the reference of a rollback."""
    others = (Kind.ROLLBACK, Kind.ROUND_ROLLBACK, Kind.ROUND_END)
    return any(entry and entry.kind not in others for entry in history[:3])
