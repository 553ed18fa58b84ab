"""The API keys, admins and audit log of the reference engine."""

from minwallet.storage.admin_store import Admin, AdminSession, ApiKey, AuditEvent, AuditRecord, NewApiKey
from tests.storage.reference_engine.memory_state import MemoryState


class MemoryAdminStore:
    """The `AdminStore` in memory."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def add_key(self, key: NewApiKey, now_ms: int) -> bool:
        if any(known.name == key.name for known in self._state.keys.values()):
            return False
        agent = self._state.agents[key.agent_id - 1].name if key.agent_id else None
        self._state.keys[key.key_hash] = ApiKey(key.name, key.hint, key.scope, agent, now_ms, None)
        return True

    async def find_key(self, key_hash: bytes) -> ApiKey | None:
        return self._state.keys.get(key_hash)

    async def list_keys(self) -> list[ApiKey]:
        return sorted(self._state.keys.values())

    async def revoke_key(self, name: str, now_ms: int) -> bool:
        found = [(hash_, key) for hash_, key in self._state.keys.items() if key.name == name]
        for hash_, key in found:
            self._state.keys[hash_] = key._replace(revoked_at_ms=key.revoked_at_ms or now_ms)
        return bool(found)

    async def upsert_admin(self, admin: Admin, now_ms: int) -> None:
        del now_ms
        self._state.admins[admin.name] = admin

    async def list_admins(self) -> list[Admin]:
        return sorted(self._state.admins.values(), key=lambda admin: admin.name)

    async def add_admin_session(self, token_hash: bytes, session: AdminSession, *, is_link: bool, now_ms: int) -> None:
        del now_ms
        assert session.admin in self._state.admins
        (self._state.login_links if is_link else self._state.admin_sessions)[token_hash] = session

    async def find_admin_session(self, token_hash: bytes, now_ms: int) -> AdminSession | None:
        found = self._state.admin_sessions.get(token_hash)
        return found if found and found.expires_at_ms > now_ms else None

    async def consume_login_link(self, token_hash: bytes, now_ms: int) -> str | None:
        found = self._state.login_links.get(token_hash)
        if found is None or found.expires_at_ms <= now_ms:
            return None
        del self._state.login_links[token_hash]
        return found.admin

    async def delete_admin_session(self, token_hash: bytes) -> None:
        self._state.login_links.pop(token_hash, None)
        self._state.admin_sessions.pop(token_hash, None)

    async def delete_admin_sessions(self, admin: str) -> None:
        for sessions in (self._state.login_links, self._state.admin_sessions):
            for token_hash in [each for each, sign_in in sessions.items() if sign_in.admin == admin]:
                del sessions[token_hash]

    async def has_credentials(self) -> bool:
        return bool(self._state.admin_sessions) or any(admin.password for admin in self._state.admins.values())

    async def add_audit_event(self, event: AuditEvent) -> None:
        self._state.audit_log.append(event)

    async def list_audit_records(self, before: int | None, limit: int) -> list[AuditRecord]:
        records = [AuditRecord(number, action) for number, action in enumerate(self._state.audit_log, 1)]
        return [each for each in reversed(records) if before is None or each.number < before][:limit]
