"""What the back office keeps: keys of the admin API, who may sign in, and who did what."""

from enum import StrEnum
from typing import NamedTuple, Protocol


class KeyScope(StrEnum):
    """What a key may do: look, or change things too."""

    READ = "read"
    WRITE = "write"


class NewApiKey(NamedTuple):
    """A key to add: its hash, and a beginning to recognise it by. `agent_id` None reaches all agents."""

    key_hash: bytes
    hint: str
    name: str
    scope: str
    agent_id: int | None


class ApiKey(NamedTuple):
    """A key as it is listed; the key itself is kept nowhere."""

    name: str
    hint: str
    scope: str
    agent: str | None
    created_at_ms: int
    revoked_at_ms: int | None


class Admin(NamedTuple):
    """Somebody who signs in. `password` is a salted hash, None as long as only links sign in."""

    name: str
    password: str | None


class AdminSession(NamedTuple):
    """What a cookie, or a link that nobody used yet, stands for."""

    admin: str
    expires_at_ms: int


class AuditEvent(NamedTuple):
    """Who changed what. `detail` is JSON; `seq` the row of the ledger that it made, if it moved money."""

    at_ms: int
    actor: str
    action: str
    agent: str | None
    subject: str | None
    detail: str
    seq: int | None = None


class AuditRecord(NamedTuple):
    number: int
    event: AuditEvent


class AdminStore(Protocol):
    """What a store keeps for the back office. Every method may raise StoreError. Tokens and keys come as hashes."""

    async def add_key(self, key: NewApiKey, now_ms: int) -> bool:
        """False where another key has, or had, the name."""

    async def find_key(self, key_hash: bytes) -> ApiKey | None: ...

    async def list_keys(self) -> list[ApiKey]:
        """In order of their names."""

    async def revoke_key(self, name: str, now_ms: int) -> bool:
        """False where there is no such key; revoking twice changes nothing."""

    async def upsert_admin(self, admin: Admin, now_ms: int) -> None:
        """Add the admin, or change the password."""

    async def list_admins(self) -> list[Admin]:
        """In order of their names."""

    async def add_admin_session(self, token_hash: bytes, session: AdminSession, *, is_link: bool, now_ms: int) -> None:
        """A link or a cookie for an admin that there is. Those that have expired are forgotten."""

    async def find_admin_session(self, token_hash: bytes, now_ms: int) -> AdminSession | None:
        """What this cookie stands for, if it has not expired."""

    async def consume_login_link(self, token_hash: bytes, now_ms: int) -> str | None:
        """Use a link up: the admin it was made for, once and before it expires."""

    async def delete_admin_session(self, token_hash: bytes) -> None: ...

    async def delete_admin_sessions(self, admin: str) -> None:
        """All links and cookies of this admin."""

    async def has_credentials(self) -> bool:
        """Whether anybody has a cookie or a password."""

    async def add_audit_event(self, event: AuditEvent) -> None: ...

    async def list_audit_records(self, before: int | None, limit: int) -> list[AuditRecord]:
        """The newest first, those before this number."""
