"""Session tokens: 160 random bits, of which only a hash is kept; whoever shows one is found by that hash."""

import hashlib
import re
import secrets
from collections import OrderedDict

from minwallet.storage.models import NewSession, SessionHolder
from minwallet.storage.store import Store

TOKEN = re.compile(r"[A-Za-z0-9_]{1,40}", re.ASCII)

REMEMBERED = 20_000
"""How many bearers are kept in memory: a busy evening's players, at about half a kilobyte each."""


def new_token() -> str:
    """160 random bits as 40 symbols."""
    return secrets.token_hex(20)


def new_session(token: str, expires_at_ms: int | None) -> NewSession:
    """How a token is written down: its hash, and a beginning to recognise it by."""
    hint = token[: min(6, len(token) // 4)]
    return NewSession(hash_token(token), f"{hint}…", expires_at_ms)


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Sessions:
    """Who stands behind a token. What a token stands for never changes, so it is remembered; whether it is still good
    is not, that is read anew in each decision."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._remembered: OrderedDict[bytes, SessionHolder] = OrderedDict()

    def forget(self) -> None:
        """Look everybody up anew."""
        self._remembered.clear()

    async def find(self, token: str) -> SessionHolder | None:
        """The bearer, of an expired or revoked session too; None for a token that never was one."""
        if not TOKEN.fullmatch(token):
            return None
        token_hash = hash_token(token)
        if bearer := self._remembered.get(token_hash):
            self._remembered.move_to_end(token_hash)
            return bearer
        bearer = await self._store.find_session_holder(token_hash)
        if bearer is not None:
            self._remembered[token_hash] = bearer
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return bearer
