"""The live feed: every committed row once and in order, and subscribers never delay a commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from minwallet.ledger.commands import Bet
from minwallet.storage.models import AccountCommand, NewAccount
from minwallet.storage.queries import EntryPage, Filter
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet import feed
from minwallet.wallet.feed import FeedBatch, PollingNotifier, follow
from minwallet.wallet.service import Wallet

pytestmark = pytest.mark.anyio

PLAYERS = 4

TIMEOUT_S = 20


@asynccontextmanager
async def open_wallet(path: Path) -> AsyncIterator[Wallet]:
    async with Wallet(await SqliteStore.open(path, create=True)) as wallet:
        openings = [NewAccount("default", f"p{number}", "USD", 0, 0) for number in range(PLAYERS)]
        await wallet.store.accounts.create_accounts(openings, 0)
        yield wallet


async def bet(wallet: Wallet, id_: int) -> None:
    player = 1 + id_ % PLAYERS
    await wallet.submit(
        AccountCommand(Bet(f"{id_}", 0, f"{id_}"), "wallet-v2", player, None, ids_per_currency=True), player
    )


async def collect_ids(batches: AsyncIterator[FeedBatch], rows: int) -> list[str]:
    """Return the ids of the first `rows` rows that a subscriber gets."""
    ids: list[str] = []
    async for batch in batches:
        assert batch.missed == 0
        ids += [row.entry.id for row in batch.rows]
        if len(ids) >= rows:
            break
    return ids


async def test_a_subscriber_misses_nothing(tmp_path: Path) -> None:
    """This holds for notified and for polling subscribers, however the rows are batched."""
    async with open_wallet(tmp_path / "wallet.db") as wallet, asyncio.timeout(TIMEOUT_S):
        readers = [
            asyncio.create_task(collect_ids(wallet.feed.subscribe(Filter(), 0), 300)),
            asyncio.create_task(collect_ids(follow(wallet.store, PollingNotifier(), Filter(), 0), 300)),
            asyncio.create_task(collect_ids(wallet.feed.subscribe(Filter(player_id="p1"), 0), 75)),
        ]
        for start in range(0, 300, 10):
            await asyncio.gather(*(bet(wallet, start + number) for number in range(10)))
            await asyncio.sleep(0.001 * (start % 7))
        everything, again, some = await asyncio.gather(*readers)
        assert sorted(everything, key=int) == [str(number) for number in range(300)]
        assert again == everything
        assert some == [id_ for id_ in everything if int(id_) % PLAYERS == 1]


async def test_a_commit_between_reading_and_waiting_is_noticed_immediately(tmp_path: Path) -> None:
    """A commit ends the wait before the heartbeat."""
    async with open_wallet(tmp_path / "wallet.db") as wallet, asyncio.timeout(feed.HEARTBEAT_S / 2):
        told = wallet.commit_notifier.version
        await bet(wallet, 1)
        await wallet.commit_notifier.wait(told)


async def test_a_returning_subscriber_misses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only matching rows count. A subscriber that comes back late gets the number of missed rows."""
    async with open_wallet(tmp_path / "wallet.db") as wallet, asyncio.timeout(TIMEOUT_S):
        for start in range(0, feed.BATCH_SIZE + 20, 4):
            await asyncio.gather(*(bet(wallet, start + number) for number in range(4)))
        newest = feed.BATCH_SIZE + 20
        async with aclosing(wallet.feed.subscribe(Filter(), newest - 5)) as near:
            heard = await anext(near)
            assert (heard.missed, [row.entry.seq for row in heard.rows]) == (0, [*range(newest - 4, newest + 1)])
            async with aclosing(wallet.feed.subscribe(Filter(), 10)) as far:
                first, second = await anext(far), await anext(far)
            assert (first.missed, len(first.rows), first.seq) == (0, feed.BATCH_SIZE, 10 + feed.BATCH_SIZE)
            assert (second.missed, [row.entry.seq for row in second.rows]) == (
                0,
                [*range(first.seq + 1, newest + 1)],
            )
            async with aclosing(wallet.feed.subscribe(Filter(player_id="p2"), 0)) as some:
                heard = await anext(some)
            assert (heard.missed, len(heard.rows), heard.seq) == (0, newest // PLAYERS, newest)
            async with aclosing(wallet.feed.subscribe(Filter(), 20, max_rows=3)) as few:
                heard = await anext(few)
            assert (heard.missed, len(heard.rows), heard.seq) == (feed.BATCH_SIZE - 3, 3, newest)
            monkeypatch.setattr(feed, "MAX_BACKLOG", 50)
            async with aclosing(wallet.feed.subscribe(Filter(), 10)) as beyond:
                heard = await anext(beyond)
            assert (heard.missed, heard.rows[0].entry.seq, heard.seq) == (newest - 60, newest - 49, newest)


async def test_the_file_is_read_once_for_all_subscribers(tmp_path: Path) -> None:
    """50 subscribers cause hardly more reads than one; without subscribers nothing is read."""
    async with open_wallet(tmp_path / "wallet.db") as wallet, asyncio.timeout(TIMEOUT_S):
        reads = 0
        read_entries_after = wallet.store.ledger.read_entries_after

        async def counted(entry_filter: Filter, after: int, limit: int) -> EntryPage:
            nonlocal reads
            reads += 1
            return await read_entries_after(entry_filter, after, limit)

        wallet.store.ledger.read_entries_after = counted  # type: ignore[method-assign]  # to count them
        readers = [wallet.feed.subscribe(Filter(), 0) for _ in range(50)]
        await bet(wallet, 0)
        await asyncio.gather(*(collect_ids(reader, 1) for reader in readers))
        reads = 0
        hearing = [asyncio.create_task(collect_ids(reader, 39)) for reader in readers]
        for number in range(1, 40):
            await bet(wallet, number)
        heard = await asyncio.gather(*hearing)
        assert all(each == heard[0] for each in heard)
        assert reads < 40
        for reader in readers:
            await reader.aclose()
        while wallet.feed._reader_task is None or not wallet.feed._reader_task.done():
            await wallet.commit_notifier.wait(wallet.commit_notifier.version)
        reads = 0
        await bet(wallet, 41)
        assert (wallet.feed._subscriptions, reads) == (0, 0)


async def test_subscribers_end_when_the_notifier_is_closed(tmp_path: Path) -> None:
    """This ends waiting and later subscriptions."""
    async with open_wallet(tmp_path / "wallet.db") as wallet, asyncio.timeout(feed.HEARTBEAT_S / 2):
        has_heard = asyncio.Event()

        async def listen() -> None:
            async for _ in wallet.feed.subscribe(Filter(), 0):
                has_heard.set()

        await bet(wallet, 1)
        waiting = asyncio.create_task(listen())
        await has_heard.wait()
        wallet.commit_notifier.close()
        await waiting
        await listen()
