"""More calls than the wallet can take in hand: whoever is too many is told at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from minwallet.ledger.commands import Balance, Bet, Command, Deposit
from minwallet.ledger.outcomes import Applied, BalanceShown, Outcome, SessionUnknown
from minwallet.storage.models import OPERATOR_PROTOCOL, AccountCommand, NewAccount
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.crowd import MOST, MOST_OF_ONE
from minwallet.wallet.service import NotNow, Wallet
from minwallet.wallet.sessions import new_session

PLAYERS = 3 + MOST // MOST_OF_ONE


class SlowStore(SqliteStore):
    """The real store, which begins to write when a test says so."""

    gate: asyncio.Event

    async def apply(self, orders: Sequence[AccountCommand], now_ms: int) -> list[Outcome]:
        await self.gate.wait()
        return await super().apply(orders, now_ms)


@asynccontextmanager
async def wallet_at(db: Path) -> AsyncIterator[tuple[Wallet, SlowStore]]:
    """A wallet that knows its players."""
    store = await SlowStore.open(db, create=True)
    store.gate = asyncio.Event()
    session = [new_session(f"token{number}", None) for number in range(PLAYERS)]
    await store.create_accounts(
        [NewAccount("default", f"p{n}", "USD", 10_000, 0, session[n]) for n in range(PLAYERS)], 0
    )
    store.gate.set()
    async with Wallet(store) as wallet:
        for player in range(PLAYERS):
            await call(wallet, player, Balance())
        try:
            yield wallet, store
        finally:
            store.gate.set()


def call(wallet: Wallet, player: int, command: Command) -> Coroutine[None, None, Outcome | SessionUnknown]:
    async def run() -> Outcome | SessionUnknown:
        outcome, _ = await wallet.call(f"token{player}", command, "wallet-v2", ids_per_currency=True)
        return outcome

    return run()


def bets(wallet: Wallet, player: int, number: int) -> list["asyncio.Task[Outcome | SessionUnknown]"]:
    ids = (str(player * 10_000 + turn) for turn in range(number))
    return [asyncio.create_task(call(wallet, player, Bet(id_, 1, id_))) for id_ in ids]


async def settled(tasks: Sequence["asyncio.Task[Outcome | SessionUnknown]"]) -> Counter[str]:
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    return Counter(type(each).__name__ for each in ended)


def test_one_player_cannot_take_what_belongs_to_the_others(db: Path) -> None:
    """A player's calls beyond a number are unavailable at once, while others bet and ask; then all goes on."""

    async def run() -> None:
        async with wallet_at(db) as (wallet, store):
            store.gate.clear()
            tasks = bets(wallet, 0, MOST_OF_ONE + 50)
            # The calls that are too many are answered while nothing at all is written.
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            assert await settled(list(done)) == {"NotNow": 50}
            assert isinstance(await call(wallet, 1, Balance()), BalanceShown)
            others = bets(wallet, 1, 5)
            deposit = asyncio.create_task(wallet.move(AccountCommand(Deposit("r", 1), OPERATOR_PROTOCOL, 1), 1))
            store.gate.set()
            assert await settled(tasks) == {"Applied": MOST_OF_ONE, "NotNow": 50}
            assert await settled(others) == {"Applied": 5}
            assert isinstance(await deposit, Applied)
            assert isinstance(await call(wallet, 0, Bet("9999", 1, "9999")), Applied)
            assert len(wallet.locks) == 0

    asyncio.run(run())


def test_the_wallet_takes_so_many_calls_in_hand(db: Path) -> None:
    """Beyond that everybody's are unavailable at once; what the operator does is not counted."""

    async def run() -> None:
        async with wallet_at(db) as (wallet, store):
            store.gate.clear()
            tasks = [task for player in range(PLAYERS) for task in bets(wallet, player, MOST_OF_ONE)]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            assert await settled(list(done)) == {"NotNow": len(tasks) - MOST}
            assert wallet.calls_in_hand == MOST
            refused = (await asyncio.gather(call(wallet, 0, Balance()), return_exceptions=True))[0]
            assert isinstance(refused, NotNow)
            deposit = asyncio.create_task(
                wallet.move(AccountCommand(Deposit("r", 1), OPERATOR_PROTOCOL, PLAYERS), PLAYERS)
            )
            store.gate.set()
            assert await settled(tasks) == {"Applied": MOST, "NotNow": len(tasks) - MOST}
            assert isinstance(await deposit, Applied)
            assert isinstance(await call(wallet, 0, Balance()), BalanceShown)
            assert wallet.calls_in_hand == 0

    asyncio.run(run())
