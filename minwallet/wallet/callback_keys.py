"""Callback keys of agents: the secret words in the paths of their provider endpoints.

An agent can have any number of keys, all valid at once, so a key is replaced without an outage. The store has only
their hashes. The live ones are also in memory, because every provider call below such a key needs one:

- A call below a known key costs one look-up, below an unknown key one hash more. So a flood of invented keys reads no
  database, and takes no memory.
- A look-up by hash takes the same time for a wrong key, however much of it is correct.
- An operation that changes the keys refreshes them before its reply, so the change applies immediately. They are read
  again every REFRESH_INTERVAL_S too, for a change by another process on the same database.
"""

import asyncio
import secrets
from collections.abc import Mapping

from minwallet.storage.store import Store
from minwallet.wallet.periodic import run_periodically
from minwallet.wallet.sessions import hash_token

CALLBACK_KEY_PREFIX, CALLBACK_KEY_LENGTH = "mwc_", 44

HINT_LENGTH = 12

REFRESH_INTERVAL_S = 5


def generate_callback_key() -> str:
    """Return 160 random bits. Secret scanners recognise the prefix."""
    return f"{CALLBACK_KEY_PREFIX}{secrets.token_hex(20)}"


def build_key_hint(key: str) -> str:
    """Return the beginning of the key for lists. The rest still has 128 random bits."""
    return f"{key[:HINT_LENGTH]}…"


class CallbackKeys:
    """The live callback keys of all agents. None is known before the first `refresh`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._agent_ids: Mapping[bytes, int] = {}
        # The known keys that were used since the last refresh, which need no hash any more.
        self._used_keys: dict[str, int] = {}
        self._refresh_lock = asyncio.Lock()

    def find_agent(self, key: str) -> int | None:
        """Return the `agent_id` of the agent with this key. Return None if the key is unknown or revoked."""
        agent_id = self._used_keys.get(key)
        if agent_id is None and key.isascii():
            agent_id = self._agent_ids.get(hash_token(key))
            if agent_id is not None:
                self._used_keys[key] = agent_id
        return agent_id

    async def refresh(self) -> None:
        """Read the keys from the store. Raise StoreError."""
        # In turn, so that an older state never replaces a newer one.
        async with self._refresh_lock:
            self._agent_ids = await self._store.accounts.read_live_callback_keys()
            self._used_keys = {}

    async def run(self) -> None:
        """Refresh the keys every REFRESH_INTERVAL_S, until cancelled."""
        await run_periodically("reading the callback keys", self.refresh, REFRESH_INTERVAL_S, delay_first_run=True)
