"""The interface to API keys, admins, their sessions, and the audit log."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

from minwallet.storage.actors import name_admin


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
    created_by: str | None = None
    """The actor who made it."""


class ApiKey(NamedTuple):
    """A listed key. The key itself is not stored."""

    name: str
    hint: str
    scope: str
    agent: str | None
    created_at_ms: int
    revoked_at_ms: int | None
    created_by: str | None = None
    """The actor who made it. None if it was made before makers were recorded."""


class Admin(NamedTuple):
    """An admin who can sign in. `password` is a salted hash, or None if the admin signs in by links only."""

    name: str
    password: str | None


class AdminSession(NamedTuple):
    """The admin of a cookie, or of an unused login link."""

    admin: str
    expires_at_ms: int


class EndedAccess(NamedTuple):
    """The result of an admin's reset: what it has ended, and what a person must judge."""

    sessions: int
    """The admin's own sessions."""
    links: tuple[str, ...]
    """The admins of the ended login links: the admin's own ones, and those that the admin made."""
    keys: tuple[str, ...]
    """The API keys that the admin made."""
    callback_keys: tuple[str, ...]
    """The callback keys that the admin made, or that a program made with one of the admin's API keys.

    As `CallbackKey.describe` returns them.
    """
    protocol_secrets: tuple[str, ...]
    """The protocol secrets that the admin added, also by one of the admin's API keys.

    As `ProtocolSecret.describe` returns them.
    """
    player_sessions: int
    """The sessions of players that the admin opened."""
    invited: tuple[str, ...] = ()
    """The admins whose first link the admin made, and those whom they invited in turn. They can still sign in."""
    keys_without_maker: tuple[str, ...] = ()
    """The valid keys that were made before makers were recorded. They are not revoked."""

    def describe(self) -> str:
        """Return what was ended, as the detail of the audit event."""
        ended = {"sessions": self.sessions, "links": self.links, "keys": self.keys}
        ended |= {"callback_keys": self.callback_keys, "protocol_secrets": self.protocol_secrets}
        ended |= {"player_sessions": self.player_sessions}
        return json.dumps(ended, ensure_ascii=False)


def find_invited(makers: Mapping[str, str | None], name: str) -> tuple[str, ...]:
    """Return the admins that this admin invited, directly or through others. `makers` has the maker of each admin."""
    found, makers_found = {name}, {name_admin(name)}
    while new := {admin for admin, maker in makers.items() if maker in makers_found} - found:
        found |= new
        makers_found |= {name_admin(admin) for admin in new}
    return tuple(sorted(found - {name}))


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
    """The data of the back office. Every method may raise StoreError. Tokens and keys are passed as hashes.

    A change and its event in the audit log are one transaction. A call that changes nothing adds no event.
    """

    async def add_key(self, key: NewApiKey, now_ms: int, *, audit: AuditEvent | None = None) -> bool:
        """Add a key. Return False if another key, perhaps a revoked one, has the name."""

    async def find_key(self, key_hash: bytes) -> ApiKey | None: ...

    async def list_keys(self) -> list[ApiKey]:
        """Return all keys in order of their names."""

    async def revoke_key(self, name: str, now_ms: int, *, audit: AuditEvent | None = None) -> bool:
        """Revoke the key. Return False if it is unknown. Revoking it again changes nothing."""

    async def list_admins(self) -> list[Admin]:
        """Return all admins in order of their names."""

    async def add_login_link(
        self,
        token_hash: bytes,
        link: AdminSession,
        now_ms: int,
        *,
        audit: AuditEvent | None = None,
        created_by: str,
        only_new: bool = False,
    ) -> bool:
        """Add a login link, and the admin if the name is new. With `only_new` return False for an existing admin.

        Names that differ in case only are the same name here.
        """

    async def find_login_link(self, token_hash: bytes, now_ms: int) -> str | None:
        """Return the admin of this login link. Return None if it is unknown, used or expired."""

    async def exchange_login_link(
        self,
        link_hash: bytes,
        token_hash: bytes,
        session: AdminSession,
        now_ms: int,
        *,
        audit: AuditEvent | None = None,
    ) -> bool:
        """Replace the login link of this admin by a cookie. Return False if the link is unknown, used or expired."""

    async def add_admin_session(
        self,
        token_hash: bytes,
        session: AdminSession,
        now_ms: int,
        *,
        audit: AuditEvent | None = None,
        password: str,
    ) -> bool:
        """Add a cookie after a sign-in by password. Return False if the admin's hash is not `password` any more."""

    async def set_password(
        self,
        admin: Admin,
        token_hash: bytes,
        session: AdminSession,
        now_ms: int,
        *,
        old_token_hash: bytes,
        audit: AuditEvent | None = None,
    ) -> bool:
        """Set the password, and replace all login links and cookies of the admin by one new cookie.

        Return False if the old cookie has ended meanwhile.
        """

    async def find_admin_session(self, token_hash: bytes, now_ms: int) -> AdminSession | None:
        """Return the session of this cookie. Return None if it is unknown or expired."""

    async def delete_admin_session(self, token_hash: bytes, *, audit: AuditEvent | None = None) -> None: ...

    async def reset_admin(
        self, name: str, now_ms: int, *, audit: AuditEvent | None = None, keep_keys: bool = False
    ) -> EndedAccess | None:
        """Remove the password, and end all access of this admin and all that the admin made. Return None if unknown.

        With `keep_keys` all keys and the sessions of players stay. The event gets `EndedAccess.describe` as its detail.
        """

    async def has_credentials(self) -> bool:
        """Return True if any admin has a cookie or a password. Unused login links do not count."""

    async def add_audit_event(self, event: AuditEvent) -> None:
        """Add an event that changes nothing else, such as a failed sign-in."""

    async def list_audit_records(self, before: int | None, limit: int) -> list[AuditRecord]:
        """Return up to `limit` records with a number below `before`, newest first."""
