"""The agents, players and accounts of the reference engine."""

from collections.abc import Mapping, Sequence

from minwallet.ledger.entries import compute_genesis_hash
from minwallet.ledger.limits import UNSET
from minwallet.ledger.snapshot import Account
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import (
    AccountBalance,
    AccountCommand,
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
    StatusFilter,
    make_opening_deposit,
)
from tests.storage.reference_engine.memory_decisions import apply_command
from tests.storage.reference_engine.memory_state import AccountState, MemoryState, PlayerState, SessionState

TOKEN_TAKEN = "its token stands for another player or currency; choose another token"


class MemoryAccountStore:
    """The `AccountStore` in memory."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def add_agent(
        self, name: str, wallet_token: str, host_id: str | None, now_ms: int, *, audit: AuditEvent | None = None
    ) -> Agent | None:
        del now_ms
        for agent in self._state.agents:
            if name == agent.name or wallet_token == agent.wallet_token or (host_id and host_id == agent.host_id):
                return None
        self._state.agents.append(Agent(len(self._state.agents) + 1, name, wallet_token, host_id))
        self._state.add_audit_event(audit)
        return self._state.agents[-1]

    async def change_agent(
        self, agent_id: int, changes: Mapping[str, str | None], *, audit: AuditEvent | None = None
    ) -> Agent | None:
        changed = Agent(**{**self._state.agents[agent_id - 1]._asdict(), **changes})
        for agent in self._state.agents:
            is_taken = agent.wallet_token == changed.wallet_token or (
                agent.host_id and agent.host_id == changed.host_id
            )
            if agent.agent_id != agent_id and is_taken:
                return None
        self._state.agents[agent_id - 1] = changed
        self._state.add_audit_event(audit)
        return changed

    async def list_agents(self) -> list[Agent]:
        return sorted(self._state.agents, key=lambda agent: agent.name)

    async def add_callback_key(self, agent_id: int, key: CallbackKey, *, audit: AuditEvent | None = None) -> None:
        assert key.key_hash not in self._state.callback_keys
        self._state.callback_keys[key.key_hash] = (agent_id, key)
        self._state.add_audit_event(audit)

    async def list_callback_keys(self, agent_id: int) -> list[CallbackKey]:
        keys = [key for owner_id, key in self._state.callback_keys.values() if owner_id == agent_id]
        return sorted(keys, key=lambda key: (key.created_at_ms, key.hint))

    async def revoke_callback_key(self, key_hash: bytes, now_ms: int, *, audit: AuditEvent | None = None) -> None:
        agent_id, key = self._state.callback_keys[key_hash]
        if key.revoked_at_ms is None:
            self._state.callback_keys[key_hash] = (agent_id, key._replace(revoked_at_ms=now_ms))
            self._state.add_audit_event(audit)

    async def read_live_callback_keys(self) -> dict[bytes, int]:
        keys = self._state.callback_keys.items()
        return {key_hash: agent_id for key_hash, (agent_id, key) in keys if key.revoked_at_ms is None}

    async def add_protocol_secret(
        self, agent_id: int, secret: ProtocolSecret, text: str, *, audit: AuditEvent | None = None
    ) -> str | None:
        key = (agent_id, secret.protocol, secret.fingerprint)
        owner_ids = [
            owner_id
            for (owner_id, protocol, _), live in self._state.secret_texts.items()
            if (protocol, live) == (secret.protocol, text)
        ]
        if owner_ids:
            owner_id = agent_id if agent_id in owner_ids else min(owner_ids)
            return next(each.name for each in self._state.agents if each.agent_id == owner_id)
        self._state.protocol_secrets[key] = secret
        self._state.secret_texts[key] = text
        self._state.add_audit_event(audit)
        return None

    async def list_protocol_secrets(self, agent_id: int) -> list[ProtocolSecret]:
        found = [secret for (owner_id, *_), secret in self._state.protocol_secrets.items() if owner_id == agent_id]
        return sorted(found, key=lambda each: (each.protocol, each.created_at_ms, each.fingerprint))

    async def revoke_protocol_secret(
        self, agent_id: int, protocol: str, fingerprint: str, now_ms: int, *, audit: AuditEvent | None = None
    ) -> None:
        key = (agent_id, protocol, fingerprint)
        if self._state.secret_texts.pop(key, None):
            self._state.protocol_secrets[key] = self._state.protocol_secrets[key]._replace(revoked_at_ms=now_ms)
            self._state.add_audit_event(audit)

    async def read_live_protocol_secrets(self) -> dict[str, list[LiveSecret]]:
        live: dict[str, list[LiveSecret]] = {}
        for secret, agent_id, text in sorted(
            ((self._state.protocol_secrets[key], key[0], text) for key, text in self._state.secret_texts.items()),
            key=lambda each: (-each[0].created_at_ms, each[0].fingerprint),
        ):
            live.setdefault(secret.protocol, []).append(LiveSecret(agent_id, text))
        return live

    async def find_account_problems(self, new_accounts: Sequence[NewAccount]) -> list[AccountProblem]:
        agents = {agent.name for agent in self._state.agents}
        problems = []
        for index, new_account in enumerate(new_accounts):
            if new_account.agent not in agents:
                problems.append(AccountProblem(index, f"unknown agent '{new_account.agent}'", new_account.agent))
            elif session := new_account.session:
                holder = self._state.find_session_holder(session.token_hash)
                owner = (new_account.agent, new_account.player_id, new_account.currency)
                if holder and self._state.find_owner(holder.account_id) != owner:
                    problems.append(AccountProblem(index, TOKEN_TAKEN))
        return problems

    async def create_accounts(
        self, new_accounts: Sequence[NewAccount], now_ms: int, *, audit: AuditEvent | None = None
    ) -> AccountsCreated:
        agents = {agent.name: agent for agent in self._state.agents}
        problems = [
            AccountProblem(index, f"unknown agent '{new_account.agent}'", new_account.agent)
            for index, new_account in enumerate(new_accounts)
            if new_account.agent not in agents
        ]
        before = (len(self._state.players), len(self._state.accounts), len(self._state.sessions))
        deposits: list[AccountCommand] = []
        for index, new_account in enumerate(new_accounts):
            if new_account.agent not in agents:
                continue
            account_id = self._create_account(agents[new_account.agent], new_account, now_ms)
            if account_id > before[1] and new_account.cash + new_account.bonus:
                deposits.append(make_opening_deposit(new_account, account_id))
            if session := new_account.session:
                holder = self._state.find_session_holder(session.token_hash)
                if holder is None:
                    self._state.sessions.append(SessionState(session, account_id, now_ms))
                elif holder.account_id != account_id:
                    problems.append(AccountProblem(index, TOKEN_TAKEN))
        if problems:
            del self._state.players[before[0] :], self._state.accounts[before[1] :], self._state.sessions[before[2] :]
            return AccountsCreated(problems=tuple(sorted(problems)))
        if (len(self._state.players), len(self._state.accounts), len(self._state.sessions)) != before:
            self._state.add_audit_event(audit)
        for deposit in deposits:
            apply_command(self._state, deposit, now_ms)
        return AccountsCreated(len(self._state.players) - before[0], len(self._state.accounts) - before[1])

    def _create_account(self, agent: Agent, new_account: NewAccount, now_ms: int) -> int:
        names = [(player.agent.name, player.player_id) for player in self._state.players]
        if (new_account.agent, new_account.player_id) not in names:
            self._state.players.append(PlayerState(agent, new_account.player_id, now_ms))
            names.append((new_account.agent, new_account.player_id))
        player_key = names.index((new_account.agent, new_account.player_id)) + 1
        for account_id, account in enumerate(self._state.accounts, 1):
            if (account.player_key, account.currency) == (player_key, new_account.currency):
                return account_id
        account_id = len(self._state.accounts) + 1
        head = compute_genesis_hash(new_account.agent, new_account.player_id, new_account.currency)
        self._state.accounts.append(AccountState(player_key, new_account.currency, Account(account_id, 0, 0, head)))
        return account_id

    async def list_players(self, agent: str) -> list[Player]:
        found = [
            Player(
                player_key,
                agent,
                player.player_id,
                player.status,
                tuple(
                    AccountBalance(
                        account.account.account_id, account.currency, account.account.cash, account.account.bonus
                    )
                    for account in sorted(self._state.accounts, key=lambda account: account.currency)
                    if account.player_key == player_key
                ),
                self._state.exclusions.get(player_key, UNSET),
            )
            for player_key, player in enumerate(self._state.players, 1)
            if player.agent.name == agent
        ]
        return sorted(found, key=lambda player: player.player_id)

    async def search_players(self, player_filter: PlayerFilter, after: str, limit: int) -> list[Player]:
        found = await self.list_players(player_filter.agent)
        return [each for each in found if each.player_id > after and _is_in_filter(each, player_filter)][:limit]

    async def find_player(self, agent: str, player_id: str) -> Player | None:
        found = [player for player in await self.list_players(agent) if player.player_id == player_id]
        return found[0] if found else None

    async def find_agents_of_player(self, player_id: str, limit: int) -> list[str]:
        return sorted(player.agent.name for player in self._state.players if player.player_id == player_id)[:limit]

    async def read_accounts(self, after: int, limit: int) -> list[AccountRow]:
        rows = []
        for player, (number, *balance) in [
            (self._state.players[each.player_key - 1], each.account) for each in self._state.accounts
        ]:
            rows.append(
                AccountRow._make(
                    (number, *self._state.find_owner(number), player.status, player.created_at_ms, *balance)
                )
            )
        return rows[after : after + limit]

    async def set_player_status(
        self, player_key: int, status: PlayerStatus, *, audit: AuditEvent | None = None
    ) -> None:
        player = self._state.players[player_key - 1]
        if player.status != status:
            player.status = status
            self._state.add_audit_event(audit)


def _is_in_filter(player: Player, player_filter: PlayerFilter) -> bool:
    is_excluded = player.find_exclusion_end(player_filter.at_ms) is not None
    is_blocked = player.status is PlayerStatus.BLOCKED
    statuses = {
        StatusFilter.ACTIVE: not is_blocked and not is_excluded,
        StatusFilter.BLOCKED: is_blocked,
        StatusFilter.EXCLUDED: is_excluded,
    }
    is_found = player_filter.text.lower() in player.player_id.lower()
    return is_found and (player_filter.status is None or statuses[player_filter.status])
