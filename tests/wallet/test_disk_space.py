"""A disk that runs low: new bets wait, everything else goes on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from minwallet.ledger.commands import Balance, Bet, BetWin, Cancel, Command, Deposit, Settle, Win
from minwallet.ledger.entries import Refusal
from minwallet.ledger.outcomes import Applied, BalanceShown, Outcome, Refused, Replayed, SessionUnknown
from minwallet.storage.errors import DiskFull
from minwallet.storage.models import OPERATOR_PROTOCOL, AccountCommand, NewAccount
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.service import Unavailable, Wallet
from minwallet.wallet.sessions import build_new_session

TOKEN = "token_of_ann"
MIN_FREE_BYTES = 1000

ExecuteCommand = Callable[[str, Command], Awaitable[Outcome | SessionUnknown]]


class LimitedDiskStore(SqliteStore):
    """The real store on a disk that has as much room as a test says."""

    simulated_free_bytes: int | None = MIN_FREE_BYTES

    async def read_free_bytes(self) -> int | None:
        return self.simulated_free_bytes


def run_with_wallet(db: Path, scenario: Callable[[Wallet, LimitedDiskStore, ExecuteCommand], Awaitable[None]]) -> None:
    """Play the story with a wallet in which ann has 1.00."""

    async def run() -> None:
        store = await LimitedDiskStore.open(db, create=True)
        await store.accounts.create_accounts(
            [NewAccount("default", "ann", "USD", 100, 0, build_new_session(TOKEN, None))], 0
        )
        async with Wallet(store, min_free_bytes=MIN_FREE_BYTES) as wallet:

            async def call(protocol: str, command: Command) -> Outcome | SessionUnknown:
                outcome, _ = await wallet.execute(TOKEN, command, protocol, ids_per_currency=protocol == "wallet-v2")
                return outcome

            await scenario(wallet, store, call)

    asyncio.run(run())


def test_new_bets_are_rejected_while_space_is_low(db: Path) -> None:
    """They are neither taken nor refused: nothing is written of them, and when there is room again they are taken."""

    async def scenario(wallet: Wallet, store: LimitedDiskStore, call: ExecuteCommand) -> None:
        store.simulated_free_bytes = MIN_FREE_BYTES - 1
        await wallet.disk_space.check()
        rows = await store.ledger.count_entries()
        for protocol, command in (
            ("wallet-v2", Bet("1", 10, "1")),
            ("wallet-v2", Bet("2", 1000, "2")),
            ("vela", Bet("1", 10, "1")),
            ("vela", BetWin("2", 10, 20)),
        ):
            with pytest.raises(Unavailable, match="new bets are not taken"):
                await call(protocol, command)
        assert await store.ledger.count_entries() == rows
        store.simulated_free_bytes = MIN_FREE_BYTES
        await wallet.disk_space.check()
        assert isinstance(await call("wallet-v2", Bet("1", 10, "1")), Applied)

    run_with_wallet(db, scenario)


def test_all_other_commands_are_applied_while_space_is_low(db: Path) -> None:
    """Questions, wins, results, cancels, refunds, and what the operator does."""

    async def scenario(wallet: Wallet, store: LimitedDiskStore, call: ExecuteCommand) -> None:
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
        ):
            assert isinstance(await call(protocol, command), Applied)
        assert isinstance(await wallet.submit(AccountCommand(Deposit("r", 5), OPERATOR_PROTOCOL, 1), 1), Applied)

    run_with_wallet(db, scenario)


def test_a_decided_bet_is_replayed_while_space_is_low(db: Path) -> None:
    """A repeated bet succeeds, or is refused as it was; one that reuses an id is told so."""

    async def scenario(wallet: Wallet, store: LimitedDiskStore, call: ExecuteCommand) -> None:
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

    run_with_wallet(db, scenario)


def test_a_shortage_is_logged_once(db: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the log: when it begins and when it ends, not for every call nor for every look."""

    async def scenario(wallet: Wallet, store: LimitedDiskStore, call: ExecuteCommand) -> None:
        for free_bytes in (0, 1, 0, MIN_FREE_BYTES, None, MIN_FREE_BYTES, 2):
            store.simulated_free_bytes = free_bytes
            await wallet.disk_space.check()
            if wallet.disk_space.shortage:
                with pytest.raises(Unavailable):
                    await call("wallet-v2", Bet("1", 10, "1"))

    with caplog.at_level(logging.WARNING):
        run_with_wallet(db, scenario)
    said = [record.getMessage().partition(":")[0] for record in caplog.records]
    short = "the disk of the wallet file has 0 MB left, and MINWALLET_MIN_FREE_MB wants 0"
    assert said == [short, "there is room on the disk of the wallet file again; new bets are taken", short]


def test_a_failed_write_stops_new_bets_immediately(db: Path) -> None:
    """Whatever was measured last; its batch is void, and bets wait until the next look finds room."""

    async def scenario(wallet: Wallet, store: LimitedDiskStore, call: ExecuteCommand) -> None:
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

    run_with_wallet(db, scenario)
