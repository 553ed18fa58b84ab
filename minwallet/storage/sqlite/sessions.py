"""The SQL of the players' sessions. Only hashes of the tokens are stored."""

import sqlite3

from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import NewSession, SessionHolder, SessionRow
from minwallet.storage.sqlite.audit_log import add_audit_event
from minwallet.storage.sqlite.subject import SqliteSubject, reads, writes


def find_session_holder(db: sqlite3.Connection, token_hash: bytes) -> SessionHolder | None:
    row = db.execute(
        "SELECT s.session_id, s.account_id, p.player_key, p.player_id, a.currency, g.agent_id, g.wallet_token"
        "  FROM sessions AS s JOIN accounts AS a USING (account_id) JOIN players AS p USING (player_key)"
        "  JOIN agents AS g USING (agent_id) WHERE s.token_hash = ?",
        (token_hash,),
    ).fetchone()
    return SessionHolder(*row) if row else None


def find_account_holder(db: sqlite3.Connection, agent_id: int, player_id: str, currency: str) -> SessionHolder | None:
    row = db.execute(
        "SELECT NULL, a.account_id, p.player_key, p.player_id, a.currency, g.agent_id, g.wallet_token"
        "  FROM players AS p JOIN accounts AS a USING (player_key) JOIN agents AS g USING (agent_id)"
        " WHERE p.agent_id = ? AND p.player_id = ? AND a.currency = ?",
        (agent_id, player_id, currency),
    ).fetchone()
    return SessionHolder(*row) if row else None


def has_player(db: sqlite3.Connection, agent_id: int, player_id: str) -> bool:
    found = db.execute("SELECT 1 FROM players WHERE agent_id = ? AND player_id = ?", (agent_id, player_id))
    return found.fetchone() is not None


def add_session(
    db: sqlite3.Connection, account_id: int, session: NewSession, now_ms: int, *, audit: AuditEvent | None = None
) -> int:
    ((session_id,),) = db.execute(
        "INSERT INTO sessions (token_hash, hint, expires_at_ms, opened_by_admin, account_id, created_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?) RETURNING session_id",
        (*session, account_id, now_ms),
    )
    add_audit_event(db, audit)
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


def revoke_session(db: sqlite3.Connection, token_hash: bytes, now_ms: int, *, audit: AuditEvent | None = None) -> bool:
    found = db.execute("SELECT session_id FROM sessions WHERE token_hash = ?", (token_hash,)).fetchone()
    if found is None:
        return False
    _revoke(db, found[0], now_ms, audit)
    return True


def revoke_player_session(
    db: sqlite3.Connection, player_key: int, session_id: int, now_ms: int, *, audit: AuditEvent | None = None
) -> bool:
    found = db.execute(
        "SELECT 1 FROM sessions JOIN accounts USING (account_id) WHERE session_id = ? AND player_key = ?",
        (session_id, player_key),
    ).fetchone()
    if found is None:
        return False
    _revoke(db, session_id, now_ms, audit)
    return True


def _revoke(db: sqlite3.Connection, session_id: int, now_ms: int, audit: AuditEvent | None) -> None:
    """Revoke the session and add the event, unless it is revoked already: the first revocation counts."""
    revoked = db.execute(
        "UPDATE sessions SET revoked_at_ms = ? WHERE session_id = ? AND revoked_at_ms IS NULL", (now_ms, session_id)
    )
    if revoked.rowcount:
        add_audit_event(db, audit)


class SqliteSessionStore(SqliteSubject):
    """The `SessionStore` over SQLite."""

    add_session = writes(add_session)
    list_sessions = reads(list_sessions)
    revoke_session = writes(revoke_session)
    revoke_player_session = writes(revoke_player_session)
