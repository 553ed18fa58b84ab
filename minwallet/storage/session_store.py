"""The interface to the players' sessions. The session of a provider's call is found by `Store.find_session_holder`."""

from typing import Protocol

from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import NewSession, SessionRow


class SessionStore(Protocol):
    """The players' sessions. Every method may raise StoreError.

    A change and its event in the audit log are one transaction. A call that changes nothing adds no event.
    """

    async def add_session(
        self, account_id: int, session: NewSession, now_ms: int, *, audit: AuditEvent | None = None
    ) -> int:
        """Add a session and return its `session_id`."""

    async def list_sessions(
        self, player_key: int, limit: int | None = None, before: int | None = None
    ) -> list[SessionRow]:
        """Return up to `limit` sessions with a `session_id` below `before`, newest first."""

    async def revoke_session(self, token_hash: bytes, now_ms: int, *, audit: AuditEvent | None = None) -> bool:
        """Revoke the session. Return False if it is unknown. Revoking it again changes nothing."""

    async def revoke_player_session(
        self, player_key: int, session_id: int, now_ms: int, *, audit: AuditEvent | None = None
    ) -> bool:
        """Revoke the session as `revoke_session` does. Return False if it is not a session of this player."""
