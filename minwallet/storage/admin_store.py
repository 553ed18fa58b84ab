"""The interface to API keys, admins, their sessions, and the audit log."""

from enum import StrEnum
from typing import NamedTuple, Protocol


class KeyScope(StrEnum):
    """The permission of a key: read only, or read and write."""

    READ = "read"
    WRITE = "write"


class NewApiKey(NamedTuple):
    """A key to add. `hint` is the beginning of the key. With `agent_id` None the key is valid for all agents."""

    key_hash: bytes
    hint: str
    name: str
    scope: str
    agent_id: int | None


class ApiKey(NamedTuple):
    """A listed key. The key itself is not stored."""

    name: str
    hint: str
    scope: str
    agent: str | None
    created_at_ms: int
    revoked_at_ms: int | None


class Admin(NamedTuple):
    """An admin who can sign in. `password` is a salted hash, or None if the admin signs in by links only."""

    name: str
    password: str | None


class AdminSession(NamedTuple):
    """The admin of a cookie, or of an unused login link."""

    admin: str
    expires_at_ms: int


class AuditEvent(NamedTuple):
    """A change and its actor. `detail` is JSON. `seq` is the ledger entry of the change, if it moved money."""

    at_ms: int
    actor: str
    action: str
    agent: str | None
    subject: str | None
    detail: str
    seq: int | None = None


class AuditRecord(NamedTuple):
    """An event in the audit log, with its number."""

    number: int
    event: AuditEvent


class AdminStore(Protocol):
    """The data of the back office. Every method may raise StoreError. Tokens and keys are passed as hashes."""

    async def add_key(self, key: NewApiKey, now_ms: int) -> bool:
        """Add a key. Return False if another key, perhaps a revoked one, has the name."""

    async def find_key(self, key_hash: bytes) -> ApiKey | None: ...

    async def list_keys(self) -> list[ApiKey]:
        """Return all keys in order of their names."""

    async def revoke_key(self, name: str, now_ms: int) -> bool:
        """Revoke the key. Return False if it is unknown. Revoking it again changes nothing."""

    async def upsert_admin(self, admin: Admin, now_ms: int) -> None:
        """Add the admin, or change the password of an existing one."""

    async def list_admins(self) -> list[Admin]:
        """Return all admins in order of their names."""

    async def add_admin_session(self, token_hash: bytes, session: AdminSession, *, is_link: bool, now_ms: int) -> None:
        """Add a login link or a cookie for an existing admin. Delete the expired ones."""

    async def find_admin_session(self, token_hash: bytes, now_ms: int) -> AdminSession | None:
        """Return the session of this cookie. Return None if it is unknown or expired."""

    async def consume_login_link(self, token_hash: bytes, now_ms: int) -> str | None:
        """Delete the login link and return its admin. Return None if it is unknown, used or expired."""

    async def delete_admin_session(self, token_hash: bytes) -> None: ...

    async def delete_admin_sessions(self, admin: str) -> None:
        """Delete all login links and cookies of this admin."""

    async def has_credentials(self) -> bool:
        """Return True if any admin has a cookie or a password. Unused login links do not count."""

    async def add_audit_event(self, event: AuditEvent) -> None: ...

    async def list_audit_records(self, before: int | None, limit: int) -> list[AuditRecord]:
        """Return up to `limit` records with a number below `before`, newest first."""
