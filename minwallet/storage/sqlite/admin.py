"""The SQL of API keys, admins, their sessions, and the audit log."""

import sqlite3

from minwallet.storage.admin_store import Admin, AdminSession, ApiKey, AuditEvent, AuditRecord, NewApiKey
from minwallet.storage.sqlite.subject import SqliteSubject, reads, writes

READ_KEYS = """
    SELECT k.name, k.hint, k.scope, g.name, k.created_at_ms, k.revoked_at_ms
      FROM api_keys AS k LEFT JOIN agents AS g USING (agent_id)
"""

AUDIT_EVENT_COLUMNS = ", ".join(AuditEvent._fields)


def add_key(db: sqlite3.Connection, key: NewApiKey, now_ms: int) -> bool:
    added = db.execute(
        "INSERT INTO api_keys (key_hash, hint, name, scope, agent_id, created_at_ms) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (name) DO NOTHING",
        (*key, now_ms),
    )
    return added.rowcount == 1


def find_key(db: sqlite3.Connection, key_hash: bytes) -> ApiKey | None:
    row = db.execute(f"{READ_KEYS} WHERE k.key_hash = ?", (key_hash,)).fetchone()
    return ApiKey(*row) if row else None


def list_keys(db: sqlite3.Connection) -> list[ApiKey]:
    return [ApiKey(*row) for row in db.execute(f"{READ_KEYS} ORDER BY k.name")]


def revoke_key(db: sqlite3.Connection, name: str, now_ms: int) -> bool:
    revoked = db.execute(
        "UPDATE api_keys SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE name = ?", (now_ms, name)
    )
    return revoked.rowcount == 1


def upsert_admin(db: sqlite3.Connection, admin: Admin, now_ms: int) -> None:
    db.execute(
        "INSERT INTO admins (name, password, created_at_ms) VALUES (?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET password = excluded.password",
        (*admin, now_ms),
    )


def list_admins(db: sqlite3.Connection) -> list[Admin]:
    return [Admin(*row) for row in db.execute("SELECT name, password FROM admins ORDER BY name")]


def add_admin_session(
    db: sqlite3.Connection, token_hash: bytes, session: AdminSession, *, is_link: bool, now_ms: int
) -> None:
    db.execute("DELETE FROM admin_sessions WHERE expires_at_ms <= ?", (now_ms,))
    db.execute(
        "INSERT INTO admin_sessions (token_hash, admin, is_link, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?)",
        (token_hash, session.admin, is_link, now_ms, session.expires_at_ms),
    )


def find_admin_session(db: sqlite3.Connection, token_hash: bytes, now_ms: int) -> AdminSession | None:
    row = db.execute(
        "SELECT admin, expires_at_ms FROM admin_sessions WHERE token_hash = ? AND NOT is_link AND expires_at_ms > ?",
        (token_hash, now_ms),
    ).fetchone()
    return AdminSession(*row) if row else None


def consume_login_link(db: sqlite3.Connection, token_hash: bytes, now_ms: int) -> str | None:
    taken = db.execute(
        "DELETE FROM admin_sessions WHERE token_hash = ? AND is_link AND expires_at_ms > ? RETURNING admin",
        (token_hash, now_ms),
    ).fetchall()
    return taken[0][0] if taken else None


def delete_admin_session(db: sqlite3.Connection, token_hash: bytes) -> None:
    db.execute("DELETE FROM admin_sessions WHERE token_hash = ?", (token_hash,))


def delete_admin_sessions(db: sqlite3.Connection, admin: str) -> None:
    db.execute("DELETE FROM admin_sessions WHERE admin = ?", (admin,))


def has_credentials(db: sqlite3.Connection) -> bool:
    (found,) = db.execute(
        "SELECT EXISTS (SELECT 1 FROM admin_sessions WHERE NOT is_link)"
        "    OR EXISTS (SELECT 1 FROM admins WHERE password IS NOT NULL)"
    ).fetchone()
    return bool(found)


def add_audit_event(db: sqlite3.Connection, event: AuditEvent) -> None:
    db.execute(f"INSERT INTO audit_log ({AUDIT_EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", event)  # noqa: S608 the columns are a constant


def list_audit_records(db: sqlite3.Connection, before: int | None, limit: int) -> list[AuditRecord]:
    rows = db.execute(
        f"SELECT number, {AUDIT_EVENT_COLUMNS} FROM audit_log"  # noqa: S608 the columns are a constant
        " WHERE number < coalesce(?, 1 << 62) ORDER BY number DESC LIMIT ?",
        (before, limit),
    )
    return [AuditRecord(number, AuditEvent(*row)) for number, *row in rows]


class SqliteAdminStore(SqliteSubject):
    """The `AdminStore` over SQLite."""

    add_key = writes(add_key)
    find_key = reads(find_key)
    list_keys = reads(list_keys)
    revoke_key = writes(revoke_key)
    upsert_admin = writes(upsert_admin)
    list_admins = reads(list_admins)
    add_admin_session = writes(add_admin_session)
    find_admin_session = reads(find_admin_session)
    consume_login_link = writes(consume_login_link)
    delete_admin_session = writes(delete_admin_session)
    delete_admin_sessions = writes(delete_admin_sessions)
    has_credentials = reads(has_credentials)
    add_audit_event = writes(add_audit_event)
    list_audit_records = reads(list_audit_records)
