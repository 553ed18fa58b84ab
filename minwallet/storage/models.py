"""The values that a store takes or returns. Times are in ms since 1970 UTC, amounts in cents."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from minwallet.ledger.audit import AccountRef, EntryRow
from minwallet.ledger.commands import Command, Deposit
from minwallet.ledger.entries import Entry
from minwallet.ledger.limits import UNSET, EffectiveValue
from minwallet.ledger.outcomes import Outcome
from minwallet.ledger.reconciliation import ReportRow
from minwallet.ledger.snapshot import Account
from minwallet.storage.admin_store import AuditEvent

OPERATOR_PROTOCOL = "operator"
"""The protocol of the operator's own deposits, withdrawals and adjustments."""


OPENING_PROTOCOL = "opening"
"""The protocol of the first deposit into a new account. Its ids cannot collide with references of the operator."""


class JournalRecord(NamedTuple):
    """The provider's request, without its token, and the reply to it."""

    request: str
    reply: str


class JournalRow(NamedTuple):
    """The request, without its token, and the reply of the entry `seq`."""

    seq: int
    request: str
    reply: str


class AccountCommand(NamedTuple):
    """A command for an account. `session_id` is None if the operator or a signed call acts without a session."""

    command: Command
    protocol: str
    account_id: int
    session_id: int | None = None
    ids_per_currency: bool = False
    """True if the protocol's ids are unique per agent and currency. False if they are unique per agent."""
    settle_ms: int = 0
    """The time after the session's end in which a win without a standing bet is paid."""
    on_committed: Callable[[Outcome], None] | None = None
    """Called with the outcome after the commit, on the store's thread and before `apply` returns. It never raises."""
    audit: AuditEvent | None = None
    """Added to the audit log with the entry's `seq` and time, in the same transaction, if the command is applied."""


class PlayerStatus(StrEnum):
    ACTIVE = "active"
    BLOCKED = "blocked"


class StatusFilter(StrEnum):
    """The players to search for: neither blocked nor excluded, blocked, or excluded. A player may be both of these."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    EXCLUDED = "excluded"


class Agent(NamedTuple):
    agent_id: int
    name: str
    wallet_token: str
    host_id: str | None
    service_url: str | None = None
    """The base URL of the provider's game list and report."""
    game_url: str | None = None
    """The base URL of wallet-v2's games. The URLs of vela's games are in the game list."""
    report_unit: str = "cents"
    """The unit of the report's amounts: cents or units."""


class GameList(NamedTuple):
    """The last valid game list of a provider. `games` is JSON."""

    fetched_at_ms: int
    games: str


class ReportCursor(NamedTuple):
    """The position in the provider's report up to which rows are stored."""

    key: str = ""
    """The key of the next request, "" for the first."""
    pulled_at_ms: int | None = None
    """When the last page was requested by the last pull that reached the end."""


class ReportBatch(NamedTuple):
    """A page of the report to store."""

    after: str
    """The key that the page was requested with."""
    key: str
    """The key of the next request."""
    rows: Sequence[ReportRow]
    ended_at_ms: int | None = None
    """When the page was requested, if it is the last one."""
    restart: bool = False
    """Delete all stored rows first."""


class JournaledEntry(NamedTuple):
    """An entry, its owner, and its journal record until that is pruned."""

    entry: Entry
    owner: AccountRef
    journal_record: JournalRecord | None


class AccountBalance(NamedTuple):
    account_id: int
    currency: str
    cash: int
    bonus: int


class Player(NamedTuple):
    """A player with the accounts in order of currency."""

    player_key: int
    agent: str
    player_id: str
    status: PlayerStatus
    accounts: tuple[AccountBalance, ...]
    exclusion: EffectiveValue = UNSET
    """As stored: `resolve_exclusion` returns the one in force."""

    def find_exclusion_end(self, now_ms: int) -> int | None:
        """Return the end of the exclusion in force, in ms since 1970 UTC. Return None if the player is not excluded."""
        return self.exclusion.resolve_exclusion(now_ms).value


class PlayerFilter(NamedTuple):
    """Players of an agent whose id contains `text` in any case, with this status at `at_ms`; None means any."""

    agent: str
    text: str = ""
    status: StatusFilter | None = None
    at_ms: int = 0


class AccountRow(NamedTuple):
    """An account with its player, its current balances and the head of its hash chain."""

    account_id: int
    agent: str
    player_id: str
    currency: str
    status: PlayerStatus
    created_at_ms: int
    """When the player was created."""
    cash: int
    bonus: int
    head: bytes
    last_seq: int


class SessionHolder(NamedTuple):
    """A session and its owner. It may be cached until the `wallet_token` of an agent changes."""

    session_id: int | None
    """None for a signed call without a session."""
    account_id: int
    player_key: int
    player_id: str
    currency: str
    agent_id: int
    wallet_token: str


class CallbackKey(NamedTuple):
    """A callback key of an agent. `hint` is the beginning of the key. The key itself is not stored."""

    key_hash: bytes
    hint: str
    created_at_ms: int
    created_by: str
    revoked_at_ms: int | None

    def describe(self, agent: str) -> str:
        """Return the key and its agent, as lists of the keys of all agents have them."""
        return f"{self.hint} of agent {agent}"


class ProtocolSecret(NamedTuple):
    """A secret of an agent, without its text. `fingerprint` identifies it; see `wallet.protocol_secrets`."""

    protocol: str
    fingerprint: str
    created_at_ms: int
    created_by: str
    """The author, as in the audit log."""
    revoked_at_ms: int | None = None

    def describe(self, agent: str) -> str:
        """Return the secret's protocol and fingerprint, and the name of its agent."""
        return f"{self.protocol} {self.fingerprint} of agent {agent}"


class LiveSecret(NamedTuple):
    """A secret that is valid now, and its agent."""

    agent_id: int
    secret: str

    def __repr__(self) -> str:
        # A failed assertion or a message of an exception would contain the secret.
        return f"LiveSecret(agent_id={self.agent_id})"


class SessionRow(NamedTuple):
    """A session as an operator sees it. `hint` is the beginning of the token. The token itself is not stored."""

    session_id: int
    hint: str
    currency: str
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None


class NewSession(NamedTuple):
    token_hash: bytes
    hint: str
    expires_at_ms: int | None
    opened_by_admin: str | None = None
    """The admin who opened it in the back office. Resetting the admin revokes it."""


class NewAccount(NamedTuple):
    """An account to create, with its first balances. The player may be new or exist already."""

    agent: str
    player_id: str
    currency: str
    cash: int
    bonus: int
    session: NewSession | None = None


class AccountProblem(NamedTuple):
    """The reason why the new account at this position cannot be created; `unknown_agent` is the agent to add first."""

    position: int
    reason: str
    unknown_agent: str | None = None


class AccountsCreated(NamedTuple):
    """The numbers of players and accounts that were created. With `problems` none were."""

    players: int = 0
    accounts: int = 0
    problems: tuple[AccountProblem, ...] = ()


class Partition(NamedTuple):
    """One of `total` disjoint sets of accounts, all of about the same size. `number` counts from 0."""

    number: int
    total: int


ALL_ACCOUNTS = Partition(0, 1)


class IdScope(NamedTuple):
    """The scope in which a protocol's transaction ids are unique. `currency` is "" if they are unique per agent."""

    agent: str
    protocol: str
    currency: str


class ExportedEntry(NamedTuple):
    """A row of an exported ledger, with its owner. The `account_id` of the row is ignored."""

    owner: AccountRef
    row: EntryRow
    ids_per_currency: bool
    """True if the id is unique per agent and currency. False if it is unique per agent."""


class AuditPage(NamedTuple):
    """Rows in order of `seq`, and the owners of accounts. The last page also has the accounts as of its rows."""

    rows: Sequence[EntryRow]
    last_seq: int
    """The `seq` of the last row, after which the next page begins."""
    owners: dict[int, AccountRef]
    accounts: Sequence[Account] | None


def default_wallet_token(agent: str) -> str:
    """Return the wallet token of an agent without a configured one."""
    return agent.replace(".", "_").replace("-", "_")


def make_opening_deposit(new_account: NewAccount, account_id: int) -> AccountCommand:
    """Return the command for the first entry of an account with balances."""
    deposit = Deposit(f"{new_account.player_id}:{new_account.currency}", new_account.cash, new_account.bonus)
    return AccountCommand(deposit, OPENING_PROTOCOL, account_id)
