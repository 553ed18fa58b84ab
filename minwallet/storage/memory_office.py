"""The reference engine's half of what the back office keeps."""

from dataclasses import dataclass, field

from minwallet.storage.office import Action, Admin, ApiKey, NewKey, Numbered, SignIn


@dataclass
class MemoryOffice:
    """The `Office` of `storage.office`, forgotten at the end."""

    _keys: dict[bytes, ApiKey] = field(default_factory=dict)
    _admins: dict[str, Admin] = field(default_factory=dict)
    _links: dict[bytes, SignIn] = field(default_factory=dict)
    _cookies: dict[bytes, SignIn] = field(default_factory=dict)
    _actions: list[Action] = field(default_factory=list)

    def _agent_name(self, agent_id: int) -> str:
        raise NotImplementedError

    async def add_key(self, key: NewKey, now_ms: int) -> bool:
        if any(known.name == key.name for known in self._keys.values()):
            return False
        agent = self._agent_name(key.agent_id) if key.agent_id else None
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

    async def keep_admin(self, admin: Admin, now_ms: int) -> None:
        del now_ms
        self._admins[admin.name] = admin

    async def list_admins(self) -> list[Admin]:
        return sorted(self._admins.values(), key=lambda admin: admin.name)

    async def add_sign_in(self, token_hash: bytes, sign_in: SignIn, *, is_link: bool, now_ms: int) -> None:
        del now_ms
        assert sign_in.admin in self._admins
        (self._links if is_link else self._cookies)[token_hash] = sign_in

    async def find_sign_in(self, token_hash: bytes, now_ms: int) -> SignIn | None:
        found = self._cookies.get(token_hash)
        return found if found and found.expires_at_ms > now_ms else None

    async def take_link(self, token_hash: bytes, now_ms: int) -> str | None:
        found = self._links.get(token_hash)
        if found is None or found.expires_at_ms <= now_ms:
            return None
        del self._links[token_hash]
        return found.admin

    async def end_sign_in(self, token_hash: bytes) -> None:
        self._links.pop(token_hash, None)
        self._cookies.pop(token_hash, None)

    async def end_sign_ins(self, admin: str) -> None:
        for kept in (self._links, self._cookies):
            for token_hash in [each for each, sign_in in kept.items() if sign_in.admin == admin]:
                del kept[token_hash]

    async def has_signed_in(self) -> bool:
        return bool(self._cookies) or any(admin.password for admin in self._admins.values())

    async def add_action(self, action: Action) -> None:
        self._actions.append(action)

    async def list_actions(self, before: int | None, limit: int) -> list[Numbered]:
        numbered = [Numbered(number, action) for number, action in enumerate(self._actions, 1)]
        return [each for each in reversed(numbered) if before is None or each.number < before][:limit]
