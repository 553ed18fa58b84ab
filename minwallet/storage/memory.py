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
from minwallet.storage.base import (
    OPENING,
    WHOLE,
    AccountRow,
    Agent,
    AuditPage,
    Bearer,
    Letters,
    NewSession,
    Opened,
    Opening,
    Order,
    Player,
    PlayerStatus,
    Recorded,
    SessionRow,
    Share,
    opening_deposit,
)
from minwallet.storage.memory_limits import MemoryLimits
from minwallet.storage.memory_office import MemoryOffice
from minwallet.storage.memory_peace import MemoryPeace
from minwallet.storage.memory_reports import MemoryReports
from minwallet.storage.memory_views import MemoryViews
from minwallet.storage.views import Listed

Key = tuple[str, str, str, str]
"""A transaction id where it is unique: (agent, protocol, currency or "", id)."""


@dataclass
class _Player:
    agent: Agent
    player_id: str
    created_at_ms: int
    status: PlayerStatus = PlayerStatus.ACTIVE


@dataclass
class _Account:
    player_key: int
    currency: str
    money: Account


@dataclass
class _Session:
    new: NewSession
    account_id: int
    created_at_ms: int
    revoked_at_ms: int | None = None


@dataclass
class MemoryStore(MemoryOffice, MemoryLimits, MemoryReports, MemoryViews, MemoryPeace):
    """The `Store` of `storage.base`, forgotten at the end. Numbers are places in lists, counted from 1."""

    _agents: list[Agent] = field(default_factory=lambda: [Agent(1, "default", "default", None)])
    _players: list[_Player] = field(default_factory=list)
    _accounts: list[_Account] = field(default_factory=list)
    _sessions: list[_Session] = field(default_factory=list)
    _entries: list[Entry] = field(default_factory=list)
    _trails: dict[Key, TransactionHistory] = field(default_factory=dict)
    _letters: dict[int, Letters] = field(default_factory=dict)

    async def apply(self, orders: Sequence[Order], now_ms: int) -> list[Outcome]:
        return [self._apply(order, now_ms) for order in orders]

    def _apply(self, order: Order, now_ms: int) -> Outcome:
        assert not isinstance(order.command, Query)
        account = self._accounts[order.account_id - 1]
        space = self._space(order)
        key = (*space, order.command.id)
        trail = self._trails.get(key, TransactionHistory())
        round_id = trail.original.round if trail.original else getattr(order.command, "round", None)
        before = self._snapshot(order, trail, self._round(space, account, round_id), now_ms)
        outcome = decide(before, order.command, now_ms)
        if isinstance(outcome, (Applied, Refused)) and (entry := outcome.entry):
            self._entries.append(entry)
            self._trails[key] = trail.append(entry)
            if order.journal:
                self._letters[entry.seq] = Letters(*order.journal(outcome))
            account.money = Account(entry.account_id, entry.cash_after, entry.bonus_after, entry.hash, entry.seq)
        return outcome

    def _space(self, order: Order) -> tuple[str, str, str]:
        account = self._accounts[order.account_id - 1]
        agent = self._players[account.player_key - 1].agent
        return (agent.name, order.protocol, account.currency if order.ids_per_currency else "")

    def _snapshot(self, order: Order, trail: TransactionHistory, round_: Round, now_ms: int) -> Snapshot:
        account = self._accounts[order.account_id - 1]
        session = self._sessions[order.session_id - 1] if order.session_id else None
        return Snapshot(
            order.protocol,
            account.money,
            self._players[account.player_key - 1].status is PlayerStatus.BLOCKED,
            Session(session.new.expires_at_ms, session.revoked_at_ms) if session else None,
            trail,
            round_,
            len(self._entries) + 1,
            UNRESTRICTED if order.protocol == OPENING else self._guard(order.account_id, now_ms),
        )

    def _round(self, space: tuple[str, str, str], account: _Account, round_id: str | None) -> Round:
        rows = [
            (trail, row)
            for key, trail in self._trails.items()
            if key[:3] == space
            for row in trail
            if row and round_id is not None and row.round == round_id and row.account_id == account.money.account_id
        ]
        return Round(
            any(row.kind is Kind.BET and row.state is State.APPLIED and not trail.cancellation for trail, row in rows),
            any(row.kind is Kind.CANCEL for _, row in rows),
            max((row.seq for _, row in rows if row.kind is Kind.WIN), default=0),
        )

    async def look(self, order: Order, now_ms: int) -> Outcome:
        command = order.command
        trail = None if isinstance(command, Query) else self._trails.get((*self._space(order), command.id))
        return decide(self._snapshot(order, trail or TransactionHistory(), Round(), now_ms), command, now_ms)

    async def find_bearer(self, token_hash: bytes) -> Bearer | None:
        for number, session in enumerate(self._sessions, 1):
            if session.new.token_hash == token_hash:
                account = self._accounts[session.account_id - 1]
                player = self._players[account.player_key - 1]
                return Bearer(
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

    async def open_accounts(self, openings: Sequence[Opening], now_ms: int) -> Opened:
        agents = {agent.name: agent for agent in self._agents}
        problems = [
            (index, f"no agent {opening.agent}; add it with: minwallet agent add {opening.agent}")
            for index, opening in enumerate(openings)
            if opening.agent not in agents
        ]
        before = (len(self._players), len(self._accounts), len(self._sessions))
        deposits: list[Order] = []
        for index, opening in enumerate(openings):
            if opening.agent not in agents:
                continue
            account_id = self._open_account(agents[opening.agent], opening, now_ms)
            if account_id > before[1] and opening.cash + opening.bonus:
                deposits.append(opening_deposit(opening, account_id))
            if session := opening.session:
                bearer = await self.find_bearer(session.token_hash)
                if bearer is None:
                    await self.add_session(account_id, session, now_ms)
                elif bearer.account_id != account_id:
                    problems.append((index, "its token stands for another player or currency; choose another token"))
        if problems:
            del self._players[before[0] :], self._accounts[before[1] :], self._sessions[before[2] :]
            return Opened(problems=tuple(sorted(problems)))
        await self.apply(deposits, now_ms)
        return Opened(len(self._players) - before[0], len(self._accounts) - before[1])

    def _open_account(self, agent: Agent, opening: Opening, now_ms: int) -> int:
        names = [(player.agent.name, player.player_id) for player in self._players]
        if (opening.agent, opening.player_id) not in names:
            self._players.append(_Player(agent, opening.player_id, now_ms))
            names.append((opening.agent, opening.player_id))
        player_key = names.index((opening.agent, opening.player_id)) + 1
        for account_id, account in enumerate(self._accounts, 1):
            if (account.player_key, account.currency) == (player_key, opening.currency):
                return account_id
        account_id = len(self._accounts) + 1
        head = compute_genesis_hash(opening.agent, opening.player_id, opening.currency)
        self._accounts.append(_Account(player_key, opening.currency, Account(account_id, 0, 0, head)))
        return account_id

    async def list_players(self, agent: str) -> list[Player]:
        found = [
            Player(
                player_key,
                agent,
                player.player_id,
                player.status,
                tuple(
                    (account.money.account_id, account.currency, account.money.cash, account.money.bonus)
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
        for who, (number, *money) in [(self._players[each.player_key - 1], each.money) for each in self._accounts]:
            rows.append(AccountRow._make((number, *self._owner(number), who.status, who.created_at_ms, *money)))
        return rows[after : after + limit]

    async def set_player_status(self, player_key: int, status: PlayerStatus) -> None:
        self._players[player_key - 1].status = status

    async def add_session(self, account_id: int, session: NewSession, now_ms: int) -> int:
        self._sessions.append(_Session(session, account_id, now_ms))
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
        bearer = await self.find_bearer(token_hash)
        if bearer is None:
            return False
        return await self.revoke_session_of(bearer.player_key, bearer.session_id, now_ms)

    async def revoke_session_of(self, player_key: int, session_id: int, now_ms: int) -> bool:
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
        self, after_seq: int, limit: int, after_account: int = 0, share: Share = WHOLE
    ) -> AuditPage:
        rows = [each for each in self._entries[after_seq:] if each.account_id % share.of == share.number][:limit]
        accounts = [each.money for each in self._accounts if each.money.account_id % share.of == share.number]
        owners = {each.account_id: self._owner(each.account_id) for each in accounts if each.account_id > after_account}
        return AuditPage(rows, owners, accounts if len(rows) < limit else None)

    async def count_entries(self) -> int:
        return len(self._entries)

    async def find_recorded(self, seq: int) -> Recorded | None:
        if not 1 <= seq <= len(self._entries):
            return None
        entry = self._entries[seq - 1]
        return Recorded(entry, self._owner(entry.account_id), self._letters.get(seq))

    async def prune_journal(self, before_ms: int, limit: int) -> int:
        old = [seq for seq in sorted(self._letters)[:limit] if self._entries[seq - 1].at_ms < before_ms]
        for seq in old:
            del self._letters[seq]
        return len(old)

    async def read_reported(self, agent_id: int, after: str, limit: int) -> list[ReportedTicket]:
        rows = [row for key, row in sorted(self._report.items()) if key[0] == agent_id]
        found = []
        for ticket in sorted({row.ticket for row in rows if row.ticket > after})[:limit]:
            same = [row for row in rows if row.ticket == ticket]
            found.append(merge_rows(same, [self._currency(agent_id, row.player_id) for row in same]))
        return found

    def _currency(self, agent_id: int, player_id: str) -> str:
        owners = [self._owner(number) for number in range(1, len(self._accounts) + 1)]
        name = self._agents[agent_id - 1].name
        found = [owner.currency for owner in owners if (owner.agent, owner.player_id) == (name, player_id)]
        return found[0] if len(found) == 1 else ""

    async def read_tickets(self, agent_id: int, protocol: str, after: str, limit: int) -> list[Ticket]:
        space = (self._agents[agent_id - 1].name, protocol, "")
        trails = {key[3]: trail for key, trail in self._trails.items() if key[:3] == space and key[3] > after}
        return [self._ticket(id_, trails[id_]) for id_ in sorted(trails)[:limit]]

    def _ticket(self, id_: str, trail: TransactionHistory) -> Ticket:
        bet, settled, cancelled = trail
        rows = [row for row in trail if row]
        owner = self._owner(rows[0].account_id)
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
        for key, trail in self._trails.items():
            win = trail.original
            if win is None or win.state is not State.ORPHAN or key[0] != self._agents[agent_id - 1].name:
                continue
            owner = self._owner(win.account_id)
            if not self._round(key[:3], self._accounts[win.account_id - 1], win.round).has_standing_bet:
                times = (win.at_ms, win.at_ms)
                found.append(Ticket(win.id, win.game or "", *owner[1:], 0, win.payout, True, False, False, *times))
        return found

    def _owner(self, account_id: int) -> AccountRef:
        account = self._accounts[account_id - 1]
        player = self._players[account.player_key - 1]
        return AccountRef(player.agent.name, player.player_id, account.currency)

    def _agent_name(self, agent_id: int) -> str:
        return self._agents[agent_id - 1].name

    def _player_of(self, account_id: int) -> int:
        return self._accounts[account_id - 1].player_key

    def _entries_of(self, account_id: int) -> list[Entry]:
        return [entry for entry in self._entries if entry.account_id == account_id]

    def _all(self) -> list[Listed]:
        return [Listed(entry, self._owner(entry.account_id)) for entry in self._entries]

    def _balances(self) -> list[tuple[AccountRef, int, int]]:
        return [
            (self._owner(account.money.account_id), account.money.cash, account.money.bonus)
            for account in self._accounts
        ]
