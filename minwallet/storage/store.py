"""What the wallet asks of a store, stated as intent. Times are ms since 1970 UTC, amounts cents.

A store keeps these promises:

- a batch is one transaction: all of it is durable when `apply` returns, or nothing of it happened;
- all that a decision reads is read inside the transaction that writes it, nothing is decided from a cache;
- one connection writes, in one process; a transaction row is never changed or removed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from minwallet.ledger.entries import Entry
from minwallet.ledger.outcomes import Outcome
from minwallet.ledger.reconciliation import ReportedTicket, Ticket
from minwallet.storage.admin_store import AdminStore
from minwallet.storage.errors import StoreError
from minwallet.storage.limit_store import LimitStore
from minwallet.storage.models import (
    ALL_ACCOUNTS,
    AccountCommand,
    AccountRow,
    AccountsCreated,
    Agent,
    AuditPage,
    GameList,
    JournaledEntry,
    NewAccount,
    NewSession,
    Partition,
    Player,
    PlayerStatus,
    ReportBatch,
    ReportCursor,
    SessionHolder,
    SessionRow,
)
from minwallet.storage.queries import LedgerQueries


class Store(AdminStore, LimitStore, LedgerQueries, Protocol):
    """A durable wallet. Every method may raise StoreError.

    After an OutcomeUnknown, and where the file turns out to be damaged, nothing more is written; `failure` says why.
    """

    failure: StoreError | None

    def on_failure(self, callback: Callable[[], None]) -> None:
        """Call `callback` when nothing can be written any more, and somebody has to see to it."""

    def on_disk_full(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever something could not be written for want of room."""

    async def read_free_bytes(self) -> int | None:
        """How many bytes are free where the store writes, None where there is no telling."""

    async def apply(self, account_commands: Sequence[AccountCommand], now_ms: int) -> list[Outcome]:
        """Decide the orders in turn and write what they decide, in one transaction; at most one order a player."""

    async def dry_run(self, account_command: AccountCommand, now_ms: int) -> Outcome:
        """What comes of a question; or what would come of a bet or a betwin right now. It changes nothing."""

    async def find_session_holder(self, token_hash: bytes) -> SessionHolder | None: ...

    async def add_agent(self, name: str, wallet_token: str, host_id: str | None, now_ms: int) -> Agent | None:
        """None where one of the three is taken."""

    async def change_agent(self, agent_id: int, changes: Mapping[str, str | None]) -> Agent | None:
        """The agent with some of its settings changed; None where the wallet token or the host id is another's."""

    async def list_agents(self) -> list[Agent]: ...

    async def create_accounts(self, new_accounts: Sequence[NewAccount], now_ms: int) -> AccountsCreated:
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

    async def revoke_player_session(self, player_key: int, session_id: int, now_ms: int) -> bool:
        """The same, for a session of this player."""

    async def read_entries(self, account_ids: Sequence[int], limit: int) -> list[Entry]:
        """The accounts' newest rows, newest first."""

    async def read_audit_page(
        self, after_seq: int, limit: int, after_account: int = 0, partition: Partition = ALL_ACCOUNTS
    ) -> AuditPage:
        """The next rows of this share's accounts, and the owners of those that are numbered after `after_account`."""

    async def count_entries(self) -> int: ...

    async def find_journaled_entry(self, seq: int) -> JournaledEntry | None: ...

    async def prune_journal(self, before_ms: int, limit: int) -> int:
        """Forget the letters of rows older than that, the oldest first and so many at the most; how many it were."""

    async def save_games(self, agent_id: int, games: GameList) -> None: ...

    async def find_games(self, agent_id: int) -> GameList | None: ...

    async def save_report(self, agent_id: int, report_batch: ReportBatch) -> bool:
        """Keep the rows and the new key together; False, and nothing changed, where another sheet came in between.

        A row that is known already, by its ticket and its id, is replaced.
        """

    async def find_report_cursor(self, agent_id: int) -> ReportCursor: ...

    async def read_reported_tickets(self, agent_id: int, after: str, limit: int) -> list[ReportedTicket]:
        """The next tickets of the report, in order of their text."""

    async def read_tickets(self, agent_id: int, protocol: str, after: str, limit: int) -> list[Ticket]:
        """The next tickets of a protocol whose ids are unique per agent, in order of their text."""

    async def read_orphans(self, agent_id: int) -> list[Ticket]:
        """The wins that were paid to rounds of which no bet stands."""

    async def close(self) -> None: ...
