"""The state of the reference engine. Numbers such as `account_id` are positions in lists, counted from 1."""

from dataclasses import dataclass, field

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry, Kind, State
from minwallet.ledger.limits import EffectiveValue, LimitKind, LimitPeriod
from minwallet.ledger.reconciliation import ReportRow
from minwallet.ledger.snapshot import Account, TransactionHistory
from minwallet.storage.admin_store import Admin, AdminSession, ApiKey, AuditEvent
from minwallet.storage.models import (
    Agent,
    CallbackKey,
    GameList,
    JournalRecord,
    NewSession,
    PlayerStatus,
    ProtocolSecret,
    ReportCursor,
    SessionHolder,
)
from minwallet.storage.queries import OwnedEntry

IdScope = tuple[str, str, str]
"""The scope in which transaction ids are unique: (agent, protocol, currency or "")."""

TransactionKey = tuple[IdScope, str]
"""A transaction id in its scope."""


@dataclass
class PlayerState:
    agent: Agent
    player_id: str
    created_at_ms: int
    status: PlayerStatus = PlayerStatus.ACTIVE


@dataclass
class AccountState:
    player_key: int
    currency: str
    account: Account


@dataclass
class SessionState:
    new: NewSession
    account_id: int
    created_at_ms: int
    revoked_at_ms: int | None = None


@dataclass
class MemoryState:
    """The state that the subjects of the reference engine share."""

    agents: list[Agent] = field(default_factory=lambda: [Agent(1, "default", "default", None)])
    players: list[PlayerState] = field(default_factory=list)
    accounts: list[AccountState] = field(default_factory=list)
    sessions: list[SessionState] = field(default_factory=list)

    entries: list[Entry] = field(default_factory=list)
    histories: dict[TransactionKey, TransactionHistory] = field(default_factory=dict)
    journal: dict[int, JournalRecord] = field(default_factory=dict)

    limits: dict[tuple[int, LimitKind, LimitPeriod], EffectiveValue] = field(default_factory=dict)
    exclusions: dict[int, EffectiveValue] = field(default_factory=dict)

    games: dict[int, GameList] = field(default_factory=dict)
    cursors: dict[int, ReportCursor] = field(default_factory=dict)
    report_rows: dict[tuple[int, str, str], ReportRow] = field(default_factory=dict)

    callback_keys: dict[bytes, tuple[int, CallbackKey]] = field(default_factory=dict)
    protocol_secrets: dict[tuple[int, str, str], ProtocolSecret] = field(default_factory=dict)
    secret_texts: dict[tuple[int, str, str], str] = field(default_factory=dict)
    """The texts of the secrets that are not revoked."""
    keys: dict[bytes, ApiKey] = field(default_factory=dict)
    admins: dict[str, Admin] = field(default_factory=dict)
    login_links: dict[bytes, AdminSession] = field(default_factory=dict)
    admin_sessions: dict[bytes, AdminSession] = field(default_factory=dict)
    admin_makers: dict[str, str | None] = field(default_factory=dict)
    link_makers: dict[bytes, str] = field(default_factory=dict)
    audit_log: list[AuditEvent] = field(default_factory=list)

    def add_audit_event(self, event: AuditEvent | None) -> None:
        if event:
            self.audit_log.append(event)

    def find_owner(self, account_id: int) -> AccountRef:
        account = self.accounts[account_id - 1]
        player = self.players[account.player_key - 1]
        return AccountRef(player.agent.name, player.player_id, account.currency)

    def find_session_holder(self, token_hash: bytes) -> SessionHolder | None:
        for session_id, session in enumerate(self.sessions, 1):
            if session.new.token_hash == token_hash:
                return self._make_holder(session_id, session.account_id)
        return None

    def find_account_holder(self, agent_id: int, player_id: str, currency: str) -> SessionHolder | None:
        for account_id in range(1, len(self.accounts) + 1):
            holder = self._make_holder(None, account_id)
            if (holder.agent_id, holder.player_id, holder.currency) == (agent_id, player_id, currency):
                return holder
        return None

    def _make_holder(self, session_id: int | None, account_id: int) -> SessionHolder:
        account = self.accounts[account_id - 1]
        player = self.players[account.player_key - 1]
        return SessionHolder(
            session_id,
            account_id,
            account.player_key,
            player.player_id,
            account.currency,
            player.agent.agent_id,
            player.agent.wallet_token,
        )

    def is_reversed(self, entry: Entry) -> bool:
        """Return True if rollbacks have reversed all of this entry."""
        return any(is_reversed(history, entry) for history in self.histories.values() if history.original == entry)

    def find_target(self, rollback: Entry) -> Entry | None:
        """Return the entry that a rollback refers to, None if the id was never used."""
        histories = self.histories.values()
        return next((history.original for history in histories if rollback in history.rollbacks), None)

    def list_owned_entries(self) -> list[OwnedEntry]:
        return [OwnedEntry(entry, self.find_owner(entry.account_id)) for entry in self.entries]


def is_reversed(history: TransactionHistory, entry: Entry) -> bool:
    """Return True if rollbacks have reversed all of this entry. They refer to the first entry of its id."""
    applied = [each for each in history.rollbacks if each.state is State.APPLIED]
    whole = entry.payout if entry.kind is Kind.WIN else entry.stake
    return entry == history.original and bool(applied) and sum(each.stake + each.payout for each in applied) >= whole
