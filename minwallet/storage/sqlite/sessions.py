"""The SQL of the players' sessions. Only hashes of the tokens are stored."""

import sqlite3

from minwallet.storage.models import NewSession, SessionHolder, SessionRow
from minwallet.storage.sqlite.subject import SqliteSubject, reads, writes


def find_session_holder(db: sqlite3.Connection, token_hash: bytes) -> SessionHolder | None:
    row = db.execute(
        "SELECT s.session_id, s.account_id, p.player_key, p.player_id, a.currency, g.agent_id, g.wallet_token"
        "  FROM sessions AS s JOIN accounts AS a USING (account_id) JOIN players AS p USING (player_key)"
        "  JOIN agents AS g USING (agent_id) WHERE s.token_hash = ?",
        (token_hash,),
    ).fetchone()
    return SessionHolder(*row) if row else None


def add_session(db: sqlite3.Connection, account_id: int, session: NewSession, now_ms: int) -> int:
    ((session_id,),) = db.execute(
        "INSERT INTO sessions (token_hash, hint, account_id, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?)"
        " RETURNING session_id",
        (session.token_hash, session.hint, account_id, now_ms, session.expires_at_ms),
    )
    return int(session_id)


def list_sessions(
    db: sqlite3.Connection, player_key: int, limit: int | None = None, before: int | None = None
) -> list[SessionRow]:
    return [
        SessionRow(*row)
        for row in db.execute(
            "SELECT s.session_id, s.hint, a.currency, s.created_at_ms, s.expires_at_ms, s.revoked_at_ms"
            "  FROM sessions AS s JOIN accounts AS a USING (account_id)"
            " WHERE a.player_key = ? AND s.session_id < coalesce(?, 1 << 62)"
            " ORDER BY s.session_id DESC LIMIT coalesce(?, -1)",
            (player_key, before, limit),
        )
    ]


def revoke_session(db: sqlite3.Connection, token_hash: bytes, now_ms: int) -> bool:
    return bool(
        db.execute(
            "UPDATE sessions SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE token_hash = ?", (now_ms, token_hash)
        ).rowcount
    )


def revoke_player_session(db: sqlite3.Connection, player_key: int, session_id: int, now_ms: int) -> bool:
    return bool(
        db.execute(
            "UPDATE sessions SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE session_id = ?"
            " AND account_id IN (SELECT account_id FROM accounts WHERE player_key = ?)",
            (now_ms, session_id, player_key),
        ).rowcount
    )


class SqliteSessionStore(SqliteSubject):
    """The `SessionStore` over SQLite."""

    add_session = writes(add_session)
    list_sessions = reads(list_sessions)
    revoke_session = writes(revoke_session)
    revoke_player_session = writes(revoke_player_session)
