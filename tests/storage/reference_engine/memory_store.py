"""The store in plain Python. The tests compare the real engine with it. Nothing is stored."""

from collections.abc import Callable, Sequence
from copy import deepcopy

from minwallet.ledger.outcomes import Outcome
from minwallet.storage.account_store import AccountStore
from minwallet.storage.admin_store import AdminStore
from minwallet.storage.errors import CommandFault, StoreError
from minwallet.storage.ledger_store import LedgerStore
from minwallet.storage.limit_store import LimitStore
from minwallet.storage.models import AccountCommand, JournalRecord, JournalRow, SessionHolder
from minwallet.storage.report_store import ReportStore
from minwallet.storage.session_store import SessionStore
from minwallet.storage.totals_store import TotalsStore
from tests.storage.reference_engine.memory_accounts import MemoryAccountStore
from tests.storage.reference_engine.memory_admin import MemoryAdminStore
from tests.storage.reference_engine.memory_decisions import apply_command, dry_run
from tests.storage.reference_engine.memory_ledger import MemoryLedgerStore
from tests.storage.reference_engine.memory_limits import MemoryLimitStore
from tests.storage.reference_engine.memory_reports import MemoryReportStore
from tests.storage.reference_engine.memory_sessions import MemorySessionStore
from tests.storage.reference_engine.memory_state import MemoryState
from tests.storage.reference_engine.memory_totals import MemoryTotalsStore


class MemoryStore:
    """The `Store` in memory. It has no disk, so it never fails and is never full."""

    def __init__(self) -> None:
        self.state = state = MemoryState()
        self.accounts: AccountStore = MemoryAccountStore(state)
        self.sessions: SessionStore = MemorySessionStore(state)
        self.ledger: LedgerStore = MemoryLedgerStore(state)
        self.totals: TotalsStore = MemoryTotalsStore(state)
        self.reports: ReportStore = MemoryReportStore(state)
        self.limits: LimitStore = MemoryLimitStore(state)
        self.admin: AdminStore = MemoryAdminStore(state)
        self.failure: StoreError | None = None

    async def find_session_holder(self, token_hash: bytes) -> SessionHolder | None:
        return self.state.find_session_holder(token_hash)

    async def dry_run(self, account_command: AccountCommand, now_ms: int) -> Outcome:
        return dry_run(self.state, account_command, now_ms)

    async def find_account_holder(self, agent_id: int, player_id: str, currency: str) -> SessionHolder | None:
        return self.state.find_account_holder(agent_id, player_id, currency)

    async def has_player(self, agent_id: int, player_id: str) -> bool:
        return any((each.agent.agent_id, each.player_id) == (agent_id, player_id) for each in self.state.players)

    async def apply(
        self, account_commands: Sequence[AccountCommand], now_ms: int, journal: Sequence[JournalRow] = ()
    ) -> list[Outcome]:
        before = deepcopy(vars(self.state))
        try:
            outcomes = [apply_command(self.state, each, now_ms) for each in account_commands]
            await self.write_journal(journal)
        except BaseException as error:
            # The subjects share the state object, so it gets its old content back.
            vars(self.state).update(before)
            raise CommandFault("a command could not be decided because of a bug") from error
        for account_command, outcome in zip(account_commands, outcomes, strict=True):
            if account_command.on_committed:
                account_command.on_committed(outcome)
        return outcomes

    async def write_journal(self, journal: Sequence[JournalRow]) -> None:
        for seq, *texts in journal:
            # As a file stores them, in UTF-8.
            record = JournalRecord(*(text.encode("utf-8", "backslashreplace").decode() for text in texts))
            self.state.journal.setdefault(seq, record)

    def on_failure(self, callback: Callable[[], None]) -> None:
        """Ignore the callback."""

    def on_disk_full(self, callback: Callable[[], None]) -> None:
        """Ignore the callback."""

    async def read_free_bytes(self) -> int | None:
        return None

    async def close(self) -> None:
        """Do nothing."""
