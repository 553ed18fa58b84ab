"""The store in plain Python: the reference engine that the tests hold the others against. Nothing of it lasts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.commands import Query
from minwallet.ledger.decide import Account, Round, Session, Snapshot, TransactionHistory, decide
from minwallet.ledger.entries import Entry, Kind, State, compute_genesis_hash
from minwallet.ledger.limits import UNRESTRICTED
from minwallet.ledger.outcomes import Applied, Outcome, Refused
from minwallet.ledger.reconciliation import ReportedTicket, Ticket, merge_rows
from minwallet.storage.models import (
    ALL_ACCOUNTS,
    OPENING_PROTOCOL,
    AccountCommand,
    AccountRow,
    AccountsCreated,
    Agent,
    AuditPage,
    JournaledEntry,
    JournalRecord,
    NewAccount,
    NewSession,
    Partition,
    Player,
    PlayerStatus,
    SessionHolder,
    SessionRow,
    make_opening_deposit,
)
from minwallet.storage.queries import OwnedEntry
from tests.storage.reference_engine.memory_admin import MemoryAdminStore
from tests.storage.reference_engine.memory_diskless import MemoryDiskless
from tests.storage.reference_engine.memory_limits import MemoryLimitStore
from tests.storage.reference_engine.memory_queries import MemoryLedgerQueries
from tests.storage.reference_engine.memory_reports import MemoryReportStore
from tests.storage.reference_engine.memory_state import AccountState, PlayerState, SessionState

TransactionKey = tuple[str, str, str, str]
"""A transaction id where it is unique: (agent, protocol, currency or "", id)."""


@dataclass
class MemoryStore(MemoryAdminStore, MemoryLimitStore, MemoryReportStore, MemoryLedgerQueries, MemoryDiskless):
    """The `Store` of `storage.base`, forgotten at the end. Numbers are places in lists, counted from 1."""

    _agents: list[Agent] = field(default_factory=lambda: [Agent(1, "default", "default", None)])
    _players: list[PlayerState] = field(default_factory=list)
    _accounts: list[AccountState] = field(default_factory=list)
    _sessions: list[SessionState] = field(default_factory=list)
    _entries: list[Entry] = field(default_factory=list)
    _histories: dict[TransactionKey, TransactionHistory] = field(default_factory=dict)
    _journal: dict[int, JournalRecord] = field(default_factory=dict)

    async def apply(self, account_commands: Sequence[AccountCommand], now_ms: int) -> list[Outcome]:
        return [self._apply_one(order, now_ms) for order in account_commands]

    def _apply_one(self, account_command: AccountCommand, now_ms: int) -> Outcome:
        assert not isinstance(account_command.command, Query)
        account = self._accounts[account_command.account_id - 1]
        scope = self._find_id_scope(account_command)
        key = (*scope, account_command.command.id)
        history = self._histories.get(key, TransactionHistory())
        round_id = history.original.round if history.original else getattr(account_command.command, "round", None)
        snapshot = self._make_snapshot(account_command, history, self._find_round(scope, account, round_id), now_ms)
        outcome = decide(snapshot, account_command.command, now_ms)
        if isinstance(outcome, (Applied, Refused)) and (entry := outcome.entry):
            self._entries.append(entry)
            self._histories[key] = history.append(entry)
            if account_command.journal:
                self._journal[entry.seq] = JournalRecord(*account_command.journal(outcome))
            account.account = Account(entry.account_id, entry.cash_after, entry.bonus_after, entry.hash, entry.seq)
        return outcome

    def _find_id_scope(self, account_command: AccountCommand) -> tuple[str, str, str]:
        account = self._accounts[account_command.account_id - 1]
        agent = self._players[account.player_key - 1].agent
        return (agent.name, account_command.protocol, account.currency if account_command.ids_per_currency else "")

    def _make_snapshot(
        self, account_command: AccountCommand, history: TransactionHistory, round_: Round, now_ms: int
    ) -> Snapshot:
        account = self._accounts[account_command.account_id - 1]
        session = self._sessions[account_command.session_id - 1] if account_command.session_id else None
        return Snapshot(
            account_command.protocol,
            account.account,
            self._players[account.player_key - 1].status is PlayerStatus.BLOCKED,
            Session(session.new.expires_at_ms, session.revoked_at_ms) if session else None,
            history,
            round_,
            len(self._entries) + 1,
            UNRESTRICTED
            if account_command.protocol == OPENING_PROTOCOL
            else self._compute_restrictions(account_command.account_id, now_ms),
        )

    def _find_round(self, scope: tuple[str, str, str], account: AccountState, round_id: str | None) -> Round:
        rows = [
            (trail, row)
            for key, trail in self._histories.items()
            if key[:3] == scope
            for row in trail
            if row and round_id is not None and row.round == round_id and row.account_id == account.account.account_id
        ]
        return Round(
            any(row.kind is Kind.BET and row.state is State.APPLIED and not trail.cancellation for trail, row in rows),
            any(row.kind is Kind.CANCEL for _, row in rows),
            max((row.seq for _, row in rows if row.kind is Kind.WIN), default=0),
        )

    async def dry_run(self, account_command: AccountCommand, now_ms: int) -> Outcome:
        command = account_command.command
        history = (
            None
            if isinstance(command, Query)
            else self._histories.get((*self._find_id_scope(account_command), command.id))
        )
        return decide(
            self._make_snapshot(account_command, history or TransactionHistory(), Round(), now_ms), command, now_ms
        )

    async def find_session_holder(self, token_hash: bytes) -> SessionHolder | None:
        for number, session in enumerate(self._sessions, 1):
            if session.new.token_hash == token_hash:
                account = self._accounts[session.account_id - 1]
                player = self._players[account.player_key - 1]
                return SessionHolder(
                    number,
                    session.account_id,
                    account.player_key,
                    player.player_id,
                    account.currency,
                    player.agent.wallet_token,
                )
        return None

    async def add_agent(self, name: str, wallet_token: str, host_id: str | None, now_ms: int) -> Agent | None:
        del now_ms
        for agent in self._agents:
            if name == agent.name or wallet_token == agent.wallet_token or (host_id and host_id == agent.host_id):
                return None
        self._agents.append(Agent(len(self._agents) + 1, name, wallet_token, host_id))
        return self._agents[-1]

    async def change_agent(self, agent_id: int, changes: Mapping[str, str | None]) -> Agent | None:
        changed = Agent(**{**self._agents[agent_id - 1]._asdict(), **changes})
        for agent in self._agents:
            is_taken = agent.wallet_token == changed.wallet_token or (
                agent.host_id and agent.host_id == changed.host_id
            )
            if agent.agent_id != agent_id and is_taken:
                return None
        self._agents[agent_id - 1] = changed
        return changed

    async def list_agents(self) -> list[Agent]:
        return sorted(self._agents, key=lambda agent: agent.name)

    async def create_accounts(self, new_accounts: Sequence[NewAccount], now_ms: int) -> AccountsCreated:
        agents = {agent.name: agent for agent in self._agents}
        problems = [
            (index, f"no agent {opening.agent}; add it with: minwallet agent add {opening.agent}")
            for index, opening in enumerate(new_accounts)
            if opening.agent not in agents
        ]
        before = (len(self._players), len(self._accounts), len(self._sessions))
        deposits: list[AccountCommand] = []
        for index, opening in enumerate(new_accounts):
            if opening.agent not in agents:
                continue
            account_id = self._create_account(agents[opening.agent], opening, now_ms)
            if account_id > before[1] and opening.cash + opening.bonus:
                deposits.append(make_opening_deposit(opening, account_id))
            if session := opening.session:
                holder = await self.find_session_holder(session.token_hash)
                if holder is None:
                    await self.add_session(account_id, session, now_ms)
                elif holder.account_id != account_id:
                    problems.append((index, "its token stands for another player or currency; choose another token"))
        if problems:
            del self._players[before[0] :], self._accounts[before[1] :], self._sessions[before[2] :]
            return AccountsCreated(problems=tuple(sorted(problems)))
        await self.apply(deposits, now_ms)
        return AccountsCreated(len(self._players) - before[0], len(self._accounts) - before[1])

    def _create_account(self, agent: Agent, new_account: NewAccount, now_ms: int) -> int:
        names = [(player.agent.name, player.player_id) for player in self._players]
        if (new_account.agent, new_account.player_id) not in names:
            self._players.append(PlayerState(agent, new_account.player_id, now_ms))
            names.append((new_account.agent, new_account.player_id))
        player_key = names.index((new_account.agent, new_account.player_id)) + 1
        for account_id, account in enumerate(self._accounts, 1):
            if (account.player_key, account.currency) == (player_key, new_account.currency):
                return account_id
        account_id = len(self._accounts) + 1
        head = compute_genesis_hash(new_account.agent, new_account.player_id, new_account.currency)
        self._accounts.append(AccountState(player_key, new_account.currency, Account(account_id, 0, 0, head)))
        return account_id

    async def list_players(self, agent: str) -> list[Player]:
        found = [
            Player(
                player_key,
                agent,
                player.player_id,
                player.status,
                tuple(
                    (account.account.account_id, account.currency, account.account.cash, account.account.bonus)
                    for account in sorted(self._accounts, key=lambda account: account.currency)
                    if account.player_key == player_key
                ),
            )
            for player_key, player in enumerate(self._players, 1)
            if player.agent.name == agent
        ]
        return sorted(found, key=lambda player: player.player_id)

    async def search_players(self, agent: str, text: str, after: str, limit: int) -> list[Player]:
        found = await self.list_players(agent)
        return [player for player in found if player.player_id > after and text.lower() in player.player_id.lower()][
            :limit
        ]

    async def find_player(self, agent: str, player_id: str) -> Player | None:
        found = [player for player in await self.list_players(agent) if player.player_id == player_id]
        return found[0] if found else None

    async def read_accounts(self, after: int, limit: int) -> list[AccountRow]:
        rows = []
        for player, (number, *balance) in [
            (self._players[each.player_key - 1], each.account) for each in self._accounts
        ]:
            rows.append(
                AccountRow._make((number, *self._find_owner(number), player.status, player.created_at_ms, *balance))
            )
        return rows[after : after + limit]

    async def set_player_status(self, player_key: int, status: PlayerStatus) -> None:
        self._players[player_key - 1].status = status

    async def add_session(self, account_id: int, session: NewSession, now_ms: int) -> int:
        self._sessions.append(SessionState(session, account_id, now_ms))
        return len(self._sessions)

    async def list_sessions(
        self, player_key: int, limit: int | None = None, before: int | None = None
    ) -> list[SessionRow]:
        found = [
            SessionRow(
                number,
                session.new.hint,
                account.currency,
                session.created_at_ms,
                session.new.expires_at_ms,
                session.revoked_at_ms,
            )
            for number, session in enumerate(self._sessions, 1)
            if (account := self._accounts[session.account_id - 1]).player_key == player_key
            and (before is None or number < before)
        ]
        return found[::-1][:limit]

    async def revoke_session(self, token_hash: bytes, now_ms: int) -> bool:
        holder = await self.find_session_holder(token_hash)
        if holder is None:
            return False
        return await self.revoke_player_session(holder.player_key, holder.session_id, now_ms)

    async def revoke_player_session(self, player_key: int, session_id: int, now_ms: int) -> bool:
        if not 1 <= session_id <= len(self._sessions):
            return False
        session = self._sessions[session_id - 1]
        if self._accounts[session.account_id - 1].player_key != player_key:
            return False
        session.revoked_at_ms = session.revoked_at_ms or now_ms
        return True

    async def read_entries(self, account_ids: Sequence[int], limit: int) -> list[Entry]:
        return [entry for entry in reversed(self._entries) if entry.account_id in account_ids][:limit]

    async def read_audit_page(
        self, after_seq: int, limit: int, after_account: int = 0, partition: Partition = ALL_ACCOUNTS
    ) -> AuditPage:
        rows = [each for each in self._entries[after_seq:] if each.account_id % partition.total == partition.number][
            :limit
        ]
        accounts = [
            each.account for each in self._accounts if each.account.account_id % partition.total == partition.number
        ]
        owners = {
            each.account_id: self._find_owner(each.account_id) for each in accounts if each.account_id > after_account
        }
        return AuditPage(rows, owners, accounts if len(rows) < limit else None)

    async def count_entries(self) -> int:
        return len(self._entries)

    async def find_journaled_entry(self, seq: int) -> JournaledEntry | None:
        if not 1 <= seq <= len(self._entries):
            return None
        entry = self._entries[seq - 1]
        return JournaledEntry(entry, self._find_owner(entry.account_id), self._journal.get(seq))

    async def prune_journal(self, before_ms: int, limit: int) -> int:
        old = [seq for seq in sorted(self._journal)[:limit] if self._entries[seq - 1].at_ms < before_ms]
        for seq in old:
            del self._journal[seq]
        return len(old)

    async def read_reported_tickets(self, agent_id: int, after: str, limit: int) -> list[ReportedTicket]:
        rows = [row for key, row in sorted(self._report_rows.items()) if key[0] == agent_id]
        found = []
        for ticket in sorted({row.ticket for row in rows if row.ticket > after})[:limit]:
            ticket_rows = [row for row in rows if row.ticket == ticket]
            found.append(merge_rows(ticket_rows, [self._find_currency(agent_id, row.player_id) for row in ticket_rows]))
        return found

    def _find_currency(self, agent_id: int, player_id: str) -> str:
        owners = [self._find_owner(number) for number in range(1, len(self._accounts) + 1)]
        name = self._agents[agent_id - 1].name
        found = [owner.currency for owner in owners if (owner.agent, owner.player_id) == (name, player_id)]
        return found[0] if len(found) == 1 else ""

    async def read_tickets(self, agent_id: int, protocol: str, after: str, limit: int) -> list[Ticket]:
        space = (self._agents[agent_id - 1].name, protocol, "")
        trails = {key[3]: trail for key, trail in self._histories.items() if key[:3] == space and key[3] > after}
        return [self._ticket(id_, trails[id_]) for id_ in sorted(trails)[:limit]]

    def _ticket(self, id_: str, trail: TransactionHistory) -> Ticket:
        bet, settled, cancelled = trail
        rows = [row for row in trail if row]
        owner = self._find_owner(rows[0].account_id)
        took_money = bet is not None and bet.state is State.APPLIED
        return Ticket(
            id_,
            next((row.game for row in (bet, settled) if row and row.game), ""),
            owner.player_id,
            owner.currency,
            bet.stake if bet else 0,
            settled.payout if settled else bet.payout if bet else 0,
            took_money,
            bet is not None and took_money and bet.kind is Kind.BET and not settled and not cancelled,
            took_money and cancelled is not None,
            rows[0].at_ms,
            rows[-1].at_ms,
        )

    async def read_orphans(self, agent_id: int) -> list[Ticket]:
        found = []
        for key, trail in self._histories.items():
            win = trail.original
            if win is None or win.state is not State.ORPHAN or key[0] != self._agents[agent_id - 1].name:
                continue
            owner = self._find_owner(win.account_id)
            if not self._find_round(key[:3], self._accounts[win.account_id - 1], win.round).has_standing_bet:
                times = (win.at_ms, win.at_ms)
                found.append(Ticket(win.id, win.game or "", *owner[1:], 0, win.payout, True, False, False, *times))
        return found

    def _find_owner(self, account_id: int) -> AccountRef:
        account = self._accounts[account_id - 1]
        player = self._players[account.player_key - 1]
        return AccountRef(player.agent.name, player.player_id, account.currency)

    def _find_agent_name(self, agent_id: int) -> str:
        return self._agents[agent_id - 1].name

    def _find_player_key(self, account_id: int) -> int:
        return self._accounts[account_id - 1].player_key

    def _list_entries(self, account_id: int) -> list[Entry]:
        return [entry for entry in self._entries if entry.account_id == account_id]

    def _list_owned_entries(self) -> list[OwnedEntry]:
        return [OwnedEntry(entry, self._find_owner(entry.account_id)) for entry in self._entries]

    def _list_balances(self) -> list[tuple[AccountRef, int, int]]:
        return [
            (self._find_owner(account.account.account_id), account.account.cash, account.account.bonus)
            for account in self._accounts
        ]
