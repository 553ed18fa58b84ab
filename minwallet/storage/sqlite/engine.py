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
from minwallet.storage.base import (
    WHOLE,
    AccountRow,
    Agent,
    AuditPage,
    Bearer,
    DamagedFile,
    GameList,
    NewSession,
    NoRoom,
    Opened,
    Opening,
    Order,
    OutcomeUnknown,
    Player,
    PlayerStatus,
    Recorded,
    ReportMark,
    ReportSheet,
    SessionRow,
    Share,
    StoreFault,
)
from minwallet.storage.limits import LimitAsked
from minwallet.storage.office import Action, Admin, ApiKey, NewKey, Numbered, SignIn
from minwallet.storage.sqlite import batch, filling, limits, office, records, reports, totals, views
from minwallet.storage.sqlite.check import check_at_once, check_in_steps, step_back
from minwallet.storage.sqlite.connection import (
    Connection,
    check_exists,
    check_place,
    connect,
    create_file,
    migrate,
    transaction,
)
from minwallet.storage.sqlite.log import check_log
from minwallet.storage.sqlite.openings import open_accounts
from minwallet.storage.views import Filter, Heading, Holding, Minute, Page, Total

T = TypeVar("T")

WRITER_KIB, READER_KIB, VIEWER_KIB = 20 * 1024, 6 * 1024, 2 * 1024
"""How much of the file each connection keeps in memory. What the bets of 100,000 players are decided on fits into the
writer's, wherever in the file it is; what people look at is hardly ever looked at twice."""


class _Unwanted(Exception):
    """Gives a transaction up without a fault; carries what was found."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened


class SqliteStore:
    """The `Store` of `storage.base`, durable. Make one with `open`; `open_read_only` is for beside a running server."""

    sqlite_version = sqlite3.sqlite_version

    def __init__(self, path: Path, reader: Connection, viewer: Connection, writer: Connection | None) -> None:
        self._path = path
        self._reader = reader
        self._viewer = viewer
        self._writer = writer
        self._unchecked: Path | None = None
        self.broken: StoreFault | None = None
        self._stop: Callable[[], None] = lambda: None
        self._notice_full: Callable[[], None] = lambda: None

    @classmethod
    async def open(cls, path: Path, *, create: bool, check: bool = False) -> Self:
        """The one writer's store. The caller owns the file (`storage.owner`). UnusableFile says why it cannot be.

        With `check` it is looked through for damage as far as that is quick; `check_further` does the rest.
        """
        check_place(path)
        if create:
            create_file(path)
        else:
            check_exists(path)
        check_log(path)
        writer = await connect(path, cache_kib=WRITER_KIB)
        await writer.prepare(path, partial(migrate, path=path))
        opened = [writer]
        try:
            is_checked = not check or await check_at_once(writer, path)
            for cache_kib in (READER_KIB, VIEWER_KIB):
                opened.append(await connect(path, cache_kib=cache_kib))
                await opened[-1].run(lambda db: db.execute("PRAGMA query_only = 1"))
        except BaseException:
            for connection in reversed(opened):
                await connection.close()
            raise
        store = cls(path, opened[1], opened[2], writer)
        store._unchecked = None if is_checked else path
        return store

    @classmethod
    async def open_read_only(cls, path: Path) -> Self:
        """A store that only reads, for a process that does not own the file."""
        check_place(path)
        check_exists(path)
        reader = await connect(path, read_only=True)
        return cls(path, reader, reader, None)

    async def close(self) -> None:
        """The writer last: whoever closes last empties the write-ahead log."""
        for reader in {self._reader, self._viewer}:
            await reader.close()
        if self._writer:
            await self._writer.close()

    async def check_further(self) -> None:
        """Look for the damage that `open` had no time to look for; where there is any, the store is broken."""
        if self._unchecked is None:
            return
        connection = await connect(self._unchecked, read_only=True)
        try:
            await connection.run(step_back)
            await check_in_steps(connection, self._unchecked)
        except StoreFault as fault:
            self._break(fault)
        finally:
            await connection.close()

    async def look_for_damage(self) -> None:
        """Look at all pages, indexes and rows; UnusableFile where something is damaged."""
        await check_in_steps(self._viewer, self._path)

    async def in_threads_of_calls(self, work: Callable[[], object]) -> None:
        """Do this in the threads that providers' calls wait for."""
        for connection in (self._reader, self._writer):
            if connection:
                await connection.run(lambda _: work())

    def when_broken(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def when_full(self, notice: Callable[[], None]) -> None:
        self._notice_full = notice

    async def measure_room(self) -> int | None:
        # The folder is asked, never the file: opening that would break SQLite's locks.
        try:
            return (await asyncio.to_thread(shutil.disk_usage, self._path.absolute().parent)).free
        except OSError:
            return None

    async def apply(self, orders: Sequence[Order], now_ms: int) -> list[Outcome]:
        return await self._write(lambda db: batch.apply(db, orders, now_ms))

    async def look(self, order: Order, now_ms: int) -> Outcome:
        # What it would find lacks a change that a restart may bring back.
        self._refuse_if_broken()
        return await self._noticing(self._reader.run(lambda db: batch.look(db, order, now_ms)))

    async def find_bearer(self, token_hash: bytes) -> Bearer | None:
        return await self._reader.run(lambda db: records.find_bearer(db, token_hash))

    async def add_agent(self, name: str, wallet_token: str, host_id: str | None, now_ms: int) -> Agent | None:
        return await self._write(lambda db: records.add_agent(db, name, wallet_token, host_id, now_ms))

    async def change_agent(self, agent_id: int, changes: Mapping[str, str | None]) -> Agent | None:
        return await self._write(lambda db: records.change_agent(db, agent_id, changes))

    async def list_agents(self) -> list[Agent]:
        return await self._viewer.run(records.list_agents)

    async def open_accounts(self, openings: Sequence[Opening], now_ms: int) -> Opened:
        def work(db: sqlite3.Connection) -> Opened:
            opened = open_accounts(db, openings, now_ms)
            if opened.problems:
                raise _Unwanted(opened)
            return opened

        try:
            return await self._write(work)
        except _Unwanted as unwanted:
            return unwanted.opened

    async def fill(
        self,
        accounts: Iterable[AccountRow],
        pages: Iterable[Sequence[tuple[AccountRef, EntryRow]]],
        ids_per_currency: frozenset[str],
        now_ms: int,
    ) -> None:
        """Make the empty wallet one of these accounts and rows, or nothing of it; see `filling.fill`. Unfit."""
        await self._write(lambda db: filling.fill(db, accounts, pages, ids_per_currency, now_ms))

    async def list_players(self, agent: str) -> list[Player]:
        return await self._viewer.run(lambda db: records.read_players(db, agent))

    async def search_players(self, agent: str, text: str, after: str, limit: int) -> list[Player]:
        return await self._viewer.run(lambda db: records.search_players(db, agent, text, after, limit))

    async def find_player(self, agent: str, player_id: str) -> Player | None:
        found = await self._viewer.run(lambda db: records.read_players(db, agent, player_id))
        return found[0] if found else None

    async def read_accounts(self, after: int, limit: int) -> list[AccountRow]:
        return await self._viewer.run(lambda db: records.read_accounts(db, after, limit))

    async def set_player_status(self, player_key: int, status: PlayerStatus) -> None:
        await self._write(lambda db: records.set_player_status(db, player_key, status))

    async def ask_limit(self, asked: LimitAsked, now_ms: int) -> None:
        await self._write(lambda db: limits.ask_limit(db, asked, now_ms))

    async def ask_exclusion(self, player_key: int, until_ms: int | None, now_ms: int) -> None:
        await self._write(lambda db: limits.ask_exclusion(db, player_key, until_ms, now_ms))

    async def find_guard(self, account_id: int, now_ms: int) -> PlayerRestrictions:
        return await self._viewer.run(lambda db: limits.find_guard(db, account_id, now_ms))

    async def add_session(self, account_id: int, session: NewSession, now_ms: int) -> int:
        return await self._write(lambda db: records.add_session(db, account_id, session, now_ms))

    async def list_sessions(
        self, player_key: int, limit: int | None = None, before: int | None = None
    ) -> list[SessionRow]:
        return await self._viewer.run(lambda db: records.list_sessions(db, player_key, limit, before))

    async def revoke_session(self, token_hash: bytes, now_ms: int) -> bool:
        return await self._write(lambda db: records.revoke_session(db, token_hash, now_ms))

    async def revoke_session_of(self, player_key: int, session_id: int, now_ms: int) -> bool:
        return await self._write(lambda db: records.revoke_session_of(db, player_key, session_id, now_ms))

    async def read_entries(self, account_ids: Sequence[int], limit: int) -> list[Entry]:
        return await self._viewer.run(lambda db: records.read_entries(db, account_ids, limit))

    async def read_audit_page(
        self, after_seq: int, limit: int, after_account: int = 0, share: Share = WHOLE
    ) -> AuditPage:
        return await self._viewer.run(lambda db: records.read_audit_page(db, after_seq, limit, after_account, share))

    async def count_entries(self) -> int:
        return await self._viewer.run(records.count_entries)

    async def count_missing(self) -> int:
        return await self._viewer.run(records.count_missing)

    async def find_recorded(self, seq: int) -> Recorded | None:
        return await self._viewer.run(lambda db: records.find_recorded(db, seq))

    async def prune_journal(self, before_ms: int, limit: int) -> int:
        return await self._write(lambda db: records.prune_journal(db, before_ms, limit))

    async def keep_games(self, agent_id: int, games: GameList) -> None:
        await self._write(lambda db: reports.keep_games(db, agent_id, games))

    async def find_games(self, agent_id: int) -> GameList | None:
        return await self._viewer.run(lambda db: reports.find_games(db, agent_id))

    async def keep_report(self, agent_id: int, sheet: ReportSheet) -> bool:
        return await self._write(lambda db: reports.keep_report(db, agent_id, sheet))

    async def find_report_mark(self, agent_id: int) -> ReportMark:
        return await self._viewer.run(lambda db: reports.find_report_mark(db, agent_id))

    async def read_reported(self, agent_id: int, after: str, limit: int) -> list[ReportedTicket]:
        return await self._viewer.run(lambda db: reports.read_reported(db, agent_id, after, limit))

    async def read_tickets(self, agent_id: int, protocol: str, after: str, limit: int) -> list[Ticket]:
        return await self._viewer.run(lambda db: reports.read_tickets(db, agent_id, protocol, after, limit))

    async def read_orphans(self, agent_id: int) -> list[Ticket]:
        return await self._viewer.run(lambda db: reports.read_orphans(db, agent_id))

    async def read_page(self, wanted: Filter, before: int | None, limit: int) -> Page:
        return await self._viewer.run(lambda db: views.read_page(db, wanted, before, limit))

    async def read_news(self, wanted: Filter, after: int, limit: int) -> Page:
        return await self._viewer.run(lambda db: views.read_news(db, wanted, after, limit))

    async def read_open_bets(self, agent: str | None, before: int | None, limit: int) -> Page:
        return await self._viewer.run(lambda db: views.read_open_bets(db, agent, before, limit))

    async def count_open_rounds(self, among: int) -> int:
        return await self._viewer.run(lambda db: views.count_open_rounds(db, among))

    async def sum_up(self, limit: int) -> int:
        sums = await self._viewer.run(lambda db: totals.add_up(db, limit))
        if sums.last > sums.after:
            await self._write(lambda db: totals.keep(db, sums))
        return sums.last - sums.after

    async def read_totals(self, since_day: int, until_day: int, agent: str | None) -> list[tuple[Heading, Total]]:
        return await self._viewer.run(lambda db: totals.read_totals(db, since_day, until_day, agent))

    async def read_minutes(self, since_ms: int) -> list[Minute]:
        return await self._viewer.run(lambda db: totals.read_minutes(db, since_ms))

    async def read_holdings(self) -> list[Holding]:
        return await self._viewer.run(totals.read_holdings)

    async def add_key(self, key: NewKey, now_ms: int) -> bool:
        return await self._write(lambda db: office.add_key(db, key, now_ms))

    async def find_key(self, key_hash: bytes) -> ApiKey | None:
        return await self._viewer.run(lambda db: office.find_key(db, key_hash))

    async def list_keys(self) -> list[ApiKey]:
        return await self._viewer.run(office.list_keys)

    async def revoke_key(self, name: str, now_ms: int) -> bool:
        return await self._write(lambda db: office.revoke_key(db, name, now_ms))

    async def keep_admin(self, admin: Admin, now_ms: int) -> None:
        await self._write(lambda db: office.keep_admin(db, admin, now_ms))

    async def list_admins(self) -> list[Admin]:
        return await self._viewer.run(office.list_admins)

    async def add_sign_in(self, token_hash: bytes, sign_in: SignIn, *, is_link: bool, now_ms: int) -> None:
        await self._write(lambda db: office.add_sign_in(db, token_hash, sign_in, is_link=is_link, now_ms=now_ms))

    async def find_sign_in(self, token_hash: bytes, now_ms: int) -> SignIn | None:
        return await self._viewer.run(lambda db: office.find_sign_in(db, token_hash, now_ms))

    async def take_link(self, token_hash: bytes, now_ms: int) -> str | None:
        return await self._write(lambda db: office.take_link(db, token_hash, now_ms))

    async def end_sign_in(self, token_hash: bytes) -> None:
        await self._write(lambda db: office.end_sign_in(db, token_hash))

    async def end_sign_ins(self, admin: str) -> None:
        await self._write(lambda db: office.end_sign_ins(db, admin))

    async def has_signed_in(self) -> bool:
        return await self._viewer.run(office.has_signed_in)

    async def add_action(self, action: Action) -> None:
        await self._write(lambda db: office.add_action(db, action))

    async def list_actions(self, before: int | None, limit: int) -> list[Numbered]:
        return await self._viewer.run(lambda db: office.list_actions(db, before, limit))

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def in_transaction(db: sqlite3.Connection) -> T:
            # Asked on the thread that writes: this may have been queued before anybody knew.
            self._refuse_if_broken()
            try:
                with transaction(db):
                    return work(db)
            except (OutcomeUnknown, DamagedFile) as fault:
                self.broken = fault
                raise

        if self._writer is None:
            raise StoreFault("this store only reads; ask the process that owns the file")
        self._refuse_if_broken()
        return await self._noticing(self._run(self._writer, in_transaction))

    async def _noticing(self, work: Awaitable[T]) -> T:
        """The same, where what fails concerns more than this work."""
        try:
            return await work
        except (OutcomeUnknown, DamagedFile) as fault:
            self._break(fault)
            raise
        except NoRoom:
            self._notice_full()
            raise

    def _refuse_if_broken(self) -> None:
        if self.broken:
            raise self.broken.with_traceback(None)

    def _break(self, fault: StoreFault) -> None:
        self.broken = fault
        self._stop()

    async def _run(self, writer: Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        return await writer.run(work)
