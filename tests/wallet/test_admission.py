"""Admission control: calls above a limit are rejected immediately."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from minwallet.ledger.commands import Balance, Bet, Command, Deposit
from minwallet.ledger.outcomes import Applied, BalanceShown, Outcome, Unauthenticated
from minwallet.storage.models import OPERATOR_PROTOCOL, AccountCommand, JournalRow, NewAccount
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.admission import MAX_IN_FLIGHT, MAX_PER_PLAYER
from minwallet.wallet.service import Unavailable, Wallet
from minwallet.wallet.sessions import build_new_session

pytestmark = pytest.mark.anyio

PLAYERS = 3 + MAX_IN_FLIGHT // MAX_PER_PLAYER


class GatedStore(SqliteStore):
    """The real store, which starts to write when the test allows it."""

    gate: asyncio.Event

    async def apply(
        self, orders: Sequence[AccountCommand], now_ms: int, journal: Sequence[JournalRow] = ()
    ) -> list[Outcome]:
        await self.gate.wait()
        return await super().apply(orders, now_ms, journal)


@asynccontextmanager
async def open_wallet(db: Path) -> AsyncIterator[tuple[Wallet, GatedStore]]:
    """Yield a wallet with some players."""
    store = await GatedStore.open(db, create=True)
    store.gate = asyncio.Event()
    session = [build_new_session(f"token{number}", None) for number in range(PLAYERS)]
    await store.accounts.create_accounts(
        [NewAccount("default", f"p{n}", "USD", 10_000, 0, session[n]) for n in range(PLAYERS)], 0
    )
    store.gate.set()
    async with Wallet(store) as wallet:
        for player in range(PLAYERS):
            await execute_for(wallet, player, Balance())
        try:
            yield wallet, store
        finally:
            store.gate.set()


def execute_for(wallet: Wallet, player: int, command: Command) -> Coroutine[None, None, Outcome | Unauthenticated]:
    async def run() -> Outcome | Unauthenticated:
        outcome, _ = await wallet.execute(f"token{player}", command, "wallet-v2", ids_per_currency=True)
        return outcome

    return run()


def start_bets(wallet: Wallet, player: int, number: int) -> list["asyncio.Task[Outcome | Unauthenticated]"]:
    ids = (str(player * 10_000 + turn) for turn in range(number))
    return [asyncio.create_task(execute_for(wallet, player, Bet(id_, 1, id_))) for id_ in ids]


async def count_outcomes(tasks: Sequence["asyncio.Task[Outcome | Unauthenticated]"]) -> Counter[str]:
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return Counter(type(each).__name__ for each in results)


async def test_one_player_cannot_use_up_the_capacity_of_others(db: Path) -> None:
    """A player's calls above MAX_PER_PLAYER are rejected immediately; other players are served. Later all are."""
    async with open_wallet(db) as (wallet, store):
        store.gate.clear()
        tasks = start_bets(wallet, 0, MAX_PER_PLAYER + 50)
        # The calls that are too many are answered while nothing at all is written.
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert await count_outcomes(list(done)) == {"Unavailable": 50}
        assert isinstance(await execute_for(wallet, 1, Balance()), BalanceShown)
        others = start_bets(wallet, 1, 5)
        deposit = asyncio.create_task(wallet.submit(AccountCommand(Deposit("r", 1), OPERATOR_PROTOCOL, 1), 1))
        store.gate.set()
        assert await count_outcomes(tasks) == {"Applied": MAX_PER_PLAYER, "Unavailable": 50}
        assert await count_outcomes(others) == {"Applied": 5}
        assert isinstance(await deposit, Applied)
        assert isinstance(await execute_for(wallet, 0, Bet("9999", 1, "9999")), Applied)
        assert len(wallet.locks) == 0


async def test_calls_above_the_total_limit_are_rejected(db: Path) -> None:
    """Calls of any player above MAX_IN_FLIGHT are rejected immediately; operations are not counted."""
    async with open_wallet(db) as (wallet, store):
        store.gate.clear()
        tasks = [task for player in range(PLAYERS) for task in start_bets(wallet, player, MAX_PER_PLAYER)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert await count_outcomes(list(done)) == {"Unavailable": len(tasks) - MAX_IN_FLIGHT}
        assert wallet.calls_in_flight == MAX_IN_FLIGHT
        refused = (await asyncio.gather(execute_for(wallet, 0, Balance()), return_exceptions=True))[0]
        assert isinstance(refused, Unavailable)
        deposit = asyncio.create_task(
            wallet.submit(AccountCommand(Deposit("r", 1), OPERATOR_PROTOCOL, PLAYERS), PLAYERS)
        )
        store.gate.set()
        assert await count_outcomes(tasks) == {"Applied": MAX_IN_FLIGHT, "Unavailable": len(tasks) - MAX_IN_FLIGHT}
        assert isinstance(await deposit, Applied)
        assert isinstance(await execute_for(wallet, 0, Balance()), BalanceShown)
        assert wallet.calls_in_flight == 0
