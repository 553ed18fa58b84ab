"""Session tokens, and a cache of the accounts of calls. A token is 160 random bits; only its hash is stored."""

import hashlib
import re
import secrets
from collections import OrderedDict

from minwallet.storage.models import NewSession, SessionHolder
from minwallet.storage.store import Store

TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_]{1,40}", re.ASCII)

CACHE_SIZE = 20_000
"""How many holders are cached: the players of a busy evening, at about half a kilobyte each."""

MAX_NAME_LENGTH = 40
"""The longest player id and currency that are looked up. Longer ones do not exist."""


def generate_token() -> str:
    """Return 160 random bits as 40 characters."""
    return secrets.token_hex(20)


def build_new_session(token: str, expires_at_ms: int | None) -> NewSession:
    """Return what is stored of a token: its hash, and its beginning for recognition in lists."""
    hint = token[: min(6, len(token) // 4)]
    return NewSession(hash_token(token), f"{hint}…", expires_at_ms)


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _can_be_name(text: str) -> bool:
    """Check if the text of a request can be a player's id or a currency. SQLite cannot look up a lone surrogate."""
    return len(text) <= MAX_NAME_LENGTH and text.isascii()


class SessionCache:
    """A cache from a session's token, or from an agent's player and currency, to the holder of the account.

    It drops the least recently used holder. Only the identity is cached, as it never changes. Expiry, revocation and
    the player's status are read again in the transaction of each decision.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: OrderedDict[str | tuple[int, str, str], SessionHolder] = OrderedDict()

    def clear(self) -> None:
        """Forget all holders."""
        self._cache.clear()

    async def find(self, token: str) -> SessionHolder | None:
        """Return the holder, even of an expired or revoked session. Return None for an unknown token."""
        if holder := self._cache.get(token):
            self._cache.move_to_end(token)
            return holder
        if not TOKEN_PATTERN.fullmatch(token):
            return None
        return self._add(token, await self._store.find_session_holder(hash_token(token)))

    async def find_account(self, agent_id: int, player_id: str, currency: str) -> SessionHolder | None:
        """Return the account of the agent's player, without a session. Return None if there is none."""
        key = agent_id, player_id, currency
        if holder := self._cache.get(key):
            self._cache.move_to_end(key)
            return holder
        if not (_can_be_name(player_id) and _can_be_name(currency)):
            return None
        return self._add(key, await self._store.find_account_holder(agent_id, player_id, currency))

    async def has_player(self, agent_id: int, player_id: str) -> bool:
        """Check if the agent has this player, in any currency. This is not cached."""
        return _can_be_name(player_id) and await self._store.has_player(agent_id, player_id)

    def _add(self, key: str | tuple[int, str, str], holder: SessionHolder | None) -> SessionHolder | None:
        # Unknown ones are not cached, or a stranger could evict the players.
        if holder is not None:
            self._cache[key] = holder
            if len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return holder
