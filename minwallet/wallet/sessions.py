"""Session tokens and the cache of their holders. A token is 160 random bits; only its hash is stored."""

import hashlib
import re
import secrets
from collections import OrderedDict

from minwallet.storage.models import NewSession, SessionHolder
from minwallet.storage.store import Store

TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_]{1,40}", re.ASCII)

CACHE_SIZE = 20_000
"""How many session holders are cached: the players of a busy evening, at about half a kilobyte each."""


def generate_token() -> str:
    """Return 160 random bits as 40 characters."""
    return secrets.token_hex(20)


def build_new_session(token: str, expires_at_ms: int | None) -> NewSession:
    """Return what is stored of a token: its hash, and its beginning for recognition in lists."""
    hint = token[: min(6, len(token) // 4)]
    return NewSession(hash_token(token), f"{hint}…", expires_at_ms)


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class SessionCache:
    """A cache from token to session holder, which drops the least recently used.

    Only the identity is cached, as a token's holder never changes. Expiry and revocation are read again in the
    transaction of each decision.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: OrderedDict[bytes, SessionHolder] = OrderedDict()

    def clear(self) -> None:
        """Forget all holders."""
        self._cache.clear()

    async def find(self, token: str) -> SessionHolder | None:
        """Return the holder, even of an expired or revoked session. Return None for an unknown token."""
        if not TOKEN_PATTERN.fullmatch(token):
            return None
        token_hash = hash_token(token)
        if holder := self._cache.get(token_hash):
            self._cache.move_to_end(token_hash)
            return holder
        holder = await self._store.find_session_holder(token_hash)
        # Unknown tokens are not cached, or a stranger could evict the players.
        if holder is not None:
            self._cache[token_hash] = holder
            if len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return holder
