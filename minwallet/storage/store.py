"""The interface of a store. Times are in ms since 1970 UTC, amounts in cents.

A store keeps these promises:

- a batch is one transaction: when `apply` returns, all of it is durable; if `apply` raises, nothing of it happened or,
  with OutcomeUnknown, a restart finds out;
- a bug while one command is decided raises CommandFault, whatever exception it was;
- everything that a decision reads is read inside the transaction that writes it; nothing is decided from a cache;
- one connection of one process writes; an entry is never changed or removed.

`Store` itself has what a provider's call needs. Everything else is grouped by subject, each with a protocol of its own.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from minwallet.ledger.outcomes import Outcome
from minwallet.storage.account_store import AccountStore
from minwallet.storage.admin_store import AdminStore
from minwallet.storage.errors import StoreError
from minwallet.storage.ledger_store import LedgerStore
from minwallet.storage.limit_store import LimitStore
from minwallet.storage.models import AccountCommand, JournalRow, SessionHolder
from minwallet.storage.report_store import ReportStore
from minwallet.storage.session_store import SessionStore
from minwallet.storage.totals_store import TotalsStore


class Store(Protocol):
    """A durable wallet. Every method may raise StoreError.

    After OutcomeUnknown or DatabaseCorrupt nothing more is written, and `failure` is that error.
    """

    accounts: AccountStore
    sessions: SessionStore
    ledger: LedgerStore
    totals: TotalsStore
    reports: ReportStore
    limits: LimitStore
    admin: AdminStore

    failure: StoreError | None

    async def find_session_holder(self, token_hash: bytes) -> SessionHolder | None:
        """Return the session with this token, and whose it is. Expired and revoked sessions are included."""

    async def dry_run(self, account_command: AccountCommand, now_ms: int) -> Outcome:
        """Return the outcome of a query, or the outcome that a bet or a betwin would have now. Change nothing."""

    async def find_account_holder(self, agent_id: int, player_id: str, currency: str) -> SessionHolder | None:
        """Return the account of the agent's player, with None as `session_id`. Return None if there is none."""

    async def has_player(self, agent_id: int, player_id: str) -> bool:
        """Check if the agent has this player, in any currency."""

    async def apply(
        self, account_commands: Sequence[AccountCommand], now_ms: int, journal: Sequence[JournalRow] = ()
    ) -> list[Outcome]:
        """Decide the commands in turn and write their entries, in one transaction. A player has at most one command.

        The rows of `journal` are those of earlier entries, and are written in the same transaction.
        """

    async def write_journal(self, journal: Sequence[JournalRow]) -> None:
        """Write journal rows of earlier entries, in a transaction of their own."""

    def on_failure(self, callback: Callable[[], None]) -> None:
        """Call `callback` when `failure` is set, as an operator must act then."""

    def on_disk_full(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever a write fails because the disk is full."""

    async def read_free_bytes(self) -> int | None:
        """Return the free bytes on the store's disk. Return None if they cannot be determined."""

    async def close(self) -> None: ...
