"""The interface to agents, players and accounts."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import (
    AccountProblem,
    AccountRow,
    AccountsCreated,
    Agent,
    CallbackKey,
    LiveSecret,
    NewAccount,
    Player,
    PlayerFilter,
    PlayerStatus,
    ProtocolSecret,
)


class AccountStore(Protocol):
    """The agents with their players and accounts. Every method may raise StoreError.

    A change and its event in the audit log are one transaction. A call that changes nothing adds no event.
    """

    async def add_agent(
        self, name: str, wallet_token: str, host_id: str | None, now_ms: int, *, audit: AuditEvent | None = None
    ) -> Agent | None:
        """Add an agent. Return None if the name, the wallet token or the host id is taken."""

    async def change_agent(
        self, agent_id: int, changes: Mapping[str, str | None], *, audit: AuditEvent | None = None
    ) -> Agent | None:
        """Change some of the agent's fields. Return None if the wallet token or the host id is taken."""

    async def list_agents(self) -> list[Agent]:
        """Return all agents in order of their names."""

    async def add_callback_key(self, agent_id: int, key: CallbackKey, *, audit: AuditEvent | None = None) -> None: ...

    async def list_callback_keys(self, agent_id: int) -> list[CallbackKey]:
        """Return the agent's callback keys, revoked ones included, oldest first."""

    async def revoke_callback_key(self, key_hash: bytes, now_ms: int, *, audit: AuditEvent | None = None) -> None:
        """Revoke the key. Revoking it again changes nothing."""

    async def read_live_callback_keys(self) -> dict[bytes, int]:
        """Return the `agent_id` of each callback key that is not revoked, by the key's hash."""

    async def add_protocol_secret(
        self, agent_id: int, secret: ProtocolSecret, text: str, *, audit: AuditEvent | None = None
    ) -> str | None:
        """Add a secret, also one that was revoked before, and return None.

        If an agent already has this text as a live secret for the protocol, change nothing and return its name.
        """

    async def list_protocol_secrets(self, agent_id: int) -> list[ProtocolSecret]:
        """Return the agent's secrets, revoked ones included, in order of protocols, oldest first."""

    async def revoke_protocol_secret(
        self, agent_id: int, protocol: str, fingerprint: str, now_ms: int, *, audit: AuditEvent | None = None
    ) -> None:
        """Revoke the secret, and delete its text. Revoking it again changes nothing."""

    async def read_live_protocol_secrets(self) -> dict[str, list[LiveSecret]]:
        """Return the secrets of all agents that are not revoked, by protocol, newest first."""

    async def find_account_problems(self, new_accounts: Sequence[NewAccount]) -> list[AccountProblem]:
        """Return the reasons why some of the accounts cannot be created, in order of position. Change nothing.

        A token that two of the new accounts share is not found here, only by `create_accounts`.
        """

    async def create_accounts(
        self, new_accounts: Sequence[NewAccount], now_ms: int, *, audit: AuditEvent | None = None
    ) -> AccountsCreated:
        """Create the missing players, accounts and sessions: all of them or none. Existing ones stay unchanged."""

    async def list_players(self, agent: str) -> list[Player]:
        """Return all players of the agent in order of their ids."""

    async def search_players(self, player_filter: PlayerFilter, after: str, limit: int) -> list[Player]:
        """Return up to `limit` players of the filter, in order of their ids and after the id `after`."""

    async def find_player(self, agent: str, player_id: str) -> Player | None: ...

    async def find_agents_of_player(self, player_id: str, limit: int) -> list[str]:
        """Return the names of up to `limit` agents that have a player with this id, in order."""

    async def read_accounts(self, after: int, limit: int) -> list[AccountRow]:
        """Return up to `limit` accounts of all agents, in order of `account_id` and after `after`."""

    async def set_player_status(
        self, player_key: int, status: PlayerStatus, *, audit: AuditEvent | None = None
    ) -> None: ...
