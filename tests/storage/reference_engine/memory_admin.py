"""The reference engine's half of what the back office keeps."""

from dataclasses import dataclass, field

from minwallet.storage.admin_store import Admin, AdminSession, ApiKey, AuditEvent, AuditRecord, NewApiKey


@dataclass
class MemoryAdminStore:
    """The `AdminStore` of `storage.office`, forgotten at the end."""

    _keys: dict[bytes, ApiKey] = field(default_factory=dict)
    _admins: dict[str, Admin] = field(default_factory=dict)
    _login_links: dict[bytes, AdminSession] = field(default_factory=dict)
    _admin_sessions: dict[bytes, AdminSession] = field(default_factory=dict)
    _audit_log: list[AuditEvent] = field(default_factory=list)

    def _find_agent_name(self, agent_id: int) -> str:
        raise NotImplementedError

    async def add_key(self, key: NewApiKey, now_ms: int) -> bool:
        if any(known.name == key.name for known in self._keys.values()):
            return False
        agent = self._find_agent_name(key.agent_id) if key.agent_id else None
        self._keys[key.key_hash] = ApiKey(key.name, key.hint, key.scope, agent, now_ms, None)
        return True

    async def find_key(self, key_hash: bytes) -> ApiKey | None:
        return self._keys.get(key_hash)

    async def list_keys(self) -> list[ApiKey]:
        return sorted(self._keys.values())

    async def revoke_key(self, name: str, now_ms: int) -> bool:
        found = [(hash_, key) for hash_, key in self._keys.items() if key.name == name]
        for hash_, key in found:
            self._keys[hash_] = key._replace(revoked_at_ms=key.revoked_at_ms or now_ms)
        return bool(found)

    async def upsert_admin(self, admin: Admin, now_ms: int) -> None:
        del now_ms
        self._admins[admin.name] = admin

    async def list_admins(self) -> list[Admin]:
        return sorted(self._admins.values(), key=lambda admin: admin.name)

    async def add_admin_session(self, token_hash: bytes, session: AdminSession, *, is_link: bool, now_ms: int) -> None:
        del now_ms
        assert session.admin in self._admins
        (self._login_links if is_link else self._admin_sessions)[token_hash] = session

    async def find_admin_session(self, token_hash: bytes, now_ms: int) -> AdminSession | None:
        found = self._admin_sessions.get(token_hash)
        return found if found and found.expires_at_ms > now_ms else None

    async def consume_login_link(self, token_hash: bytes, now_ms: int) -> str | None:
        found = self._login_links.get(token_hash)
        if found is None or found.expires_at_ms <= now_ms:
            return None
        del self._login_links[token_hash]
        return found.admin

    async def delete_admin_session(self, token_hash: bytes) -> None:
        self._login_links.pop(token_hash, None)
        self._admin_sessions.pop(token_hash, None)

    async def delete_admin_sessions(self, admin: str) -> None:
        for sessions in (self._login_links, self._admin_sessions):
            for token_hash in [each for each, sign_in in sessions.items() if sign_in.admin == admin]:
                del sessions[token_hash]

    async def has_credentials(self) -> bool:
        return bool(self._admin_sessions) or any(admin.password for admin in self._admins.values())

    async def add_audit_event(self, event: AuditEvent) -> None:
        self._audit_log.append(event)

    async def list_audit_records(self, before: int | None, limit: int) -> list[AuditRecord]:
        records = [AuditRecord(number, action) for number, action in enumerate(self._audit_log, 1)]
        return [each for each in reversed(records) if before is None or each.number < before][:limit]
