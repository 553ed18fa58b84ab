"""The SQL of game lists, of provider reports, and of the ledger's tickets as a report would show them."""

import json
import sqlite3
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from minwallet.ledger.reconciliation import ReportedTicket, ReportRow, Ticket, merge_rows
from minwallet.storage.models import GameList, ReportBatch, ReportCursor
from minwallet.storage.sqlite.histories import IS_ROLLED_BACK, read_rounds
from minwallet.storage.sqlite.subject import SqliteSubject, reads, writes

UPSERT_REPORT_ROWS = """
    INSERT INTO report_rows (agent_id, id, ticket, game, player_id, stake, payout, cancelled, rejected, status,
                             reported_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (agent_id, ticket, id) DO UPDATE SET
        game = excluded.game, player_id = excluded.player_id, stake = excluded.stake,
        payout = excluded.payout, cancelled = excluded.cancelled, rejected = excluded.rejected,
        status = excluded.status, reported_at = excluded.reported_at
"""

# A report has no currency. It is the player's, if the player has only one account.
READ_REPORT_ROWS = """
    WITH asked AS (
        SELECT DISTINCT ticket FROM report_rows WHERE agent_id = :agent_id AND ticket > :after ORDER BY 1 LIMIT :limit
    )
    SELECT coalesce(
               (SELECT CASE count(*) WHEN 0 THEN NULL WHEN 1 THEN a.currency ELSE '' END
                  FROM players AS p JOIN accounts AS a USING (player_key)
                 WHERE p.agent_id = r.agent_id AND p.player_id = r.player_id),
               (SELECT iif(count(*) = 1, a.currency, '') FROM players AS p JOIN accounts AS a USING (player_key)
                 WHERE p.agent_id = r.agent_id AND p.player_id = r.player_id COLLATE NOCASE)),
           r.id, r.ticket, r.game, r.player_id, r.stake, r.payout, r.cancelled, r.rejected, r.status, r.reported_at
      FROM asked CROSS JOIN report_rows AS r ON r.agent_id = :agent_id AND r.ticket = asked.ticket
     ORDER BY r.ticket, r.id
"""

FIND_PLAYERS = """
    SELECT DISTINCT p.player_id
      FROM json_each(:names) AS n CROSS JOIN players AS p
           ON p.agent_id = :agent_id AND p.player_id = n.value COLLATE NOCASE
     ORDER BY 1
"""

# b is the entry that claimed the id (role 0), s the one that settled it, c the one that cancelled it. Rollbacks and
# ends of rounds have ids of their own, which are no tickets.
READ_TICKETS = f"""
    WITH space AS (
        SELECT scope_id FROM id_scopes WHERE agent_id = :agent_id AND protocol = :protocol AND currency = ''
    ), asked AS (
        SELECT DISTINCT t.scope_id, t.id FROM space CROSS JOIN transactions AS t USING (scope_id)
         WHERE t.id > :after AND t.kind NOT IN ('rollback', 'round_rollback', 'round_end') ORDER BY t.id LIMIT :limit
    ), parts AS (
        SELECT asked.id, coalesce(b.account_id, c.account_id) AS account_id, coalesce(b.game, s.game, '') AS game,
               coalesce(b.state, '') = 'applied' AS took_money, coalesce(b.kind, '') AS kind,
               coalesce(b.stake, 0) AS stake, coalesce(s.payout, b.payout, 0) AS payout,
               s.seq IS NOT NULL AS is_settled,
               c.seq IS NOT NULL OR coalesce({IS_ROLLED_BACK.replace("t.", "b.")}, FALSE) AS is_cancelled,
               coalesce(b.at_ms, c.at_ms) AS opened_at_ms, coalesce(c.at_ms, s.at_ms, b.at_ms) AS moved_at_ms
          FROM asked
          LEFT JOIN transactions AS b ON b.scope_id = asked.scope_id AND b.id = asked.id AND b.role = 0
          LEFT JOIN transactions AS s ON s.scope_id = asked.scope_id AND s.id = asked.id AND s.role = 1
          LEFT JOIN transactions AS c ON c.scope_id = asked.scope_id AND c.id = asked.id AND c.role = 2
    )
    SELECT t.id, t.game, p.player_id, a.currency, t.stake, t.payout, t.took_money,
           t.took_money AND t.kind = 'bet' AND NOT t.is_settled AND NOT t.is_cancelled,
           t.took_money AND t.is_cancelled, t.opened_at_ms, t.moved_at_ms
      FROM parts AS t JOIN accounts AS a USING (account_id) JOIN players AS p USING (player_key)
     ORDER BY t.id
"""  # noqa: S608 made of constants

READ_ORPHANS = f"""
    SELECT t.account_id, t.scope_id, t.round, t.id, coalesce(t.game, ''), p.player_id, a.currency,
           0, t.payout, 1, 0, 0, t.at_ms, t.at_ms
      FROM transactions AS t JOIN accounts AS a USING (account_id) JOIN players AS p USING (player_key)
     WHERE p.agent_id = ? AND t.state = 'orphan' AND NOT {IS_ROLLED_BACK} ORDER BY t.seq
"""  # noqa: S608 made of constants


def save_games(db: sqlite3.Connection, agent_id: int, games: GameList) -> None:
    db.execute(
        "INSERT OR REPLACE INTO game_lists (agent_id, fetched_at_ms, games) VALUES (?, ?, ?)", (agent_id, *games)
    )


def find_games(db: sqlite3.Connection, agent_id: int) -> GameList | None:
    row = db.execute("SELECT fetched_at_ms, games FROM game_lists WHERE agent_id = ?", (agent_id,)).fetchone()
    return GameList(*row) if row else None


def save_report(db: sqlite3.Connection, agent_id: int, report_batch: ReportBatch) -> bool:
    """Store the rows and the key. The caller holds the write transaction."""
    cursor = ReportCursor() if report_batch.restart else find_report_cursor(db, agent_id)
    if report_batch.after != cursor.key:
        return False
    if report_batch.restart:
        db.execute("DELETE FROM report_rows WHERE agent_id = ?", (agent_id,))
    db.executemany(UPSERT_REPORT_ROWS, [(agent_id, *row) for row in report_batch.rows])
    pulled_at_ms = cursor.pulled_at_ms if report_batch.ended_at_ms is None else report_batch.ended_at_ms
    db.execute(
        "INSERT OR REPLACE INTO report_cursors (agent_id, key, pulled_at_ms) VALUES (?, ?, ?)",
        (agent_id, report_batch.key, pulled_at_ms),
    )
    return True


def find_report_cursor(db: sqlite3.Connection, agent_id: int) -> ReportCursor:
    row = db.execute("SELECT key, pulled_at_ms FROM report_cursors WHERE agent_id = ?", (agent_id,)).fetchone()
    return ReportCursor(*row) if row else ReportCursor()


def read_reported_tickets(db: sqlite3.Connection, agent_id: int, after: str, limit: int) -> list[ReportedTicket]:
    found = db.execute(READ_REPORT_ROWS, {"agent_id": agent_id, "after": after, "limit": limit})
    rows = [(ReportRow(*row), currency) for currency, *row in found]
    return [
        merge_rows(*zip(*ticket_rows, strict=True)) for _, ticket_rows in groupby(rows, key=lambda each: each[0].ticket)
    ]


def find_players(db: sqlite3.Connection, agent_id: int, names: Sequence[str]) -> list[str]:
    found = db.execute(FIND_PLAYERS, {"agent_id": agent_id, "names": json.dumps(names)})
    return [player_id for (player_id,) in found]


def read_tickets(db: sqlite3.Connection, agent_id: int, protocol: str, after: str, limit: int) -> list[Ticket]:
    parameters = {"agent_id": agent_id, "protocol": protocol, "after": after, "limit": limit}
    found = db.execute(READ_TICKETS, parameters)
    return [_make_ticket(row) for row in found]


def read_orphans(db: sqlite3.Connection, agent_id: int) -> list[Ticket]:
    found = db.execute(READ_ORPHANS, (agent_id,)).fetchall()
    rounds = read_rounds(db, [(account_id, scope_id, round_id) for account_id, scope_id, round_id, *_ in found])
    return [
        _make_ticket(ticket)
        for account_id, scope_id, round_id, *ticket in found
        if not rounds[account_id, scope_id, round_id].standing_bets
    ]


def _make_ticket(row: Sequence[Any]) -> Ticket:
    *values, took_money, is_open, is_cancelled, opened_at_ms, moved_at_ms = row
    flags = bool(took_money), bool(is_open), bool(is_cancelled)
    return Ticket._make((*values, *flags, opened_at_ms, moved_at_ms))


class SqliteReportStore(SqliteSubject):
    """The `ReportStore` over SQLite."""

    save_games = writes(save_games)
    find_games = reads(find_games)
    save_report = writes(save_report)
    find_report_cursor = reads(find_report_cursor)
    read_reported_tickets = reads(read_reported_tickets)
    find_players = reads(find_players)
    read_tickets = reads(read_tickets)
    read_orphans = reads(read_orphans)
