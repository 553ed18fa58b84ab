"""The rows and values that a store returns or takes. Times are ms since 1970 UTC, amounts cents."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from minwallet.ledger.audit import AccountRef, EntryRow
from minwallet.ledger.commands import Command, Deposit
from minwallet.ledger.decide import Account
from minwallet.ledger.entries import Entry
from minwallet.ledger.outcomes import Outcome
from minwallet.ledger.reconciliation import ReportRow

OPERATOR_PROTOCOL = "operator"
"""The protocol name of what the operator moves without a provider: deposits and withdrawals."""


OPENING_PROTOCOL = "opening"
"""The protocol name of what accounts begin with, whose ids no reference of the operator's can collide with."""


class JournalRecord(NamedTuple):
    """What was said on the wire when a row was made: the request without its token, and the reply."""

    request: str
    reply: str


class AccountCommand(NamedTuple):
    """A command and the account it is for. `session_id` is None where the operator acts without one.

    Where it makes a row, `journal` is asked for request and reply of this outcome, which are kept beside the row.
    """

    command: Command
    protocol: str
    account_id: int
    session_id: int | None = None
    ids_per_currency: bool = False
    """Whether the protocol's ids are unique per agent and currency, rather than per agent."""
    journal: Callable[[Outcome], tuple[str, str]] | None = None


class PlayerStatus(StrEnum):
    ACTIVE = "active"
    BLOCKED = "blocked"


class Agent(NamedTuple):
    agent_id: int
    name: str
    wallet_token: str
    host_id: str | None
    service_url: str | None = None
    """Where the provider answers the operator: the base of the game list and the report."""
    game_url: str | None = None
    """Where wallet-v2's games are launched; vela's are in the game list."""
    report_unit: str = "cents"


class GameList(NamedTuple):
    """The last good list, as whoever kept it wrote it down."""

    fetched_at_ms: int
    games: str


class ReportCursor(NamedTuple):
    """The key to ask with next, "" at first, and when the last pull that reached the end asked for its last page."""

    key: str = ""
    pulled_at_ms: int | None = None


class ReportBatch(NamedTuple):
    """A page of the report to keep, asked for with the key `after`. `ended_at_ms` if it is the last: when it was asked.

    With `restart` all that was kept before is forgotten.
    """

    after: str
    key: str
    rows: Sequence[ReportRow]
    ended_at_ms: int | None = None
    restart: bool = False


class JournaledEntry(NamedTuple):
    """A row of the ledger, whose it is, and what was said when it was made, as long as that is kept."""

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


class AccountRow(NamedTuple):
    """An account as it stands, with its player and the end of its hash chain."""

    account_id: int
    agent: str
    player_id: str
    currency: str
    status: PlayerStatus
    created_at_ms: int
    """Since when there is the player."""
    cash: int
    bonus: int
    head: bytes
    last_seq: int


class SessionHolder(NamedTuple):
    """What a session token stands for. It may be remembered until an agent's `wallet_token` is changed."""

    session_id: int
    account_id: int
    player_key: int
    player_id: str
    currency: str
    wallet_token: str


class SessionRow(NamedTuple):
    """A session as the operator sees it; `hint` is the beginning of the token, the token itself is kept nowhere."""

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


class NewAccount(NamedTuple):
    """An account to open for a player who may be new, with what it holds at first and perhaps a session."""

    agent: str
    player_id: str
    currency: str
    cash: int
    bonus: int
    session: NewSession | None = None


class AccountProblem(NamedTuple):
    """The reason why the new account at this position cannot be created."""

    position: int
    reason: str


class AccountsCreated(NamedTuple):
    """The numbers of players and accounts that were created. With `problems` none were."""

    players: int = 0
    accounts: int = 0
    problems: tuple[AccountProblem, ...] = ()


class Partition(NamedTuple):
    """One of so many shares of the accounts, of about the same size."""

    number: int
    total: int


ALL_ACCOUNTS = Partition(0, 1)


class AuditPage(NamedTuple):
    """Rows in order of `seq`, and the owners of accounts. The last page also has the accounts as of its rows."""

    rows: Sequence[EntryRow]
    last_seq: int
    """The `seq` of the last row, after which the next page begins."""
    owners: dict[int, AccountRef]
    accounts: Sequence[Account] | None


def default_wallet_token(agent: str) -> str:
    """The wallet token of an agent for whom nobody has chosen one."""
    return agent.replace(".", "_").replace("-", "_")


def make_opening_deposit(new_account: NewAccount, account_id: int) -> AccountCommand:
    """The first row of an account that does not start empty."""
    deposit = Deposit(f"{new_account.player_id}:{new_account.currency}", new_account.cash, new_account.bonus)
    return AccountCommand(deposit, OPENING_PROTOCOL, account_id)
