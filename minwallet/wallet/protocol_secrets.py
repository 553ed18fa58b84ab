"""Secrets with which the providers of an agent sign their calls.

An agent can have any number of secrets for a protocol, all valid at once, so a secret is replaced without an outage. A
signature needs the secret itself, so the store has it in the clear. The live ones are also in memory, because every
signed call needs one:

- A call costs no look-up in the database, whether its signature is right or not.
- An operation that changes the secrets refreshes them before its reply, so the change applies immediately. They are
  read again every REFRESH_INTERVAL_S too, for a change by another process on the same database.
- Nothing but a signature contains a secret. Lists, the audit log and messages have its fingerprint.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from minwallet.storage.models import LiveSecret
from minwallet.storage.store import Store
from minwallet.wallet.periodic import run_periodically

FINGERPRINT_LENGTH = 12

REFRESH_INTERVAL_S = 5


def compute_fingerprint(agent: str, protocol: str, secret: str) -> str:
    """Return FINGERPRINT_LENGTH hexadecimal digits that identify the secret. This takes some hundredths of a second.

    A provider may choose a secret that can be guessed. So the hash is slow (scrypt, RFC 7914), and depends on the
    agent and the protocol: the readers of a list cannot try many secrets.
    """
    salt = f"minwallet protocol secret {agent} {protocol}".encode()
    return hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=8, p=1, dklen=FINGERPRINT_LENGTH // 2).hex()


class ProtocolSecrets:
    """The live secrets of all agents. None is known before the first `refresh`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._live: Mapping[tuple[str, int | None], list[LiveSecret]] = {}
        self._refresh_lock = asyncio.Lock()

    def find(self, protocol: str, agent_id: int | None = None) -> Sequence[LiveSecret]:
        """Return the live secrets for this protocol, newest first: those of one agent, or of all with None."""
        return self._live.get((protocol, agent_id), ())

    async def refresh(self) -> None:
        """Read the secrets from the store. Raise StoreError."""
        # In turn, so that an older state never replaces a newer one.
        async with self._refresh_lock:
            live: dict[tuple[str, int | None], list[LiveSecret]] = defaultdict(list)
            for protocol, found in (await self._store.accounts.read_live_protocol_secrets()).items():
                for secret in found:
                    live[protocol, None].append(secret)
                    live[protocol, secret.agent_id].append(secret)
            self._live = dict(live)

    async def run(self) -> None:
        """Refresh the secrets every REFRESH_INTERVAL_S, until cancelled."""
        await run_periodically("reading the protocol secrets", self.refresh, REFRESH_INTERVAL_S, delay_first_run=True)
