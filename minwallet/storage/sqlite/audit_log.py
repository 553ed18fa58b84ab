"""The SQL of the audit log. A change and its row are written in one transaction, so neither exists without the other.

Every function that makes an audited change takes the event and calls `add_audit_event`, once it has changed something.
The transaction is the one of `subject.writes`, or the batch of a transfer.
"""

import sqlite3

from minwallet.storage.admin_store import AuditEvent, AuditRecord

AUDIT_EVENT_COLUMNS = ", ".join(AuditEvent._fields)


def add_audit_event(db: sqlite3.Connection, event: AuditEvent | None) -> None:
    """Add the event, if there is one: a change by a test or by the program itself has none."""
    if event:
        db.execute(f"INSERT INTO audit_log ({AUDIT_EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", event)  # noqa: S608 the columns are a constant


def list_audit_records(db: sqlite3.Connection, before: int | None, limit: int) -> list[AuditRecord]:
    rows = db.execute(
        f"SELECT number, {AUDIT_EVENT_COLUMNS} FROM audit_log"  # noqa: S608 the columns are a constant
        " WHERE number < coalesce(?, 1 << 62) ORDER BY number DESC LIMIT ?",
        (before, limit),
    )
    return [AuditRecord(number, AuditEvent(*row)) for number, *row in rows]
