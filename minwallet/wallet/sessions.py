"""Session tokens: 160 random bits, of which only a hash is kept; whoever shows one is found by that hash."""

import hashlib
import re
import secrets
from collections import OrderedDict

from minwallet.storage.models import NewSession, SessionHolder
from minwallet.storage.store import Store

TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_]{1,40}", re.ASCII)

CACHE_SIZE = 20_000
"""How many bearers are kept in memory: a busy evening's players, at about half a kilobyte each."""


def generate_token() -> str:
    """160 random bits as 40 symbols."""
    return secrets.token_hex(20)


def build_new_session(token: str, expires_at_ms: int | None) -> NewSession:
    """How a token is written down: its hash, and a beginning to recognise it by."""
    hint = token[: min(6, len(token) // 4)]
    return NewSession(hash_token(token), f"{hint}…", expires_at_ms)


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class SessionCache:
    """Who stands behind a token. What a token stands for never changes, so it is remembered; whether it is still good
    is not, that is read anew in each decision."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: OrderedDict[bytes, SessionHolder] = OrderedDict()

    def clear(self) -> None:
        """Look everybody up anew."""
        self._cache.clear()

    async def find(self, token: str) -> SessionHolder | None:
        """The bearer, of an expired or revoked session too; None for a token that never was one."""
        if not TOKEN_PATTERN.fullmatch(token):
            return None
        token_hash = hash_token(token)
        if holder := self._cache.get(token_hash):
            self._cache.move_to_end(token_hash)
            return holder
        holder = await self._store.find_session_holder(token_hash)
        if holder is not None:
            self._cache[token_hash] = holder
            if len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return holder
