"""The journal rows of the batch writer: written after their entries, with the next batch or soon, never at its cost."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from minwallet.ledger.commands import Bet
from minwallet.ledger.outcomes import Applied, Outcome
from minwallet.storage.errors import StoreError
from minwallet.storage.models import AccountCommand, JournalRow, NewAccount
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet import batch
from minwallet.wallet.service import Wallet

pytestmark = pytest.mark.anyio

PLAYERS = 8


class JournalStore(SqliteStore):
    """The real store, which records how many commands and journal rows each transaction has, and can fail."""

    def set_up(self) -> None:
        self.transactions: list[tuple[int, int]] = []
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def apply(
        self, account_commands: Sequence[AccountCommand], now_ms: int, journal: Sequence[JournalRow] = ()
    ) -> list[Outcome]:
        self.transactions.append((len(account_commands), len(journal)))
        await self.gate.wait()
        if self.fault:
            raise self.fault
        return await super().apply(account_commands, now_ms, journal)

    async def write_journal(self, journal: Sequence[JournalRow]) -> None:
        self.transactions.append((0, len(journal)))
        await self.gate.wait()
        if self.fault:
            raise self.fault
        await super().write_journal(journal)


@asynccontextmanager
async def open_wallet(db: Path) -> AsyncIterator[tuple[Wallet, JournalStore]]:
    store = await JournalStore.open(db, create=True)
    store.set_up()
    await store.accounts.create_accounts([NewAccount("default", f"p{n}", "USD", 1000, 0) for n in range(PLAYERS)], 0)
    async with Wallet(store) as wallet:
        yield wallet, store


async def bet(wallet: Wallet, player: int, id_: int) -> JournalRow:
    """Make a bet, and return a journal row of its entry."""
    command = AccountCommand(Bet(str(id_), 1, str(id_)), "wallet-v2", player)
    outcome = await wallet.submit(command, player)
    assert isinstance(outcome, Applied)
    return JournalRow(outcome.entry.seq, f"request {id_}", f"reply {id_}")


def read_journal(db: Path) -> list[str]:
    connection = sqlite3.connect(db)
    rows = [request for (request,) in connection.execute("SELECT request FROM journal ORDER BY seq")]
    connection.close()
    return rows


async def test_rows_join_the_next_batch(db: Path) -> None:
    """A busy server makes no transaction for them alone."""
    async with open_wallet(db) as (wallet, store):
        for number in range(1, 4):
            wallet.add_to_journal([await bet(wallet, 1, number)])
        assert store.transactions == [(1, 0), (1, 1), (1, 1)]
    assert read_journal(db) == ["request 1", "request 2", "request 3"]


async def test_rows_without_a_next_batch_are_written_soon(db: Path) -> None:
    """All that came in the meantime share one transaction."""
    async with open_wallet(db) as (wallet, store):
        rows = [await bet(wallet, 1, number) for number in range(1, 4)]
        for row in rows:
            wallet.add_to_journal([row])
        await asyncio.sleep(3 * batch.JOURNAL_DELAY_S)
        await wallet.drain()
        assert store.transactions[3:] == [(0, 3)]
        assert len(read_journal(db)) == 3


async def test_a_graceful_stop_loses_no_row(db: Path) -> None:
    """The wallet writes the waiting rows before it closes the store."""
    async with open_wallet(db) as (wallet, _):
        wallet.add_to_journal([await bet(wallet, 1, 1)])
    assert read_journal(db) == ["request 1"]


async def test_flush_waits_for_rows_of_a_batch_in_progress(db: Path) -> None:
    """Rows that were added while a transaction was being written are written too."""
    async with open_wallet(db) as (wallet, store):
        row = await bet(wallet, 1, 1)
        store.gate.clear()
        move = asyncio.ensure_future(bet(wallet, 2, 2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        wallet.add_to_journal([row])
        flushing = asyncio.ensure_future(wallet.flush_journal())
        await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(move, flushing)
        assert read_journal(db) == ["request 1"]


async def test_a_command_that_comes_while_rows_are_written_is_applied(db: Path) -> None:
    """The one task writes both."""
    async with open_wallet(db) as (wallet, store):
        wallet.add_to_journal([await bet(wallet, 1, 1)])
        store.gate.clear()
        flushing = asyncio.ensure_future(wallet.flush_journal())
        await asyncio.sleep(0.01)
        assert store.transactions[-1] == (0, 1)
        move = asyncio.ensure_future(bet(wallet, 2, 2))
        await asyncio.sleep(0.01)
        store.gate.set()
        await asyncio.wait_for(asyncio.gather(flushing, move), 30)


async def test_a_faulty_row_costs_no_command(db: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The commands are applied without it, and the row is logged as lost."""
    async with open_wallet(db) as (wallet, store):
        row = await bet(wallet, 1, 1)
        wallet.add_to_journal([row, row._replace(seq=10**6, request=cast(str, None))])
        rows = await asyncio.gather(*(bet(wallet, player, 10 + player) for player in range(1, PLAYERS)))
        assert store.transactions[1:] == [(PLAYERS - 1, 2), (PLAYERS - 1, 0), (0, 2)]
        wallet.add_to_journal(rows)
        await wallet.flush_journal()
        assert len(read_journal(db)) == PLAYERS - 1
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the journal has no record of the calls of 2 entries"
    ]


async def test_a_faulty_command_costs_no_row(db: Path) -> None:
    """The fault is found with the rows apart, and the rows are written."""
    async with open_wallet(db) as (wallet, _):
        wallet.add_to_journal([await bet(wallet, 1, 1)])
        overflow = wallet.submit(AccountCommand(Bet("2", 2**70, "2"), "wallet-v2", 2), 2)
        outcomes = await asyncio.gather(bet(wallet, 3, 3), overflow, return_exceptions=True)
        assert isinstance(outcomes[0], JournalRow)
        await wallet.flush_journal()
        assert read_journal(db) == ["request 1"]


async def test_rows_wait_while_the_store_fails(db: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A failed batch loses no row of an earlier one. Rows that fail alone are lost, with one line for the outage."""
    async with open_wallet(db) as (wallet, store):
        wallet.add_to_journal([await bet(wallet, 1, 1)])
        store.fault = StoreError("the disk is slow")
        with pytest.raises(StoreError):
            await bet(wallet, 1, 2)
        store.fault = None
        second = await bet(wallet, 1, 3)
        assert read_journal(db) == ["request 1"]
        store.fault = StoreError("the disk is slow")
        for _ in range(3):
            wallet.add_to_journal([second])
            await wallet.flush_journal()
        store.fault = None
    assert [record.getMessage() for record in caplog.records] == [
        "the journal has no record of the calls of 1 entry: the disk is slow"
    ]


async def test_the_waiting_rows_are_bounded(
    db: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """More of them are lost, and the first loss is logged."""
    monkeypatch.setattr(batch, "MAX_JOURNAL_ROWS", 2)
    async with open_wallet(db) as (wallet, _):
        rows = [await bet(wallet, 1, number) for number in range(1, 5)]
        for row in rows:
            wallet.add_to_journal([row])
    assert read_journal(db) == ["request 1", "request 2"]
    assert len(caplog.records) == 1


async def test_a_cancelled_writer_leaves_no_waiter(db: Path) -> None:
    """The rows that it was writing are lost, and the next command is applied."""
    async with open_wallet(db) as (wallet, store):
        wallet.add_to_journal([await bet(wallet, 1, 1)])
        store.gate.clear()
        flushing = asyncio.ensure_future(wallet.flush_journal())
        await asyncio.sleep(0.01)
        assert wallet._batch_writer._task
        wallet._batch_writer._task.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
        store.gate.set()
        await asyncio.wait_for(bet(wallet, 1, 2), 30)
