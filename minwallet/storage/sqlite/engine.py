"""The store over one SQLite file: a connection that writes and checkpoints, and two that only read.

Providers' questions are read on one, what people look at on the other, so that no page makes a game wait.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from minwallet.ledger.audit import AccountRef, EntryRow
from minwallet.ledger.entries import Entry
from minwallet.ledger.limits import PlayerRestrictions
from minwallet.ledger.outcomes import Outcome
from minwallet.ledger.reconciliation import ReportedTicket, Ticket
from minwallet.storage.admin_store import Admin, AdminSession, ApiKey, AuditEvent, AuditRecord, NewApiKey
from minwallet.storage.errors import DatabaseCorrupt, DiskFull, OutcomeUnknown, StoreError
from minwallet.storage.limit_store import LimitChange
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
from minwallet.storage.queries import CurrencyBalance, DailyTotalKey, EntryPage, Filter, MinuteCount, Total
from minwallet.storage.sqlite import accounts, batch, ledger_import, ledger_pages, reports, restrictions, totals
from minwallet.storage.sqlite import admin as admin_sql
from minwallet.storage.sqlite.bulk_create import create_accounts
from minwallet.storage.sqlite.connection import (
    Connection,
    check_exists,
    check_path,
    connect,
    create_file,
    migrate,
    transaction,
)
from minwallet.storage.sqlite.integrity import check_in_batches, check_with_timeout, lower_priority
from minwallet.storage.sqlite.wal import check_wal

T = TypeVar("T")

WRITER_CACHE_KIB, READER_CACHE_KIB, UI_READER_CACHE_KIB = 20 * 1024, 6 * 1024, 2 * 1024
"""How much of the file each connection keeps in memory. What the bets of 100,000 players are decided on fits into the
writer's, wherever in the file it is; what people look at is hardly ever looked at twice."""


class _Rollback(Exception):
    """Gives a transaction up without a fault; carries what was found."""

    def __init__(self, result: AccountsCreated) -> None:
        self.result = result


class SqliteStore:
    """The `Store` of `storage.base`, durable. Make one with `open`; `open_read_only` is for beside a running server."""

    sqlite_version = sqlite3.sqlite_version

    def __init__(self, path: Path, reader: Connection, ui_reader: Connection, writer: Connection | None) -> None:
        self._path = path
        self._reader = reader
        self._ui_reader = ui_reader
        self._writer = writer
        self._unchecked_path: Path | None = None
        self.failure: StoreError | None = None
        self._failure_callback: Callable[[], None] = lambda: None
        self._disk_full_callback: Callable[[], None] = lambda: None

    @classmethod
    async def open(cls, path: Path, *, create: bool, check: bool = False) -> Self:
        """The one writer's store. The caller owns the file (`storage.owner`). DatabaseUnusable says why it cannot be.

        With `check` it is looked through for damage as far as that is quick; `finish_check` does the rest.
        """
        check_path(path)
        if create:
            create_file(path)
        else:
            check_exists(path)
        check_wal(path)
        writer = await connect(path, cache_kib=WRITER_CACHE_KIB)
        await writer.prepare(path, partial(migrate, path=path))
        opened = [writer]
        try:
            is_checked = not check or await check_with_timeout(writer, path)
            for cache_kib in (READER_CACHE_KIB, UI_READER_CACHE_KIB):
                opened.append(await connect(path, cache_kib=cache_kib))
                await opened[-1].run(lambda db: db.execute("PRAGMA query_only = 1"))
        except BaseException:
            for connection in reversed(opened):
                await connection.close()
            raise
        store = cls(path, opened[1], opened[2], writer)
        store._unchecked_path = None if is_checked else path
        return store

    @classmethod
    async def open_read_only(cls, path: Path) -> Self:
        """A store that only reads, for a process that does not own the file."""
        check_path(path)
        check_exists(path)
        reader = await connect(path, read_only=True)
        return cls(path, reader, reader, None)

    async def close(self) -> None:
        """The writer last: whoever closes last empties the write-ahead log."""
        for reader in {self._reader, self._ui_reader}:
            await reader.close()
        if self._writer:
            await self._writer.close()

    async def finish_check(self) -> None:
        """Look for the damage that `open` had no time to look for; where there is any, the store is broken."""
        if self._unchecked_path is None:
            return
        connection = await connect(self._unchecked_path, read_only=True)
        try:
            await connection.run(lower_priority)
            await check_in_batches(connection, self._unchecked_path)
        except StoreError as fault:
            self._mark_failed(fault)
        finally:
            await connection.close()

    async def check_integrity(self) -> None:
        """Look at all pages, indexes and rows; DatabaseUnusable where something is damaged."""
        await check_in_batches(self._ui_reader, self._path)

    async def run_on_call_threads(self, work: Callable[[], object]) -> None:
        """Do this in the threads that providers' calls wait for."""
        for connection in (self._reader, self._writer):
            if connection:
                await connection.run(lambda _: work())

    def on_failure(self, callback: Callable[[], None]) -> None:
        self._failure_callback = callback

    def on_disk_full(self, callback: Callable[[], None]) -> None:
        self._disk_full_callback = callback

    async def read_free_bytes(self) -> int | None:
        # The folder is asked, never the file: opening that would break SQLite's locks.
        try:
            return (await asyncio.to_thread(shutil.disk_usage, self._path.absolute().parent)).free
        except OSError:
            return None

    async def apply(self, account_commands: Sequence[AccountCommand], now_ms: int) -> list[Outcome]:
        return await self._write(lambda db: batch.apply(db, account_commands, now_ms))

    async def dry_run(self, account_command: AccountCommand, now_ms: int) -> Outcome:
        # What it would find lacks a change that a restart may bring back.
        self._raise_if_failed()
        return await self._report_failure(self._reader.run(lambda db: batch.dry_run(db, account_command, now_ms)))

    async def find_session_holder(self, token_hash: bytes) -> SessionHolder | None:
        return await self._reader.run(lambda db: accounts.find_session_holder(db, token_hash))

    async def add_agent(self, name: str, wallet_token: str, host_id: str | None, now_ms: int) -> Agent | None:
        return await self._write(lambda db: accounts.add_agent(db, name, wallet_token, host_id, now_ms))

    async def change_agent(self, agent_id: int, changes: Mapping[str, str | None]) -> Agent | None:
        return await self._write(lambda db: accounts.change_agent(db, agent_id, changes))

    async def list_agents(self) -> list[Agent]:
        return await self._ui_reader.run(accounts.list_agents)

    async def create_accounts(self, new_accounts: Sequence[NewAccount], now_ms: int) -> AccountsCreated:
        def work(db: sqlite3.Connection) -> AccountsCreated:
            opened = create_accounts(db, new_accounts, now_ms)
            if opened.problems:
                raise _Rollback(opened)
            return opened

        try:
            return await self._write(work)
        except _Rollback as rollback:
            return rollback.result

    async def import_ledger(
        self,
        accounts: Iterable[AccountRow],
        pages: Iterable[Sequence[tuple[AccountRef, EntryRow]]],
        ids_per_currency: frozenset[str],
        now_ms: int,
    ) -> None:
        """Fill the empty wallet with these accounts and rows, all or none. Raise ImportRejected."""
        await self._write(lambda db: ledger_import.import_ledger(db, accounts, pages, ids_per_currency, now_ms))

    async def list_players(self, agent: str) -> list[Player]:
        return await self._ui_reader.run(lambda db: accounts.read_players(db, agent))

    async def search_players(self, agent: str, text: str, after: str, limit: int) -> list[Player]:
        return await self._ui_reader.run(lambda db: accounts.search_players(db, agent, text, after, limit))

    async def find_player(self, agent: str, player_id: str) -> Player | None:
        found = await self._ui_reader.run(lambda db: accounts.read_players(db, agent, player_id))
        return found[0] if found else None

    async def read_accounts(self, after: int, limit: int) -> list[AccountRow]:
        return await self._ui_reader.run(lambda db: accounts.read_accounts(db, after, limit))

    async def set_player_status(self, player_key: int, status: PlayerStatus) -> None:
        await self._write(lambda db: accounts.set_player_status(db, player_key, status))

    async def request_limit(self, change: LimitChange, now_ms: int) -> None:
        await self._write(lambda db: restrictions.request_limit(db, change, now_ms))

    async def request_exclusion(self, player_key: int, until_ms: int | None, now_ms: int) -> None:
        await self._write(lambda db: restrictions.request_exclusion(db, player_key, until_ms, now_ms))

    async def find_restrictions(self, account_id: int, now_ms: int) -> PlayerRestrictions:
        return await self._ui_reader.run(lambda db: restrictions.find_restrictions(db, account_id, now_ms))

    async def add_session(self, account_id: int, session: NewSession, now_ms: int) -> int:
        return await self._write(lambda db: accounts.add_session(db, account_id, session, now_ms))

    async def list_sessions(
        self, player_key: int, limit: int | None = None, before: int | None = None
    ) -> list[SessionRow]:
        return await self._ui_reader.run(lambda db: accounts.list_sessions(db, player_key, limit, before))

    async def revoke_session(self, token_hash: bytes, now_ms: int) -> bool:
        return await self._write(lambda db: accounts.revoke_session(db, token_hash, now_ms))

    async def revoke_player_session(self, player_key: int, session_id: int, now_ms: int) -> bool:
        return await self._write(lambda db: accounts.revoke_player_session(db, player_key, session_id, now_ms))

    async def read_entries(self, account_ids: Sequence[int], limit: int) -> list[Entry]:
        return await self._ui_reader.run(lambda db: accounts.read_entries(db, account_ids, limit))

    async def read_audit_page(
        self, after_seq: int, limit: int, after_account: int = 0, partition: Partition = ALL_ACCOUNTS
    ) -> AuditPage:
        return await self._ui_reader.run(
            lambda db: accounts.read_audit_page(db, after_seq, limit, after_account, partition)
        )

    async def count_entries(self) -> int:
        return await self._ui_reader.run(accounts.count_entries)

    async def count_missing_entries(self) -> int:
        return await self._ui_reader.run(accounts.count_missing_entries)

    async def find_journaled_entry(self, seq: int) -> JournaledEntry | None:
        return await self._ui_reader.run(lambda db: accounts.find_journaled_entry(db, seq))

    async def prune_journal(self, before_ms: int, limit: int) -> int:
        return await self._write(lambda db: accounts.prune_journal(db, before_ms, limit))

    async def save_games(self, agent_id: int, games: GameList) -> None:
        await self._write(lambda db: reports.save_games(db, agent_id, games))

    async def find_games(self, agent_id: int) -> GameList | None:
        return await self._ui_reader.run(lambda db: reports.find_games(db, agent_id))

    async def save_report(self, agent_id: int, report_batch: ReportBatch) -> bool:
        return await self._write(lambda db: reports.save_report(db, agent_id, report_batch))

    async def find_report_cursor(self, agent_id: int) -> ReportCursor:
        return await self._ui_reader.run(lambda db: reports.find_report_cursor(db, agent_id))

    async def read_reported_tickets(self, agent_id: int, after: str, limit: int) -> list[ReportedTicket]:
        return await self._ui_reader.run(lambda db: reports.read_reported_tickets(db, agent_id, after, limit))

    async def read_tickets(self, agent_id: int, protocol: str, after: str, limit: int) -> list[Ticket]:
        return await self._ui_reader.run(lambda db: reports.read_tickets(db, agent_id, protocol, after, limit))

    async def read_orphans(self, agent_id: int) -> list[Ticket]:
        return await self._ui_reader.run(lambda db: reports.read_orphans(db, agent_id))

    async def read_page(self, entry_filter: Filter, before: int | None, limit: int) -> EntryPage:
        return await self._ui_reader.run(lambda db: ledger_pages.read_page(db, entry_filter, before, limit))

    async def read_entries_after(self, entry_filter: Filter, after: int, limit: int) -> EntryPage:
        return await self._ui_reader.run(lambda db: ledger_pages.read_entries_after(db, entry_filter, after, limit))

    async def read_open_bets(self, agent: str | None, before: int | None, limit: int) -> EntryPage:
        return await self._ui_reader.run(lambda db: ledger_pages.read_open_bets(db, agent, before, limit))

    async def count_open_rounds(self, newest_rows: int) -> int:
        return await self._ui_reader.run(lambda db: ledger_pages.count_open_rounds(db, newest_rows))

    async def aggregate_totals(self, limit: int) -> int:
        delta = await self._ui_reader.run(lambda db: totals.aggregate_rows(db, limit))
        if delta.last_seq > delta.after_seq:
            await self._write(lambda db: totals.save_totals(db, delta))
        return delta.last_seq - delta.after_seq

    async def read_totals(self, since_day: int, until_day: int, agent: str | None) -> list[tuple[DailyTotalKey, Total]]:
        return await self._ui_reader.run(lambda db: totals.read_totals(db, since_day, until_day, agent))

    async def read_minute_counts(self, since_ms: int) -> list[MinuteCount]:
        return await self._ui_reader.run(lambda db: totals.read_minute_counts(db, since_ms))

    async def read_currency_balances(self) -> list[CurrencyBalance]:
        return await self._ui_reader.run(totals.read_currency_balances)

    async def add_key(self, key: NewApiKey, now_ms: int) -> bool:
        return await self._write(lambda db: admin_sql.add_key(db, key, now_ms))

    async def find_key(self, key_hash: bytes) -> ApiKey | None:
        return await self._ui_reader.run(lambda db: admin_sql.find_key(db, key_hash))

    async def list_keys(self) -> list[ApiKey]:
        return await self._ui_reader.run(admin_sql.list_keys)

    async def revoke_key(self, name: str, now_ms: int) -> bool:
        return await self._write(lambda db: admin_sql.revoke_key(db, name, now_ms))

    async def upsert_admin(self, admin: Admin, now_ms: int) -> None:
        await self._write(lambda db: admin_sql.upsert_admin(db, admin, now_ms))

    async def list_admins(self) -> list[Admin]:
        return await self._ui_reader.run(admin_sql.list_admins)

    async def add_admin_session(self, token_hash: bytes, session: AdminSession, *, is_link: bool, now_ms: int) -> None:
        await self._write(
            lambda db: admin_sql.add_admin_session(db, token_hash, session, is_link=is_link, now_ms=now_ms)
        )

    async def find_admin_session(self, token_hash: bytes, now_ms: int) -> AdminSession | None:
        return await self._ui_reader.run(lambda db: admin_sql.find_admin_session(db, token_hash, now_ms))

    async def consume_login_link(self, token_hash: bytes, now_ms: int) -> str | None:
        return await self._write(lambda db: admin_sql.consume_login_link(db, token_hash, now_ms))

    async def delete_admin_session(self, token_hash: bytes) -> None:
        await self._write(lambda db: admin_sql.delete_admin_session(db, token_hash))

    async def delete_admin_sessions(self, admin: str) -> None:
        await self._write(lambda db: admin_sql.delete_admin_sessions(db, admin))

    async def has_credentials(self) -> bool:
        return await self._ui_reader.run(admin_sql.has_credentials)

    async def add_audit_event(self, event: AuditEvent) -> None:
        await self._write(lambda db: admin_sql.add_audit_event(db, event))

    async def list_audit_records(self, before: int | None, limit: int) -> list[AuditRecord]:
        return await self._ui_reader.run(lambda db: admin_sql.list_audit_records(db, before, limit))

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def in_transaction(db: sqlite3.Connection) -> T:
            # Asked on the thread that writes: this may have been queued before anybody knew.
            self._raise_if_failed()
            try:
                with transaction(db):
                    return work(db)
            except (OutcomeUnknown, DatabaseCorrupt) as fault:
                self.failure = fault
                raise

        if self._writer is None:
            raise StoreError("this store only reads; ask the process that owns the file")
        self._raise_if_failed()
        return await self._report_failure(self._run(self._writer, in_transaction))

    async def _report_failure(self, work: Awaitable[T]) -> T:
        """The same, where what fails concerns more than this work."""
        try:
            return await work
        except (OutcomeUnknown, DatabaseCorrupt) as fault:
            self._mark_failed(fault)
            raise
        except DiskFull:
            self._disk_full_callback()
            raise

    def _raise_if_failed(self) -> None:
        if self.failure:
            raise self.failure.with_traceback(None)

    def _mark_failed(self, fault: StoreError) -> None:
        self.failure = fault
        self._failure_callback()

    async def _run(self, writer: Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        return await writer.run(work)
