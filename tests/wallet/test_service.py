"""The wallet service over a real file: batches, cancelled callers, faults, drain."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast
from unittest.mock import Mock

import pytest

from minwallet.ledger.commands import Bet, MoneyCommand
from minwallet.ledger.outcomes import Applied, Outcome
from minwallet.operations.verify import verify_ledger
from minwallet.storage.errors import CommandFault, ConstraintViolation, OutcomeUnknown, StoreError
from minwallet.storage.models import AccountCommand, JournalRow, NewAccount
from minwallet.storage.sqlite import SqliteStore
from minwallet.storage.sqlite.connection import Connection
from minwallet.wallet.service import Wallet

pytestmark = pytest.mark.anyio

PLAYERS = 64

T = TypeVar("T")


class InstrumentedStore(SqliteStore):
    """The real store, which records its batches, can be paused, and can fail a commit."""

    def set_up(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.apply_started = asyncio.Event()
        self.fault: StoreError | None = None

    async def apply(
        self, orders: Sequence[AccountCommand], now_ms: int, journal: Sequence[JournalRow] = ()
    ) -> list[Outcome]:
        self.batches.append([order.account_id for order in orders])
        self.apply_started.set()
        await self.gate.wait()
        return await super().apply(orders, now_ms, journal)

    async def _run(self, writer: Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        if self.fault:
            raise self.fault
        return await super()._run(writer, work)


@asynccontextmanager
async def open_wallet(db: Path) -> AsyncIterator[tuple[Wallet, InstrumentedStore]]:
    """Yield a wallet with 64 players of one account each, and verify its ledger at the end."""
    store = await InstrumentedStore.open(db, create=True)
    store.set_up()
    await store.accounts.create_accounts([NewAccount("default", f"p{n}", "USD", 1000, 0) for n in range(PLAYERS)], 0)
    wallet = Wallet(store)
    try:
        yield wallet, store
        assert (await verify_ledger(store, lambda _done, _total: None))["problems"] == []
    finally:
        await store.close()


def build_command(player: int, command: MoneyCommand) -> AccountCommand:
    return AccountCommand(command, "wallet-v2", player, None, True)


def build_bet(player: int, id_: int, stake: int = 10) -> AccountCommand:
    return build_command(player, Bet(str(id_), stake, str(id_)))


async def test_many_players_share_a_commit(db: Path) -> None:
    """The next batch collects while one is written, and no batch has two commands of one player."""
    async with open_wallet(db) as (wallet, store):
        moves = [
            wallet.submit(build_bet(player, player * 10 + turn), player)
            for turn in range(3)
            for player in range(1, PLAYERS + 1)
        ]
        outcomes = await asyncio.gather(*moves)
        assert all(isinstance(outcome, Applied) for outcome in outcomes)
        assert all(len(set(batch)) == len(batch) for batch in store.batches)
        assert sum(map(len, store.batches)) == 3 * PLAYERS
        assert len(store.batches) < PLAYERS
        assert len(wallet.locks) == 0


async def test_the_lock_is_held_until_the_commit_even_if_the_caller_has_gone(db: Path) -> None:
    """A caller that is cancelled in the middle changes nothing: the order is applied, and only then the next begins."""
    async with open_wallet(db) as (wallet, store):
        store.gate.clear()
        gone = asyncio.ensure_future(wallet.submit(build_bet(1, 1), 1))
        await store.apply_started.wait()
        gone.cancel()
        next_ = asyncio.ensure_future(wallet.submit(build_bet(1, 2), 1))
        await asyncio.wait([gone])
        assert gone.cancelled()
        assert store.batches == [[1]]
        store.gate.set()
        outcome = await next_
        assert isinstance(outcome, Applied)
        assert (outcome.cash, store.batches) == (980, [[1], [1]])


async def test_a_failed_command_does_not_fail_its_batch(db: Path) -> None:
    """A batch that the file refuses is tried again in halves; only the order that the file refuses fails."""
    async with open_wallet(db) as (wallet, store):
        with sqlite3.connect(db, isolation_level=None) as other:
            other.execute(
                "CREATE TRIGGER a_bug BEFORE INSERT ON transactions WHEN new.id = '666'"
                " BEGIN SELECT RAISE(ABORT, 'a bug'); END"
            )
        other.close()
        moves = [wallet.submit(build_bet(player, 663 + player), player) for player in range(1, 9)]
        outcomes = await asyncio.gather(*moves, return_exceptions=True)
        assert [isinstance(outcome, ConstraintViolation) for outcome in outcomes] == [n == 3 for n in range(1, 9)]
        assert all(isinstance(outcome, Applied) for n, outcome in enumerate(outcomes, 1) if n != 3)
        assert store.batches[0] == list(range(1, 9))
        assert len(wallet.locks) == 0


async def test_an_exception_of_one_command_does_not_fail_its_batch(db: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The batch is halved until the faulty command is alone, which is logged with its traceback."""
    async with open_wallet(db) as (wallet, store):
        faulty = build_command(5, cast(MoneyCommand, object()))
        moves = [wallet.submit(faulty if n == 5 else build_bet(n, n), n) for n in range(1, PLAYERS + 1)]
        outcomes = await asyncio.wait_for(asyncio.gather(*moves, return_exceptions=True), 30)
        assert [n for n, outcome in enumerate(outcomes, 1) if not isinstance(outcome, Applied)] == [5]
        assert isinstance(outcomes[4], CommandFault)
        assert len(store.batches) == 1 + 2 * 6, "64 commands are halved six times"
        assert len(wallet.locks) == 0
    (record,) = caplog.records
    assert "please report this traceback" in record.message
    assert record.exc_info


async def test_a_bug_after_the_commit_costs_nothing(
    db: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in a callback of the batch is logged, and all callers get their outcomes."""
    async with open_wallet(db) as (wallet, _):
        monkeypatch.setattr(wallet.commit_notifier, "notify", Mock(side_effect=KeyError("no feed")))
        writer = wallet._batch_writer
        moves = [writer.submit(build_bet(n, n), Mock(side_effect=KeyError("no lock"))) for n in range(1, 4)]
        outcomes = await asyncio.wait_for(asyncio.gather(*moves), 30)
        assert all(isinstance(outcome, Applied) for outcome in outcomes)
    assert len(caplog.records) == 4


async def test_a_cancelled_writer_leaves_no_waiter_and_no_lock(db: Path) -> None:
    """The outcome of the batch that is being written is unknown; commands that wait behind it fail."""
    async with open_wallet(db) as (wallet, store):
        store.gate.clear()
        moves = [asyncio.ensure_future(wallet.submit(build_bet(1, 1), 1))]
        await store.apply_started.wait()
        moves.append(asyncio.ensure_future(wallet.submit(build_bet(2, 2), 2)))
        await asyncio.sleep(0)
        assert wallet._batch_writer._task
        wallet._batch_writer._task.cancel()
        written, waiting = await asyncio.wait_for(asyncio.gather(*moves, return_exceptions=True), 30)
        assert isinstance(written, OutcomeUnknown)
        assert isinstance(waiting, StoreError)
        assert len(wallet.locks) == 0
        store.gate.set()
        assert isinstance(await wallet.submit(build_bet(2, 2), 2), Applied)


async def test_an_unknown_outcome_stops_the_writer(db: Path) -> None:
    """After a failed commit nothing more is written, every caller gets the error, and on_failure is called once."""
    async with open_wallet(db) as (wallet, store):
        told: list[str] = []
        store.on_failure(lambda: told.append("stop"))
        store.fault = OutcomeUnknown("the disk is gone")
        with pytest.raises(OutcomeUnknown):
            await wallet.submit(build_bet(1, 1), 1)
        store.fault = None
        with pytest.raises(OutcomeUnknown):
            await wallet.submit(build_bet(2, 2), 2)
        assert told == ["stop"]
        assert str(store.failure) == "the disk is gone"
        assert len(wallet.locks) == 0


async def test_an_unknown_outcome_of_the_operator_stops_the_writer_too(db: Path) -> None:
    """The file may contain rows that no caller has an answer for, so nothing more is written."""
    async with open_wallet(db) as (wallet, store):
        store.fault = OutcomeUnknown("the disk is gone")
        with pytest.raises(OutcomeUnknown):
            await store.accounts.create_accounts([NewAccount("default", "ghost", "USD", 500, 0)], 0)
        store.fault = None
        with pytest.raises(OutcomeUnknown):
            await wallet.submit(build_bet(1, 1), 1)


async def test_an_error_before_the_commit_fails_only_its_batch(db: Path) -> None:
    """A store that fails once fails those callers; the next ones are served."""
    async with open_wallet(db) as (wallet, store):
        store.fault = StoreError("no room")
        with pytest.raises(StoreError, match="no room"):
            await wallet.submit(build_bet(1, 1), 1)
        store.fault = None
        assert isinstance(await wallet.submit(build_bet(1, 1), 1), Applied)
        assert store.failure is None


async def test_drain_waits_for_every_submitted_command(db: Path) -> None:
    """A stopping server decides every submitted command, including those that wait for a player's lock."""
    async with open_wallet(db) as (wallet, store):
        store.gate.clear()
        moves = [asyncio.ensure_future(wallet.submit(build_bet(1, n), 1)) for n in range(5)]
        await store.apply_started.wait()
        draining = asyncio.ensure_future(wallet.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        store.gate.set()
        await draining
        assert all(isinstance(move.result(), Applied) for move in moves)
