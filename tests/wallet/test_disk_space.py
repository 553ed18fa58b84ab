"""Low disk space: new bets are rejected, all other commands are applied."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from minwallet.ledger.commands import (
    Balance,
    Bet,
    BetWin,
    Cancel,
    Command,
    Deposit,
    EndRound,
    Group,
    Rollback,
    RollbackRound,
    Settle,
    Win,
)
from minwallet.ledger.entries import Refusal
from minwallet.ledger.outcomes import Applied, BalanceShown, GroupApplied, Outcome, Refused, Replayed, Unauthenticated
from minwallet.storage.errors import DiskFull
from minwallet.storage.models import OPERATOR_PROTOCOL, AccountCommand, NewAccount
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.service import Unavailable, Wallet
from minwallet.wallet.sessions import build_new_session

pytestmark = pytest.mark.anyio

TOKEN = "token_of_ann"
MIN_FREE_BYTES = 1000

ExecuteCommand = Callable[[str, Command], Awaitable[Outcome | Unauthenticated]]


class LimitedDiskStore(SqliteStore):
    """The real store, with simulated free space."""

    simulated_free_bytes: int | None = MIN_FREE_BYTES

    async def read_free_bytes(self) -> int | None:
        return self.simulated_free_bytes


@asynccontextmanager
async def open_wallet(db: Path) -> AsyncIterator[tuple[Wallet, LimitedDiskStore, ExecuteCommand]]:
    """A wallet in which ann has 1.00, its store, and her calls."""
    store = await LimitedDiskStore.open(db, create=True)
    session = build_new_session(TOKEN, None)
    await store.accounts.create_accounts([NewAccount("default", "ann", "USD", 100, 0, session)], 0)
    async with Wallet(store, min_free_bytes=MIN_FREE_BYTES) as wallet:

        async def call(protocol: str, command: Command) -> Outcome | Unauthenticated:
            outcome, _ = await wallet.execute(TOKEN, command, protocol, ids_per_currency=protocol == "wallet-v2")
            return outcome

        yield wallet, store, call


async def test_new_bets_are_rejected_while_space_is_low(db: Path) -> None:
    """Nothing is written of them, and they are accepted when there is space again."""
    async with open_wallet(db) as (wallet, store, call):
        store.simulated_free_bytes = MIN_FREE_BYTES - 1
        await wallet.disk_space.check()
        rows = await store.ledger.count_entries()
        for protocol, command in (
            ("wallet-v2", Bet("1", 10, "1")),
            ("wallet-v2", Bet("2", 1000, "2")),
            ("vela", Bet("1", 10, "1")),
            ("vela", BetWin("2", 10, 20)),
            ("wallet-v2", Group((Win("8", 5), Bet("9", 10, "9")))),
        ):
            with pytest.raises(Unavailable, match="new bets are rejected"):
                await call(protocol, command)
        assert await store.ledger.count_entries() == rows
        store.simulated_free_bytes = MIN_FREE_BYTES
        await wallet.disk_space.check()
        assert isinstance(await call("wallet-v2", Bet("1", 10, "1")), Applied)


async def test_all_other_commands_are_applied_while_space_is_low(db: Path) -> None:
    """Queries, wins, results, cancels, refunds and the operator's transfers."""
    async with open_wallet(db) as (wallet, store, call):
        await call("wallet-v2", Bet("1", 10, "1"))
        await call("wallet-v2", Bet("2", 10, "2"))
        await call("vela", Bet("1", 10, "1"))
        await call("vela", Bet("2", 10, "2"))
        store.simulated_free_bytes = 0
        await wallet.disk_space.check()
        assert isinstance(await call("wallet-v2", Balance()), BalanceShown)
        for protocol, command in (
            ("wallet-v2", Win("3", 30, "1")),
            ("wallet-v2", Cancel("2")),
            ("wallet-v2", Cancel("4")),
            ("vela", Settle("1", 5)),
            ("vela", Cancel("2")),
            ("vela", Rollback("9", "77")),
            ("vela", RollbackRound("8", "1")),
            ("vela", EndRound("7", "7")),
        ):
            assert isinstance(await call(protocol, command), Applied), command
        wins = Group((Win("5", 1), Win("6", 1)))
        assert isinstance(await call("wallet-v2", wins), GroupApplied)
        assert isinstance(await wallet.submit(AccountCommand(Deposit("r", 5), OPERATOR_PROTOCOL, 1), 1), Applied)


async def test_a_decided_bet_is_replayed_while_space_is_low(db: Path) -> None:
    """A repeated bet gets its first outcome; one that reuses an id is refused as ID_TAKEN."""
    async with open_wallet(db) as (wallet, store, call):
        await call("wallet-v2", Bet("1", 10, "1"))
        await call("wallet-v2", Bet("2", 1000, "2"))
        await call("wallet-v2", Cancel("3"))
        store.simulated_free_bytes = 0
        await wallet.disk_space.check()
        repeated = await call("wallet-v2", Bet("1", 10, "1"))
        assert isinstance(repeated, Replayed)
        assert (repeated.entry.cash_after, repeated.cash) == (90, 90)
        for command, refusal in (
            (Bet("2", 1000, "2"), Refusal.INSUFFICIENT_FUNDS),
            (Bet("1", 11, "1"), Refusal.ID_TAKEN),
            (Bet("3", 10, "3"), Refusal.CANCELLED),
        ):
            assert await call("wallet-v2", command) == Refused(refusal, 90, 0)


async def test_a_decided_group_is_replayed_while_space_is_low(db: Path) -> None:
    """A group with a bet is like a bet: its retry is answered, and one with a new bet is rejected as a whole."""
    async with open_wallet(db) as (wallet, store, call):
        group = Group((Bet("1", 10, "1"), Win("2", 5, "1")))
        first = await call("wallet-v2", group)
        assert isinstance(first, GroupApplied)
        store.simulated_free_bytes = 0
        await wallet.disk_space.check()
        again = await call("wallet-v2", group)
        assert isinstance(again, GroupApplied)
        assert all(isinstance(each, Replayed) for each in again.outcomes)
        with pytest.raises(Unavailable):
            await call("wallet-v2", Group((Win("3", 5), *group.commands, Bet("4", 1, "4"))))


async def test_a_shortage_is_logged_once(db: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log has its begin and its end, not every call or check."""
    caplog.set_level(logging.WARNING)
    async with open_wallet(db) as (wallet, store, call):
        for free_bytes in (0, 1, 0, MIN_FREE_BYTES, None, MIN_FREE_BYTES, 2):
            store.simulated_free_bytes = free_bytes
            await wallet.disk_space.check()
            if wallet.disk_space.shortage:
                with pytest.raises(Unavailable):
                    await call("wallet-v2", Bet("1", 10, "1"))

    said = [record.getMessage().partition(":")[0] for record in caplog.records]
    short = "the disk of the wallet file has 0 MB left, less than MINWALLET_MIN_FREE_MB (0)"
    assert said == [short, "the disk of the wallet file has enough free space again; new bets are accepted", short]


async def test_a_failed_write_stops_new_bets_immediately(db: Path) -> None:
    """The last measurement does not matter: bets are rejected until the next check finds space."""
    async with open_wallet(db) as (wallet, store, call):
        writer = store._writer
        assert writer

        def limit(pages: int) -> Awaitable[object]:
            return writer.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())

        async def pay_until_full() -> None:
            for number in range(1000):
                await call("wallet-v2", Win(str(number), 0, game="x" * 64))

        await limit(1)
        with pytest.raises(DiskFull, match="full"):
            await pay_until_full()
        assert "full" in wallet.disk_space.shortage
        with pytest.raises(Unavailable):
            await call("wallet-v2", Bet("2000", 1, "2000"))
        await limit(10_000)
        await wallet.disk_space.check()
        assert isinstance(await call("wallet-v2", Bet("2000", 1, "2000")), Applied)
