"""The entries of the reference engine. Each query searches all of them."""

from collections.abc import Sequence

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry, Kind, State
from minwallet.storage.models import ALL_ACCOUNTS, AuditPage, IdScope, JournaledEntry, Partition
from minwallet.storage.queries import EntryPage, Filter, OwnedEntry
from tests.storage.reference_engine.memory_state import MemoryState


class MemoryLedgerStore:
    """The `LedgerStore` in memory."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def count_entries(self) -> int:
        return len(self._state.entries)

    async def count_missing_entries(self) -> int:
        return 0

    async def list_sources(self, agent: str | None = None) -> list[str]:
        owned = self._state.list_owned_entries()
        return sorted({entry.protocol for entry, owner in owned if agent in (None, owner.agent)})

    async def read_entries(self, account_ids: Sequence[int], limit: int) -> list[Entry]:
        return [entry for entry in reversed(self._state.entries) if entry.account_id in account_ids][:limit]

    async def find_journaled_entry(self, seq: int) -> JournaledEntry | None:
        if not 1 <= seq <= len(self._state.entries):
            return None
        entry = self._state.entries[seq - 1]
        return JournaledEntry(entry, self._state.find_owner(entry.account_id), self._state.journal.get(seq))

    async def read_page(self, entry_filter: Filter, before: int | None, limit: int) -> EntryPage:
        return _make_page(
            [each for each in self._state.list_owned_entries() if entry_filter.matches(*each)], before, limit
        )

    async def read_entries_after(self, entry_filter: Filter, after: int, limit: int) -> EntryPage:
        newer = [each for each in self._state.list_owned_entries() if each.entry.seq > after]
        rows = [each for each in newer if entry_filter.matches(*each)][:limit]
        last = newer[-1].entry.seq if newer else after
        return EntryPage(rows, rows[-1].entry.seq if len(rows) == limit else last)

    async def read_open_bets(self, agent: str | None, before: int | None, limit: int) -> EntryPage:
        rows = self._state.list_owned_entries()
        found = [each for each in rows if agent in (None, each.owner.agent) and self._is_open_bet(each, rows)]
        return _make_page(found, before, limit)

    async def count_open_rounds(self, newest_rows: int) -> int:
        rows = self._state.list_owned_entries()[-newest_rows:]
        return len(
            {
                (find_id_scope(*each), each.entry.account_id, each.entry.round)
                for each in rows
                if self._is_open_bet(each, rows)
            }
        )

    async def read_audit_page(
        self, after_seq: int, limit: int, after_account: int = 0, partition: Partition = ALL_ACCOUNTS
    ) -> AuditPage:
        rows = [
            each for each in self._state.entries[after_seq:] if each.account_id % partition.total == partition.number
        ][:limit]
        accounts = [
            each.account
            for each in self._state.accounts
            if each.account.account_id % partition.total == partition.number
        ]
        owners = {
            each.account_id: self._state.find_owner(each.account_id)
            for each in accounts
            if each.account_id > after_account
        }
        return AuditPage(rows, rows[-1].seq if rows else after_seq, owners, accounts if len(rows) < limit else None)

    async def list_id_scopes(self) -> list[IdScope]:
        return [IdScope(*scope) for scope in {scope for scope, _ in self._state.histories}]

    async def prune_journal(self, before_ms: int, limit: int) -> int:
        old = [seq for seq in sorted(self._state.journal)[:limit] if self._state.entries[seq - 1].at_ms < before_ms]
        for seq in old:
            del self._state.journal[seq]
        return len(old)

    def _is_open_bet(self, bet: OwnedEntry, rows: Sequence[OwnedEntry]) -> bool:
        """Return True if no later row reverses the bet or settles its round."""
        entry, owner = bet
        later_entries = [
            other
            for other, whose in rows
            if other.seq > entry.seq and find_id_scope(other, whose) == find_id_scope(entry, owner)
        ]
        return (
            (entry.kind, entry.state) == (Kind.BET, State.APPLIED)
            and not any(other.kind is Kind.CANCEL and other.id == entry.id for other in later_entries)
            and not self._state.is_reversed(entry)
            and not any(
                other.round == entry.round and other.account_id == entry.account_id and self._settles(other)
                for other in later_entries
            )
        )

    def _settles(self, entry: Entry) -> bool:
        if entry.kind is Kind.WIN:
            return not self._state.is_reversed(entry)
        return entry.kind in (Kind.ROUND_END, Kind.ROUND_ROLLBACK)


def _make_page(rows: Sequence[OwnedEntry], before: int | None, limit: int) -> EntryPage:
    found = [each for each in reversed(rows) if before is None or each.entry.seq < before][:limit]
    return EntryPage(found, found[-1].entry.seq if len(found) == limit else None)


def find_id_scope(entry: Entry, owner: AccountRef) -> tuple[str, str, str]:
    """Return a scope that is as narrow as the entry's or narrower. For one account's bets this makes no difference."""
    return owner.agent, entry.protocol, owner.currency
