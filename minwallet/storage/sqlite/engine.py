"""The store over one SQLite file: one connection writes and checkpoints, two only read.

The calls of providers read on one of the readers, people and commands on the other. So no page delays a call.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from minwallet.ledger.outcomes import Outcome
from minwallet.storage.account_store import AccountStore
from minwallet.storage.admin_store import AdminStore
from minwallet.storage.errors import DatabaseCorrupt, DiskFull, OutcomeUnknown, SchemaTooOld, StoreError
from minwallet.storage.ledger_store import LedgerStore
from minwallet.storage.limit_store import LimitStore
from minwallet.storage.models import (
    AccountCommand,
    AccountRow,
    ExportedEntry,
    JournalRow,
    SessionHolder,
)
from minwallet.storage.report_store import ReportStore
from minwallet.storage.session_store import SessionStore
from minwallet.storage.sqlite import batch, entry_rows, ledger_import, sessions
from minwallet.storage.sqlite.accounts import SqliteAccountStore
from minwallet.storage.sqlite.admin import SqliteAdminStore
from minwallet.storage.sqlite.connection import (
    Connection,
    ReadAccess,
    connect,
    migrate,
    transaction,
    translate_errors,
)
from minwallet.storage.sqlite.integrity import check_in_batches, check_with_timeout, lower_priority
from minwallet.storage.sqlite.ledger import SqliteLedgerStore
from minwallet.storage.sqlite.limits import SqliteLimitStore
from minwallet.storage.sqlite.path_checks import (
    check_exists,
    check_path,
    check_permission,
    create_file,
    restrict_permissions,
)
from minwallet.storage.sqlite.read_access import connect_to_migrated_copy
from minwallet.storage.sqlite.reports import SqliteReportStore
from minwallet.storage.sqlite.schema_check import check_unchanged, find_changes
from minwallet.storage.sqlite.sessions import SqliteSessionStore
from minwallet.storage.sqlite.totals import SqliteTotalsStore
from minwallet.storage.sqlite.wal import check_wal
from minwallet.storage.totals_store import TotalsStore

T = TypeVar("T")

WRITER_CACHE_KIB, READER_CACHE_KIB, UI_READER_CACHE_KIB = 20 * 1024, 6 * 1024, 2 * 1024
"""The page caches. The writer's holds all pages that the bets of 100,000 players are decided on. Pages that people read
are rarely read twice."""


class SqliteStore:
    """The `Store` over SQLite. Create it with `open`, or with `open_read_only` to change nothing.

    `is_migrated_copy` is true if it reads a temporary copy of an older file.
    """

    sqlite_version = sqlite3.sqlite_version

    def __init__(self, path: Path, reader: Connection, ui_reader: Connection, writer: Connection | None) -> None:
        self.accounts: AccountStore = SqliteAccountStore(self)
        self.sessions: SessionStore = SqliteSessionStore(self)
        self.ledger: LedgerStore = SqliteLedgerStore(self)
        self.totals: TotalsStore = SqliteTotalsStore(self)
        self.reports: ReportStore = SqliteReportStore(self)
        self.limits: LimitStore = SqliteLimitStore(self)
        self.admin: AdminStore = SqliteAdminStore(self)
        self._path = path
        self._reader = reader
        self._ui_reader = ui_reader
        self._writer = writer
        self.is_migrated_copy = False
        self._unchecked_path: Path | None = None
        self.failure: StoreError | None = None
        self._failure_callback: Callable[[], None] = lambda: None
        self._disk_full_callback: Callable[[], None] = lambda: None

    @classmethod
    async def open(cls, path: Path, *, create: bool, check: bool = False) -> Self:
        """Open the file for writing. The caller holds its lock (`storage.file_lock`).

        With `check`, check it for damage for a short time; `finish_check` completes that. Raise DatabaseUnusable if the
        file cannot be used.
        """
        check_path(path)
        if create:
            create_file(path)
        else:
            check_exists(path)
        check_permission(path, writable=True)
        check_wal(path)
        writer = await connect(path, cache_kib=WRITER_CACHE_KIB)
        # After `connect`, which leaves another program's database unchanged.
        await writer.prepare(path, lambda _: restrict_permissions(path))
        await writer.prepare(path, partial(check_unchanged, path=path))
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
    async def open_read_only(cls, path: Path, access: ReadAccess = ReadAccess.SERVED) -> Self:
        """Open the file for reading (`read_access`). Raise DatabaseUnusable if it cannot be used.

        If it has an older schema, read a migrated copy. Raise SchemaTooOld if a server runs on such a file.
        """
        check_path(path)
        check_exists(path)
        check_permission(path)
        is_migrated_copy = False
        try:
            reader = await connect(path, access=access)
            if access is not ReadAccess.SERVED:
                await reader.prepare(path, partial(check_unchanged, path=path))
        except SchemaTooOld:
            if access is ReadAccess.SERVED:
                raise
            reader, is_migrated_copy = await connect_to_migrated_copy(path, access), True
        store = cls(path, reader, reader, None)
        store.is_migrated_copy = is_migrated_copy
        return store

    async def close(self) -> None:
        """Close all connections. The writer is last, as the last connection to close empties the WAL."""
        for reader in {self._reader, self._ui_reader}:
            await reader.close()
        if self._writer:
            await self._writer.close()

    async def finish_check(self) -> None:
        """Complete the check that `open` had no time for. If there is damage, set `failure`."""
        if self._unchecked_path is None:
            return
        connection = await connect(self._unchecked_path, access=ReadAccess.SERVED)
        try:
            await connection.run(lower_priority)
            await check_in_batches(connection, self._unchecked_path)
        except StoreError as fault:
            self._mark_failed(fault)
        finally:
            await connection.close()

    async def check_integrity(self) -> None:
        """Check all pages, indexes and rows. Raise DatabaseUnusable if something is damaged."""
        await check_in_batches(self._ui_reader, self._path)

    async def find_schema_changes(self) -> list[str]:
        """Return one text for each part of the schema that another program changed, as while a server runs."""
        return await self._ui_reader.run(translate_errors(partial(find_changes, path=self._path), self._path))

    async def run_on_call_threads(self, work: Callable[[], object]) -> None:
        """Call `work` in each thread that the calls of providers wait for."""
        for connection in (self._reader, self._writer):
            if connection:
                await connection.run(lambda _: work())

    def on_failure(self, callback: Callable[[], None]) -> None:
        self._failure_callback = callback

    def on_disk_full(self, callback: Callable[[], None]) -> None:
        self._disk_full_callback = callback

    async def read_free_bytes(self) -> int | None:
        # Use the folder, never the file: opening and closing the file would release SQLite's locks on it.
        try:
            return (await asyncio.to_thread(shutil.disk_usage, self._path.absolute().parent)).free
        except OSError:
            return None

    async def apply(
        self, account_commands: Sequence[AccountCommand], now_ms: int, journal: Sequence[JournalRow] = ()
    ) -> list[Outcome]:
        return await self.write(
            lambda db: batch.apply(db, account_commands, now_ms, journal),
            on_committed=partial(_report_outcomes, account_commands),
        )

    async def write_journal(self, journal: Sequence[JournalRow]) -> None:
        await self.write(lambda db: entry_rows.add_journal_rows(db, journal))

    async def dry_run(self, account_command: AccountCommand, now_ms: int) -> Outcome:
        # After OutcomeUnknown the file lacks a change that a restart may bring back.
        self._raise_if_failed()
        return await self._report_failure(self._reader.run(lambda db: batch.dry_run(db, account_command, now_ms)))

    async def find_session_holder(self, token_hash: bytes) -> SessionHolder | None:
        return await self._reader.run(lambda db: sessions.find_session_holder(db, token_hash))

    async def find_account_holder(self, agent_id: int, player_id: str, currency: str) -> SessionHolder | None:
        return await self._reader.run(lambda db: sessions.find_account_holder(db, agent_id, player_id, currency))

    async def has_player(self, agent_id: int, player_id: str) -> bool:
        return await self._reader.run(lambda db: sessions.has_player(db, agent_id, player_id))

    async def import_ledger(
        self,
        accounts: Iterable[AccountRow],
        pages: Iterable[Sequence[ExportedEntry]],
        now_ms: int,
    ) -> None:
        """Add these accounts and entries to an empty wallet, all or none. Raise ImportRejected if they are invalid."""
        await self.write(lambda db: ledger_import.import_ledger(db, accounts, pages, now_ms))

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `query` returns. It runs on the connection that reads for people and commands."""
        return await self._ui_reader.run(query)

    async def write(
        self,
        change: Callable[[sqlite3.Connection], T],
        *,
        on_committed: Callable[[T], None] = lambda result: None,
    ) -> T:
        """Return what `change` returns, after its transaction is committed.

        `on_committed` is called then with that result, on the writer's thread.
        """

        def in_transaction(db: sqlite3.Connection) -> T:
            # Checked on the writer's thread, as this change may have been queued before the failure.
            self._raise_if_failed()
            try:
                with transaction(db):
                    result = change(db)
            except (OutcomeUnknown, DatabaseCorrupt) as fault:
                self.failure = fault
                raise
            on_committed(result)
            return result

        if self._writer is None:
            raise StoreError("this store only reads; send the change to the process that owns the file")
        self._raise_if_failed()
        return await self._report_failure(self._run(self._writer, in_transaction))

    async def _report_failure(self, work: Awaitable[T]) -> T:
        """Await `work`, and call the callbacks if it fails in a way that concerns all calls."""
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
        # The server stops and reports it.
        fault.is_logged = True
        self.failure = fault
        self._failure_callback()

    async def _run(self, writer: Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        return await writer.run(work)


def _report_outcomes(account_commands: Sequence[AccountCommand], outcomes: Sequence[Outcome]) -> None:
    for account_command, outcome in zip(account_commands, outcomes, strict=True):
        if account_command.on_committed:
            account_command.on_committed(outcome)
