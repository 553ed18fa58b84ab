"""What the wallet asks of a store, stated as intent. Times are ms since 1970 UTC, amounts cents.

A store keeps these promises:

- a batch is one transaction: all of it is durable when `apply` returns, or nothing of it happened;
- all that a decision reads is read inside the transaction that writes it, nothing is decided from a cache;
- one connection writes, in one process; a transaction row is never changed or removed.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from minwallet.ledger.audit import AccountRef, EntryRow
from minwallet.ledger.commands import Command, Deposit
from minwallet.ledger.decide import Account
from minwallet.ledger.entries import Entry
from minwallet.ledger.outcomes import Outcome
from minwallet.ledger.reconciliation import ReportedTicket, ReportRow, Ticket
from minwallet.storage.limits import Limits
from minwallet.storage.office import Office
from minwallet.storage.views import Views

OPERATOR = "operator"
"""The protocol name of what the operator moves without a provider: deposits and withdrawals."""

OPENING = "opening"
"""The protocol name of what accounts begin with, whose ids no reference of the operator's can collide with."""


class StoreFault(Exception):
    """The store failed, and what it was asked for did not happen."""

    is_logged = False
    """Whether it has been told, as many calls may share one fault."""


class ConstraintFault(StoreFault):
    """A rule of the file itself refused the batch; another batch may well succeed."""


class NoRoom(StoreFault):
    """The disk is full. The batch is void, and another one may well find room."""


class OutcomeUnknown(StoreFault):
    """The commit failed: it may or may not be in the file. Only a restart, which recovers the file, finds out."""


class UnusableFile(StoreFault):
    """The file cannot be opened as a wallet; the message says why and what to do."""


class OlderFile(UnusableFile):
    """The file is of an older schema, and only its owner may bring it up to date."""


class DamagedFile(UnusableFile):
    """The file has something in it that was never written, or lacks something that was."""

    def __init__(self, file: object, how: str) -> None:
        super().__init__(f"{file} is damaged ({how}); restore it from a backup")


class Letters(NamedTuple):
    """What was said on the wire when a row was made: the request without its token, and the reply."""

    request: str
    reply: str


class Order(NamedTuple):
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


class ReportMark(NamedTuple):
    """The key to ask with next, "" at first, and when the last pull that reached the end asked for its last page."""

    key: str = ""
    pulled_at_ms: int | None = None


class ReportSheet(NamedTuple):
    """A page of the report to keep, asked for with the key `after`. `ended_at_ms` if it is the last: when it was asked.

    With `anew` all that was kept before is forgotten.
    """

    after: str
    key: str
    rows: Sequence[ReportRow]
    ended_at_ms: int | None = None
    anew: bool = False


class Recorded(NamedTuple):
    """A row of the ledger, whose it is, and what was said when it was made, as long as that is kept."""

    entry: Entry
    owner: AccountRef
    letters: Letters | None


class Player(NamedTuple):
    """A player with the accounts, as (account_id, currency, cash, bonus), in order of currency."""

    player_key: int
    agent: str
    player_id: str
    status: PlayerStatus
    accounts: tuple[tuple[int, str, int, int], ...]


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


class Bearer(NamedTuple):
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


class Opening(NamedTuple):
    """An account to open for a player who may be new, with what it holds at first and perhaps a session."""

    agent: str
    player_id: str
    currency: str
    cash: int
    bonus: int
    session: NewSession | None = None


class Opened(NamedTuple):
    """How many players and accounts were made, or what stood in the way: (index of the opening, reason)."""

    players: int = 0
    accounts: int = 0
    problems: tuple[tuple[int, str], ...] = ()


class Share(NamedTuple):
    """One of so many shares of the accounts, of about the same size."""

    number: int
    of: int


WHOLE = Share(0, 1)


class AuditPage(NamedTuple):
    """Rows in order of `seq`, the owners of accounts, and with the last page the accounts as of its rows."""

    rows: Sequence[EntryRow]
    owners: dict[int, AccountRef]
    accounts: Sequence[Account] | None


class Store(Office, Limits, Views, Protocol):
    """A durable wallet. Every method may raise StoreFault.

    After an OutcomeUnknown, and where the file turns out to be damaged, nothing more is written; `broken` says why.
    """

    broken: StoreFault | None

    def when_broken(self, stop: Callable[[], None]) -> None:
        """Call `stop` when nothing can be written any more, and somebody has to see to it."""

    def when_full(self, notice: Callable[[], None]) -> None:
        """Call `notice` whenever something could not be written for want of room."""

    async def measure_room(self) -> int | None:
        """How many bytes are free where the store writes, None where there is no telling."""

    async def apply(self, orders: Sequence[Order], now_ms: int) -> list[Outcome]:
        """Decide the orders in turn and write what they decide, in one transaction; at most one order a player."""

    async def look(self, order: Order, now_ms: int) -> Outcome:
        """What comes of a question; or what would come of a bet or a betwin right now. It changes nothing."""

    async def find_bearer(self, token_hash: bytes) -> Bearer | None: ...

    async def add_agent(self, name: str, wallet_token: str, host_id: str | None, now_ms: int) -> Agent | None:
        """None where one of the three is taken."""

    async def change_agent(self, agent_id: int, changes: Mapping[str, str | None]) -> Agent | None:
        """The agent with some of its settings changed; None where the wallet token or the host id is another's."""

    async def list_agents(self) -> list[Agent]: ...

    async def open_accounts(self, openings: Sequence[Opening], now_ms: int) -> Opened:
        """Make the players, accounts and sessions that are missing, all or none; what exists stays as it is."""

    async def list_players(self, agent: str) -> list[Player]: ...

    async def search_players(self, agent: str, text: str, after: str, limit: int) -> list[Player]:
        """Players whose id has `text` in it, in order of their ids and after the id `after`."""

    async def find_player(self, agent: str, player_id: str) -> Player | None: ...

    async def read_accounts(self, after: int, limit: int) -> list[AccountRow]:
        """The next accounts of all agents, in order of their numbers and after the number `after`."""

    async def set_player_status(self, player_key: int, status: PlayerStatus) -> None: ...

    async def add_session(self, account_id: int, session: NewSession, now_ms: int) -> int:
        """The number of the new session."""

    async def list_sessions(
        self, player_key: int, limit: int | None = None, before: int | None = None
    ) -> list[SessionRow]:
        """The newest first, of those before the session of this number."""

    async def revoke_session(self, token_hash: bytes, now_ms: int) -> bool:
        """False where nobody has this session; revoking twice changes nothing."""

    async def revoke_session_of(self, player_key: int, session_id: int, now_ms: int) -> bool:
        """The same, for a session of this player."""

    async def read_entries(self, account_ids: Sequence[int], limit: int) -> list[Entry]:
        """The accounts' newest rows, newest first."""

    async def read_audit_page(
        self, after_seq: int, limit: int, after_account: int = 0, share: Share = WHOLE
    ) -> AuditPage:
        """The next rows of this share's accounts, and the owners of those that are numbered after `after_account`."""

    async def count_entries(self) -> int: ...

    async def find_recorded(self, seq: int) -> Recorded | None: ...

    async def prune_journal(self, before_ms: int, limit: int) -> int:
        """Forget the letters of rows older than that, the oldest first and so many at the most; how many it were."""

    async def keep_games(self, agent_id: int, games: GameList) -> None: ...

    async def find_games(self, agent_id: int) -> GameList | None: ...

    async def keep_report(self, agent_id: int, sheet: ReportSheet) -> bool:
        """Keep the rows and the new key together; False, and nothing changed, where another sheet came in between.

        A row that is known already, by its ticket and its id, is replaced.
        """

    async def find_report_mark(self, agent_id: int) -> ReportMark: ...

    async def read_reported(self, agent_id: int, after: str, limit: int) -> list[ReportedTicket]:
        """The next tickets of the report, in order of their text."""

    async def read_tickets(self, agent_id: int, protocol: str, after: str, limit: int) -> list[Ticket]:
        """The next tickets of a protocol whose ids are unique per agent, in order of their text."""

    async def read_orphans(self, agent_id: int) -> list[Ticket]:
        """The wins that were paid to rounds of which no bet stands."""

    async def close(self) -> None: ...


def token_of_name(agent: str) -> str:
    """The wallet token of an agent for whom nobody has chosen one."""
    return agent.replace(".", "_").replace("-", "_")


def opening_deposit(opening: Opening, account_id: int) -> Order:
    """The first row of an account that does not start empty."""
    deposit = Deposit(f"{opening.player_id}:{opening.currency}", opening.cash, opening.bonus)
    return Order(deposit, OPENING, account_id)
