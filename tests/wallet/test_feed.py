"""The live feed: everything that is committed, once and in order, and nobody waits for who reads it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from minwallet.ledger.commands import Bet
from minwallet.storage.base import Opening, Order
from minwallet.storage.sqlite import SqliteStore
from minwallet.storage.views import Filter
from minwallet.wallet import feed
from minwallet.wallet.feed import News, Polling, follow
from minwallet.wallet.service import Wallet

PLAYERS = 4

PATIENCE_S = 20


@asynccontextmanager
async def open_wallet(path: Path) -> AsyncIterator[Wallet]:
    store = await SqliteStore.open(path, create=True)
    wallet = Wallet(store)
    openings = [Opening("default", f"p{number}", "USD", 0, 0) for number in range(PLAYERS)]
    await store.open_accounts(openings, 0)
    yield wallet
    await wallet.drain()
    await store.close()


async def bet(wallet: Wallet, id_: int) -> None:
    player = 1 + id_ % PLAYERS
    await wallet.move(Order(Bet(f"{id_}", 0, f"{id_}"), "wallet-v2", player, None, ids_per_currency=True), player)


async def hear(wallet: Wallet, news: News | Polling, wanted: Filter, rows: int) -> list[str]:
    """The ids of the first so many rows that a reader hears of."""
    heard: list[str] = []
    async for more in follow(wallet.store, news, wanted, 0):
        heard += [row.entry.id for row in more.rows]
        if len(heard) >= rows:
            break
    return heard


def test_a_reader_misses_nothing(tmp_path: Path) -> None:
    """However the commits fall; the one that waits for news and the one that looks again and again."""

    async def story() -> None:
        async with open_wallet(tmp_path / "wallet.db") as wallet, asyncio.timeout(PATIENCE_S):
            readers = [
                asyncio.create_task(hear(wallet, wallet.news, Filter(), 300)),
                asyncio.create_task(hear(wallet, Polling(), Filter(), 300)),
                asyncio.create_task(hear(wallet, wallet.news, Filter(player_id="p1"), 75)),
            ]
            for start in range(0, 300, 10):
                await asyncio.gather(*(bet(wallet, start + number) for number in range(10)))
                await asyncio.sleep(0.001 * (start % 7))
            everything, again, some = await asyncio.gather(*readers)
            assert sorted(everything, key=int) == [str(number) for number in range(300)]
            assert again == everything
            assert some == [id_ for id_ in everything if int(id_) % PLAYERS == 1]

    asyncio.run(story())


def test_a_commit_between_looking_and_waiting_is_heard_at_once(tmp_path: Path) -> None:
    """A reader need not wait until the silence is over."""

    async def story() -> None:
        async with open_wallet(tmp_path / "wallet.db") as wallet, asyncio.timeout(feed.QUIET_S / 2):
            told = wallet.news.told
            await bet(wallet, 1)
            await wallet.news.wait(told)

    asyncio.run(story())


def test_who_falls_behind_goes_on_with_the_newest(tmp_path: Path) -> None:
    """And is told how many rows that cost."""

    async def story() -> None:
        async with open_wallet(tmp_path / "wallet.db") as wallet, asyncio.timeout(PATIENCE_S):
            for start in range(0, 400, 4):
                await asyncio.gather(*(bet(wallet, start + number) for number in range(4)))
            heard = await anext(follow(wallet.store, wallet.news, Filter(), 10, most_behind=300))
            assert (heard.missed, heard.rows[0].entry.seq, heard.seq) == (190, 201, 400)
            heard = await anext(follow(wallet.store, wallet.news, Filter(), 150, most_behind=300))
            assert (heard.missed, heard.rows[0].entry.seq) == (0, 151)

    asyncio.run(story())


def test_readers_are_let_go_when_the_news_are_over(tmp_path: Path) -> None:
    """Those who wait and those who come later."""

    async def story() -> None:
        async with open_wallet(tmp_path / "wallet.db") as wallet, asyncio.timeout(feed.QUIET_S / 2):
            has_heard = asyncio.Event()

            async def listen() -> None:
                async for _ in follow(wallet.store, wallet.news, Filter(), 0):
                    has_heard.set()

            await bet(wallet, 1)
            waiting = asyncio.create_task(listen())
            await has_heard.wait()
            wallet.news.end()
            await waiting
            await listen()

    asyncio.run(story())
