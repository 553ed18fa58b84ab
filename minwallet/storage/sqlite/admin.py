"""The SQL of API keys, admins and their sessions."""

import sqlite3

from minwallet.storage.actors import name_admin, name_key
from minwallet.storage.admin_store import (
    Admin,
    AdminSession,
    ApiKey,
    AuditEvent,
    EndedAccess,
    NewApiKey,
    find_invited,
)
from minwallet.storage.sqlite import accounts, protocol_secrets
from minwallet.storage.sqlite.audit_log import add_audit_event, list_audit_records
from minwallet.storage.sqlite.subject import SqliteSubject, reads, writes

READ_KEYS = """
    SELECT k.name, k.hint, k.scope, g.name, k.created_at_ms, k.revoked_at_ms, k.created_by
      FROM api_keys AS k LEFT JOIN agents AS g USING (agent_id)
"""

ADD_ADMIN = """
    INSERT INTO admins (name, created_at_ms, created_by) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""

ADD_ADMIN_SESSION = """
    INSERT INTO admin_sessions (token_hash, admin, is_link, created_at_ms, expires_at_ms, created_by)
    VALUES (?, ?, ?, ?, ?, ?)
"""


def add_key(db: sqlite3.Connection, key: NewApiKey, now_ms: int, *, audit: AuditEvent | None = None) -> bool:
    added = db.execute(
        "INSERT INTO api_keys (key_hash, hint, name, scope, agent_id, created_by, created_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (*key, now_ms),
    )
    if added.rowcount == 0:
        return False
    add_audit_event(db, audit)
    return True


def find_key(db: sqlite3.Connection, key_hash: bytes) -> ApiKey | None:
    row = db.execute(f"{READ_KEYS} WHERE k.key_hash = ?", (key_hash,)).fetchone()
    return ApiKey(*row) if row else None


def list_keys(db: sqlite3.Connection) -> list[ApiKey]:
    return [ApiKey(*row) for row in db.execute(f"{READ_KEYS} ORDER BY k.name")]


def revoke_key(db: sqlite3.Connection, name: str, now_ms: int, *, audit: AuditEvent | None = None) -> bool:
    revoked = db.execute(
        "UPDATE api_keys SET revoked_at_ms = ? WHERE name = ? AND revoked_at_ms IS NULL", (now_ms, name)
    )
    if revoked.rowcount:
        add_audit_event(db, audit)
        return True
    return db.execute("SELECT 1 FROM api_keys WHERE name = ?", (name,)).fetchone() is not None


def list_admins(db: sqlite3.Connection) -> list[Admin]:
    return [Admin(*row) for row in db.execute("SELECT name, password FROM admins ORDER BY name")]


def add_login_link(
    db: sqlite3.Connection,
    token_hash: bytes,
    link: AdminSession,
    now_ms: int,
    *,
    audit: AuditEvent | None = None,
    created_by: str,
    only_new: bool = False,
) -> bool:
    # "Eve" beside "eve" would be another admin, whom the audit log shows as the same one.
    if only_new and db.execute("SELECT 1 FROM admins WHERE name = ? COLLATE NOCASE", (link.admin,)).fetchone():
        return False
    db.execute(ADD_ADMIN, (link.admin, now_ms, created_by))
    _delete_expired_sessions(db, now_ms)
    db.execute(ADD_ADMIN_SESSION, (token_hash, link.admin, 1, now_ms, link.expires_at_ms, created_by))
    add_audit_event(db, audit)
    return True


def find_login_link(db: sqlite3.Connection, token_hash: bytes, now_ms: int) -> str | None:
    row = db.execute(
        "SELECT admin FROM admin_sessions WHERE token_hash = ? AND is_link AND expires_at_ms > ?", (token_hash, now_ms)
    ).fetchone()
    return row[0] if row else None


def exchange_login_link(
    db: sqlite3.Connection,
    link_hash: bytes,
    token_hash: bytes,
    session: AdminSession,
    now_ms: int,
    *,
    audit: AuditEvent | None = None,
) -> bool:
    used = db.execute(
        "DELETE FROM admin_sessions WHERE token_hash = ? AND admin = ? AND is_link AND expires_at_ms > ?",
        (link_hash, session.admin, now_ms),
    )
    if used.rowcount == 0:
        return False
    _add_session(db, token_hash, session, now_ms, audit)
    return True


def add_admin_session(
    db: sqlite3.Connection,
    token_hash: bytes,
    session: AdminSession,
    now_ms: int,
    *,
    audit: AuditEvent | None = None,
    password: str,
) -> bool:
    if not db.execute("SELECT 1 FROM admins WHERE name = ? AND password = ?", (session.admin, password)).fetchone():
        return False
    _add_session(db, token_hash, session, now_ms, audit)
    return True


def set_password(
    db: sqlite3.Connection,
    admin: Admin,
    token_hash: bytes,
    session: AdminSession,
    now_ms: int,
    *,
    old_token_hash: bytes,
    audit: AuditEvent | None = None,
) -> bool:
    found = find_admin_session(db, old_token_hash, now_ms)
    if found is None or found.admin != admin.name:
        return False
    db.execute("UPDATE admins SET password = ? WHERE name = ?", (admin.password, admin.name))
    db.execute("DELETE FROM admin_sessions WHERE admin = ?", (admin.name,))
    _add_session(db, token_hash, session, now_ms, audit)
    return True


def _add_session(
    db: sqlite3.Connection, token_hash: bytes, session: AdminSession, now_ms: int, audit: AuditEvent | None
) -> None:
    """Add a cookie and the event. The cookie's maker is the admin."""
    _delete_expired_sessions(db, now_ms)
    values = (token_hash, session.admin, 0, now_ms, session.expires_at_ms, name_admin(session.admin))
    db.execute(ADD_ADMIN_SESSION, values)
    add_audit_event(db, audit)


def _delete_expired_sessions(db: sqlite3.Connection, now_ms: int) -> None:
    db.execute("DELETE FROM admin_sessions WHERE expires_at_ms <= ?", (now_ms,))


def find_admin_session(db: sqlite3.Connection, token_hash: bytes, now_ms: int) -> AdminSession | None:
    row = db.execute(
        "SELECT admin, expires_at_ms FROM admin_sessions WHERE token_hash = ? AND NOT is_link AND expires_at_ms > ?",
        (token_hash, now_ms),
    ).fetchone()
    return AdminSession(*row) if row else None


def delete_admin_session(db: sqlite3.Connection, token_hash: bytes, *, audit: AuditEvent | None = None) -> None:
    if db.execute("DELETE FROM admin_sessions WHERE token_hash = ?", (token_hash,)).rowcount:
        add_audit_event(db, audit)


def reset_admin(
    db: sqlite3.Connection, name: str, now_ms: int, *, audit: AuditEvent | None = None, keep_keys: bool = False
) -> EndedAccess | None:
    makers = dict(db.execute("SELECT name, created_by FROM admins"))
    if name not in makers:
        return None
    _delete_expired_sessions(db, now_ms)
    db.execute("UPDATE admins SET password = NULL WHERE name = ?", (name,))
    deleted = db.execute(
        "DELETE FROM admin_sessions WHERE admin = ? OR (is_link AND created_by = ?) RETURNING admin, is_link",
        (name, name_admin(name)),
    ).fetchall()
    keys: list[tuple[str]] = []
    callback_keys: list[str] = []
    secrets: list[str] = []
    player_sessions = 0
    if not keep_keys:
        callback_keys, secrets = _revoke_provider_access(db, name, now_ms)
        keys = db.execute(
            "UPDATE api_keys SET revoked_at_ms = ? WHERE created_by = ? AND revoked_at_ms IS NULL RETURNING name",
            (now_ms, name_admin(name)),
        ).fetchall()
        player_sessions = db.execute(
            "UPDATE sessions SET revoked_at_ms = :now WHERE opened_by_admin = :name AND revoked_at_ms IS NULL"
            " AND (expires_at_ms IS NULL OR expires_at_ms > :now)",
            {"now": now_ms, "name": name},
        ).rowcount
    unknown = db.execute("SELECT name FROM api_keys WHERE created_by IS NULL AND revoked_at_ms IS NULL ORDER BY name")
    ended = EndedAccess(
        sessions=sum(not is_link for _, is_link in deleted),
        links=tuple(sorted(admin for admin, is_link in deleted if is_link)),
        keys=tuple(sorted(key for (key,) in keys)),
        callback_keys=tuple(callback_keys),
        protocol_secrets=tuple(secrets),
        player_sessions=player_sessions,
        invited=find_invited(makers, name),
        keys_without_maker=tuple(key for (key,) in unknown),
    )
    add_audit_event(db, audit and audit._replace(detail=ended.describe()))
    return ended


def _revoke_provider_access(db: sqlite3.Connection, admin: str, now_ms: int) -> tuple[list[str], list[str]]:
    """Revoke the callback keys and the protocol secrets that the admin made, also through API keys.

    Return their descriptions.
    """
    # A revoked API key counts too: what it made still works.
    keys = db.execute("SELECT name FROM api_keys WHERE created_by = ?", (name_admin(admin),))
    makers = {name_admin(admin), *(name_key(key) for (key,) in keys)}
    made = [(agent, key) for agent, key in accounts.list_live_callback_keys(db) if key.created_by in makers]
    for _, key in made:
        accounts.revoke_callback_key(db, key.key_hash, now_ms)
    secrets = [each for each in protocol_secrets.list_live_protocol_secrets(db) if each[2].created_by in makers]
    for agent_id, _, secret in secrets:
        protocol_secrets.revoke_protocol_secret(db, agent_id, secret.protocol, secret.fingerprint, now_ms)
    return [key.describe(agent) for agent, key in made], [secret.describe(agent) for _, agent, secret in secrets]


def has_credentials(db: sqlite3.Connection) -> bool:
    (found,) = db.execute(
        "SELECT EXISTS (SELECT 1 FROM admin_sessions WHERE NOT is_link)"
        "    OR EXISTS (SELECT 1 FROM admins WHERE password IS NOT NULL)"
    ).fetchone()
    return bool(found)


class SqliteAdminStore(SqliteSubject):
    """The `AdminStore` over SQLite."""

    add_key = writes(add_key)
    find_key = reads(find_key)
    list_keys = reads(list_keys)
    revoke_key = writes(revoke_key)
    list_admins = reads(list_admins)
    add_login_link = writes(add_login_link)
    find_login_link = reads(find_login_link)
    exchange_login_link = writes(exchange_login_link)
    add_admin_session = writes(add_admin_session)
    set_password = writes(set_password)
    find_admin_session = reads(find_admin_session)
    delete_admin_session = writes(delete_admin_session)
    reset_admin = writes(reset_admin)
    has_credentials = reads(has_credentials)
    add_audit_event = writes(add_audit_event)
    list_audit_records = reads(list_audit_records)
