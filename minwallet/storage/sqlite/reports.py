"""What a provider said, and the ledger as its report would have it: plain functions over a connection."""

import sqlite3
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from minwallet.ledger.reconciliation import ReportedTicket, ReportRow, Ticket, merge_rows
from minwallet.storage.base import GameList, ReportMark, ReportSheet
from minwallet.storage.sqlite import batch

ADD_ROWS = """
    INSERT INTO report_rows (agent_id, id, ticket, game, player_id, stake, payout, cancelled, rejected, status,
                             reported_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (agent_id, ticket, id) DO UPDATE SET
        game = excluded.game, player_id = excluded.player_id, stake = excluded.stake,
        payout = excluded.payout, cancelled = excluded.cancelled, rejected = excluded.rejected,
        status = excluded.status, reported_at = excluded.reported_at
"""

READ_ROWS = """
    WITH asked AS (
        SELECT DISTINCT ticket FROM report_rows WHERE agent_id = :agent_id AND ticket > :after ORDER BY 1 LIMIT :limit
    )
    SELECT (SELECT iif(count(*) = 1, a.currency, '') FROM players AS p JOIN accounts AS a USING (player_key)
             WHERE p.agent_id = r.agent_id AND p.player_id = r.player_id),
           r.id, r.ticket, r.game, r.player_id, r.stake, r.payout, r.cancelled, r.rejected, r.status, r.reported_at
      FROM asked CROSS JOIN report_rows AS r ON r.agent_id = :agent_id AND r.ticket = asked.ticket
     ORDER BY r.ticket, r.id
"""

READ_TICKETS = """
    WITH space AS (
        SELECT space_id FROM id_spaces WHERE agent_id = :agent_id AND protocol = :protocol AND currency = ''
    ), asked AS (
        SELECT DISTINCT t.space_id, t.id FROM space CROSS JOIN transactions AS t USING (space_id)
         WHERE t.id > :after ORDER BY t.id LIMIT :limit
    ), parts AS (
        SELECT asked.id, coalesce(b.account_id, c.account_id) AS account_id, coalesce(b.game, s.game, '') AS game,
               coalesce(b.state, '') = 'applied' AS took_money, coalesce(b.kind, '') AS kind,
               coalesce(b.stake, 0) AS stake, coalesce(s.payout, b.payout, 0) AS payout,
               s.seq IS NOT NULL AS is_settled, c.seq IS NOT NULL AS is_cancelled,
               coalesce(b.at_ms, c.at_ms) AS opened_at_ms, coalesce(c.at_ms, s.at_ms, b.at_ms) AS moved_at_ms
          FROM asked
          LEFT JOIN transactions AS b ON b.space_id = asked.space_id AND b.id = asked.id AND b.part = 0
          LEFT JOIN transactions AS s ON s.space_id = asked.space_id AND s.id = asked.id AND s.part = 1
          LEFT JOIN transactions AS c ON c.space_id = asked.space_id AND c.id = asked.id AND c.part = 2
    )
    SELECT t.id, t.game, p.player_id, a.currency, t.stake, t.payout, t.took_money,
           t.took_money AND t.kind = 'bet' AND NOT t.is_settled AND NOT t.is_cancelled,
           t.took_money AND t.is_cancelled, t.opened_at_ms, t.moved_at_ms
      FROM parts AS t JOIN accounts AS a USING (account_id) JOIN players AS p USING (player_key)
     ORDER BY t.id
"""

READ_ORPHANS = """
    SELECT t.space_id, t.account_id, t.round, t.id, coalesce(t.game, ''), p.player_id, a.currency,
           0, t.payout, 1, 0, 0, t.at_ms, t.at_ms
      FROM transactions AS t JOIN accounts AS a USING (account_id) JOIN players AS p USING (player_key)
     WHERE p.agent_id = ? AND t.state = 'orphan' ORDER BY t.seq
"""


def keep_games(db: sqlite3.Connection, agent_id: int, games: GameList) -> None:
    db.execute(
        "INSERT OR REPLACE INTO game_lists (agent_id, fetched_at_ms, games) VALUES (?, ?, ?)", (agent_id, *games)
    )


def find_games(db: sqlite3.Connection, agent_id: int) -> GameList | None:
    row = db.execute("SELECT fetched_at_ms, games FROM game_lists WHERE agent_id = ?", (agent_id,)).fetchone()
    return GameList(*row) if row else None


def keep_report(db: sqlite3.Connection, agent_id: int, sheet: ReportSheet) -> bool:
    """Rows and key together. The caller holds the write transaction."""
    mark = ReportMark() if sheet.anew else find_report_mark(db, agent_id)
    if sheet.after != mark.key:
        return False
    if sheet.anew:
        db.execute("DELETE FROM report_rows WHERE agent_id = ?", (agent_id,))
    db.executemany(ADD_ROWS, [(agent_id, *row) for row in sheet.rows])
    pulled_at_ms = mark.pulled_at_ms if sheet.ended_at_ms is None else sheet.ended_at_ms
    db.execute(
        "INSERT OR REPLACE INTO report_marks (agent_id, key, pulled_at_ms) VALUES (?, ?, ?)",
        (agent_id, sheet.key, pulled_at_ms),
    )
    return True


def find_report_mark(db: sqlite3.Connection, agent_id: int) -> ReportMark:
    row = db.execute("SELECT key, pulled_at_ms FROM report_marks WHERE agent_id = ?", (agent_id,)).fetchone()
    return ReportMark(*row) if row else ReportMark()


def read_reported(db: sqlite3.Connection, agent_id: int, after: str, limit: int) -> list[ReportedTicket]:
    found = db.execute(READ_ROWS, {"agent_id": agent_id, "after": after, "limit": limit})
    rows = [(ReportRow(*row), currency) for currency, *row in found]
    return [merge_rows(*zip(*same, strict=True)) for _, same in groupby(rows, key=lambda each: each[0].ticket)]


def read_tickets(db: sqlite3.Connection, agent_id: int, protocol: str, after: str, limit: int) -> list[Ticket]:
    asked = {"agent_id": agent_id, "protocol": protocol, "after": after, "limit": limit}
    found = db.execute(READ_TICKETS, asked)
    return [_ticket(row) for row in found]


def read_orphans(db: sqlite3.Connection, agent_id: int) -> list[Ticket]:
    found = db.execute(READ_ORPHANS, (agent_id,)).fetchall()
    rounds = batch.read_rounds(db, [(account_id, space_id, round_) for space_id, account_id, round_, *_ in found])
    return [_ticket(row[3:]) for row, round_ in zip(found, rounds, strict=True) if not round_.has_standing_bet]


def _ticket(row: Sequence[Any]) -> Ticket:
    return Ticket(*row[:6], *map(bool, row[6:9]), *row[9:])
