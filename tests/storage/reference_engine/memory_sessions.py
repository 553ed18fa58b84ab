"""The players' sessions of the reference engine."""

from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import NewSession, SessionRow
from tests.storage.reference_engine.memory_state import MemoryState, SessionState


class MemorySessionStore:
    """The `SessionStore` in memory."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def add_session(
        self, account_id: int, session: NewSession, now_ms: int, *, audit: AuditEvent | None = None
    ) -> int:
        self._state.add_audit_event(audit)
        self._state.sessions.append(SessionState(session, account_id, now_ms))
        return len(self._state.sessions)

    async def list_sessions(
        self, player_key: int, limit: int | None = None, before: int | None = None
    ) -> list[SessionRow]:
        found = [
            SessionRow(
                number,
                session.new.hint,
                account.currency,
                session.created_at_ms,
                session.new.expires_at_ms,
                session.revoked_at_ms,
            )
            for number, session in enumerate(self._state.sessions, 1)
            if (account := self._state.accounts[session.account_id - 1]).player_key == player_key
            and (before is None or number < before)
        ]
        return found[::-1][:limit]

    async def revoke_session(self, token_hash: bytes, now_ms: int, *, audit: AuditEvent | None = None) -> bool:
        holder = self._state.find_session_holder(token_hash)
        if holder is None or holder.session_id is None:
            return False
        return await self.revoke_player_session(holder.player_key, holder.session_id, now_ms, audit=audit)

    async def revoke_player_session(
        self, player_key: int, session_id: int, now_ms: int, *, audit: AuditEvent | None = None
    ) -> bool:
        if not 1 <= session_id <= len(self._state.sessions):
            return False
        session = self._state.sessions[session_id - 1]
        if self._state.accounts[session.account_id - 1].player_key != player_key:
            return False
        if session.revoked_at_ms is None:
            session.revoked_at_ms = now_ms
            self._state.add_audit_event(audit)
        return True
