"""The interface to the entries of the ledger and to their journal. Entries are only written by `Store.apply`."""

from collections.abc import Sequence
from typing import Protocol

from minwallet.ledger.entries import Entry
from minwallet.storage.models import ALL_ACCOUNTS, AuditPage, IdScope, JournaledEntry, Partition
from minwallet.storage.queries import EntryPage, Filter


class LedgerStore(Protocol):
    """The entries of the ledger. Every method may raise StoreError."""

    async def count_entries(self) -> int:
        """Return the number of entries, which is the newest entry's `seq`."""

    async def count_missing_entries(self) -> int:
        """Return how many numbers up to the newest `seq` have no entry. Any but 0 means that entries were removed."""

    async def list_sources(self, agent: str | None = None) -> list[str]:
        """Return the protocols of all entries, or of one agent's, in order. The operator's own are among them."""

    async def read_entries(self, account_ids: Sequence[int], limit: int) -> list[Entry]:
        """Return up to `limit` entries of these accounts, newest first."""

    async def find_journaled_entry(self, seq: int) -> JournaledEntry | None: ...

    async def read_page(self, entry_filter: Filter, before: int | None, limit: int) -> EntryPage:
        """Return up to `limit` matching entries before the entry `before`, newest first. None starts at the newest."""

    async def read_entries_after(self, entry_filter: Filter, after: int, limit: int) -> EntryPage:
        """Return up to `limit` matching entries after the entry `after`, oldest first.

        `next_seq` is the last row searched, and never None: continue after it.
        """

    async def read_open_bets(self, agent: str | None, before: int | None, limit: int) -> EntryPage:
        """Return bets that took money, were not cancelled, and whose round has not been won since; newest first."""

    async def count_open_rounds(self, newest_rows: int) -> int:
        """Return how many rounds have such bets among the newest `newest_rows` entries."""

    async def read_audit_page(
        self, after_seq: int, limit: int, after_account: int = 0, partition: Partition = ALL_ACCOUNTS
    ) -> AuditPage:
        """Return the next entries of the partition's accounts, and the owners of its accounts after `after_account`."""

    async def list_id_scopes(self) -> list[IdScope]:
        """Return the scopes of all transaction ids. They are created with their first entry, and never removed."""

    async def prune_journal(self, before_ms: int, limit: int) -> int:
        """Delete up to `limit` journal records of entries older than `before_ms`, oldest first. Return their number."""
