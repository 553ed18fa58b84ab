"""The API keys, admins and audit log of the reference engine."""

from minwallet.storage.actors import name_admin, name_key
from minwallet.storage.admin_store import (
    Admin,
    AdminSession,
    ApiKey,
    AuditEvent,
    AuditRecord,
    EndedAccess,
    NewApiKey,
    find_invited,
)
from tests.storage.reference_engine.memory_state import MemoryState


class MemoryAdminStore:
    """The `AdminStore` in memory."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def add_key(self, key: NewApiKey, now_ms: int, *, audit: AuditEvent | None = None) -> bool:
        if any(known.name == key.name for known in self._state.keys.values()):
            return False
        agent = self._state.agents[key.agent_id - 1].name if key.agent_id else None
        self._state.keys[key.key_hash] = ApiKey(key.name, key.hint, key.scope, agent, now_ms, None, key.created_by)
        self._state.add_audit_event(audit)
        return True

    async def find_key(self, key_hash: bytes) -> ApiKey | None:
        return self._state.keys.get(key_hash)

    async def list_keys(self) -> list[ApiKey]:
        return sorted(self._state.keys.values())

    async def revoke_key(self, name: str, now_ms: int, *, audit: AuditEvent | None = None) -> bool:
        for hash_, key in self._state.keys.items():
            if key.name == name:
                if key.revoked_at_ms is None:
                    self._state.keys[hash_] = key._replace(revoked_at_ms=now_ms)
                    self._state.add_audit_event(audit)
                return True
        return False

    async def list_admins(self) -> list[Admin]:
        return sorted(self._state.admins.values(), key=lambda admin: admin.name)

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
        if only_new and link.admin.lower() in {name.lower() for name in self._state.admins}:
            return False
        if link.admin not in self._state.admins:
            self._state.admins[link.admin] = Admin(link.admin, None)
            self._state.admin_makers[link.admin] = created_by
        self._delete_expired_sessions(now_ms)
        self._state.login_links[token_hash] = link
        self._state.link_makers[token_hash] = created_by
        self._state.add_audit_event(audit)
        return True

    async def find_login_link(self, token_hash: bytes, now_ms: int) -> str | None:
        found = self._state.login_links.get(token_hash)
        return found.admin if found and found.expires_at_ms > now_ms else None

    async def exchange_login_link(
        self,
        link_hash: bytes,
        token_hash: bytes,
        session: AdminSession,
        now_ms: int,
        *,
        audit: AuditEvent | None = None,
    ) -> bool:
        if await self.find_login_link(link_hash, now_ms) != session.admin:
            return False
        del self._state.login_links[link_hash]
        self._add_session(token_hash, session, now_ms, audit)
        return True

    async def add_admin_session(
        self,
        token_hash: bytes,
        session: AdminSession,
        now_ms: int,
        *,
        audit: AuditEvent | None = None,
        password: str,
    ) -> bool:
        if self._state.admins.get(session.admin) != Admin(session.admin, password):
            return False
        self._add_session(token_hash, session, now_ms, audit)
        return True

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
        found = await self.find_admin_session(old_token_hash, now_ms)
        if found is None or found.admin != admin.name:
            return False
        self._state.admins[admin.name] = admin
        for sessions in (self._state.login_links, self._state.admin_sessions):
            for each in [each for each, sign_in in sessions.items() if sign_in.admin == admin.name]:
                del sessions[each]
        self._add_session(token_hash, session, now_ms, audit)
        return True

    def _add_session(self, token_hash: bytes, session: AdminSession, now_ms: int, audit: AuditEvent | None) -> None:
        self._delete_expired_sessions(now_ms)
        self._state.admin_sessions[token_hash] = session
        self._state.add_audit_event(audit)

    def _delete_expired_sessions(self, now_ms: int) -> None:
        for sessions in (self._state.login_links, self._state.admin_sessions):
            for each in [each for each, sign_in in sessions.items() if sign_in.expires_at_ms <= now_ms]:
                del sessions[each]

    async def find_admin_session(self, token_hash: bytes, now_ms: int) -> AdminSession | None:
        found = self._state.admin_sessions.get(token_hash)
        return found if found and found.expires_at_ms > now_ms else None

    async def delete_admin_session(self, token_hash: bytes, *, audit: AuditEvent | None = None) -> None:
        if self._state.admin_sessions.pop(token_hash, None) or self._state.login_links.pop(token_hash, None):
            self._state.add_audit_event(audit)

    async def reset_admin(
        self, name: str, now_ms: int, *, audit: AuditEvent | None = None, keep_keys: bool = False
    ) -> EndedAccess | None:
        state, maker = self._state, name_admin(name)
        if name not in state.admins:
            return None
        self._delete_expired_sessions(now_ms)
        state.admins[name] = Admin(name, None)
        cookies = [each for each, session in state.admin_sessions.items() if session.admin == name]
        links = {
            each: link.admin
            for each, link in state.login_links.items()
            if link.admin == name or state.link_makers[each] == maker
        }
        keys = [each for each, key in state.keys.items() if key.created_by == maker and not key.revoked_at_ms]
        opened = [
            each
            for each in state.sessions
            if each.new.opened_by_admin == name
            and each.revoked_at_ms is None
            and (each.new.expires_at_ms is None or each.new.expires_at_ms > now_ms)
        ]
        if keep_keys:
            keys, opened = [], []
        for each in cookies:
            del state.admin_sessions[each]
        for each in links:
            del state.login_links[each]
        for each in keys:
            state.keys[each] = state.keys[each]._replace(revoked_at_ms=now_ms)
        for session in opened:
            session.revoked_at_ms = now_ms
        ended = EndedAccess(
            len(cookies),
            tuple(sorted(links.values())),
            tuple(sorted(state.keys[each].name for each in keys)),
            () if keep_keys else self._revoke_callback_keys(maker, now_ms),
            () if keep_keys else self._revoke_protocol_secrets(maker, now_ms),
            len(opened),
            find_invited(state.admin_makers, name),
            tuple(sorted(key.name for key in state.keys.values() if not (key.created_by or key.revoked_at_ms))),
        )
        state.add_audit_event(audit and audit._replace(detail=ended.describe()))
        return ended

    def _revoke_callback_keys(self, maker: str, now_ms: int) -> tuple[str, ...]:
        state, makers = self._state, self._find_makers(maker)
        agents = {agent.agent_id: agent.name for agent in state.agents}
        made = [
            (agents[agent_id], key)
            for agent_id, key in state.callback_keys.values()
            if key.created_by in makers and key.revoked_at_ms is None
        ]
        for agent_id, key in list(state.callback_keys.values()):
            if (agents[agent_id], key) in made:
                state.callback_keys[key.key_hash] = (agent_id, key._replace(revoked_at_ms=now_ms))
        return tuple(key.describe(agent) for agent, key in sorted(made, key=lambda each: (each[0], each[1].hint)))

    def _revoke_protocol_secrets(self, maker: str, now_ms: int) -> tuple[str, ...]:
        state, makers = self._state, self._find_makers(maker)
        agents = {agent.agent_id: agent.name for agent in state.agents}
        made = [key for key in state.secret_texts if state.protocol_secrets[key].created_by in makers]
        for key in made:
            del state.secret_texts[key]
            state.protocol_secrets[key] = state.protocol_secrets[key]._replace(revoked_at_ms=now_ms)
        sorted_keys = sorted(made, key=lambda each: (agents[each[0]], *each[1:]))
        return tuple(state.protocol_secrets[key].describe(agents[key[0]]) for key in sorted_keys)

    def _find_makers(self, maker: str) -> set[str]:
        """Return the actors of the admin: the admin and the API keys that the admin made."""
        return {maker, *(name_key(key.name) for key in self._state.keys.values() if key.created_by == maker)}

    async def has_credentials(self) -> bool:
        return bool(self._state.admin_sessions) or any(admin.password for admin in self._state.admins.values())

    async def add_audit_event(self, event: AuditEvent) -> None:
        self._state.audit_log.append(event)

    async def list_audit_records(self, before: int | None, limit: int) -> list[AuditRecord]:
        records = [AuditRecord(number, action) for number, action in enumerate(self._state.audit_log, 1)]
        return [each for each in reversed(records) if before is None or each.number < before][:limit]
