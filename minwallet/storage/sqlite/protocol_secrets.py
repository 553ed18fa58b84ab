"""The SQL of the secrets with which providers sign their calls.

A signature needs the secret itself, so it is stored in the clear. A revoked secret is deleted: its row keeps only the
fingerprint. SQLite leaves deleted text in the free space of the file unless `secure_delete` is on.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import LiveSecret, ProtocolSecret
from minwallet.storage.sqlite.audit_log import add_audit_event

SECRET_COLUMNS = "s.protocol, s.fingerprint, s.created_at_ms, s.created_by, s.revoked_at_ms"  # noqa: S105 names of columns


def add_protocol_secret(
    db: sqlite3.Connection, agent_id: int, secret: ProtocolSecret, text: str, *, audit: AuditEvent | None = None
) -> str | None:
    # The texts are compared, because one text has a different fingerprint for each agent.
    owner = db.execute(
        "SELECT g.name FROM protocol_secrets AS s JOIN agents AS g USING (agent_id)"
        " WHERE s.protocol = ? AND s.secret = ? ORDER BY agent_id <> ?, agent_id",
        (secret.protocol, text, agent_id),
    ).fetchone()
    if owner:
        return str(owner[0])
    db.execute(
        "INSERT INTO protocol_secrets"
        " (agent_id, protocol, fingerprint, created_at_ms, created_by, revoked_at_ms, secret)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET created_at_ms = excluded.created_at_ms, created_by = excluded.created_by,"
        " revoked_at_ms = NULL, secret = excluded.secret",
        (agent_id, *secret, text),
    )
    add_audit_event(db, audit)
    return None


def list_protocol_secrets(db: sqlite3.Connection, agent_id: int) -> list[ProtocolSecret]:
    rows = db.execute(
        f"SELECT {SECRET_COLUMNS} FROM protocol_secrets AS s WHERE agent_id = ?"  # noqa: S608 the columns are a constant
        " ORDER BY protocol, created_at_ms, fingerprint",
        (agent_id,),
    )
    return [ProtocolSecret(*row) for row in rows]


def revoke_protocol_secret(
    db: sqlite3.Connection,
    agent_id: int,
    protocol: str,
    fingerprint: str,
    now_ms: int,
    *,
    audit: AuditEvent | None = None,
) -> None:
    with _secure_delete(db):
        revoked = db.execute(
            "UPDATE protocol_secrets SET revoked_at_ms = ?, secret = NULL"
            " WHERE agent_id = ? AND protocol = ? AND fingerprint = ? AND revoked_at_ms IS NULL",
            (now_ms, agent_id, protocol, fingerprint),
        )
    if revoked.rowcount:
        add_audit_event(db, audit)


def list_live_protocol_secrets(db: sqlite3.Connection) -> list[tuple[int, str, ProtocolSecret]]:
    """Return the live secrets of all agents, each after the id and the name of its agent, in order of names."""
    rows = db.execute(
        f"SELECT agent_id, g.name, {SECRET_COLUMNS} FROM protocol_secrets AS s JOIN agents AS g USING (agent_id)"  # noqa: S608 the columns are a constant
        " WHERE s.revoked_at_ms IS NULL ORDER BY g.name, s.protocol, s.fingerprint"
    )
    return [(agent_id, agent, ProtocolSecret(*secret)) for agent_id, agent, *secret in rows]


def read_live_protocol_secrets(db: sqlite3.Connection) -> dict[str, list[LiveSecret]]:
    found = defaultdict(list)
    for protocol, agent_id, text in db.execute(
        "SELECT protocol, agent_id, secret FROM protocol_secrets WHERE revoked_at_ms IS NULL"
        " ORDER BY created_at_ms DESC, fingerprint"
    ):
        found[protocol].append(LiveSecret(agent_id, text))
    return dict(found)


@contextmanager
def _secure_delete(db: sqlite3.Connection) -> Iterator[None]:
    """Have SQLite overwrite with zeros what the block deletes."""
    (before,) = db.execute("PRAGMA secure_delete").fetchone()
    db.execute("PRAGMA secure_delete = 1")
    try:
        yield
    finally:
        db.execute(f"PRAGMA secure_delete = {before:d}")
