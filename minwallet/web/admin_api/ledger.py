"""What happened to the money, and whether it is all there."""

import asyncio
import json

from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from minwallet.storage.queries import EntryPage, OwnedEntry
from minwallet.wallet import desk, documents, totals
from minwallet.wallet.requests import RecordedShow
from minwallet.web import feed
from minwallet.web.admin_api.bearer import find_key
from minwallet.web.admin_api.operation import Caller
from minwallet.web.admin_api.problems import Cause, Problem
from minwallet.web.admin_api.shapes import (
    HealthShown,
    HoldingsShown,
    Nothing,
    OneTransaction,
    OpenBetsShown,
    OpenRounds,
    Totals,
    TotalsShown,
    Transactions,
    TransactionsShown,
    Wanted,
)

AT_ONCE, REST_S = 100, 0.002
"""How many rows are verified before calls have their turn, which is about a ms, and for how long they have it."""

ASKED_EVERY_S = 1


async def list_transactions(caller: Caller, asked: Transactions) -> TransactionsShown:
    page = await caller.wallet.store.read_page(asked.filter(), asked.before, asked.limit)
    return TransactionsShown(transactions=_rows(page), next=page.next_seq)


async def show_transaction(caller: Caller, asked: OneTransaction) -> documents.RecordedTransaction:
    """With the provider's request and the reply word for word, as long as they are kept; no token in them."""
    shown = await caller.perform(RecordedShow(seq=asked.seq), documents.RecordedTransaction)
    if caller.key.agent not in (None, shown["entry"]["agent"]):
        raise Problem(Cause.NOT_FOUND, f"there is no entry {asked.seq}")
    return shown


async def list_open_rounds(caller: Caller, asked: OpenRounds) -> OpenBetsShown:
    page = await caller.wallet.store.read_open_bets(asked.agent, asked.before, asked.limit)
    return OpenBetsShown(bets=_rows(page), next=page.next_seq)


async def show_totals(caller: Caller, asked: Totals) -> TotalsShown:
    wallet = caller.wallet
    await totals.catch_up(wallet.store)
    since, until, following = asked.days(wallet.clock_ms())
    found = await wallet.store.read_totals(since, until, asked.agent)
    return TotalsShown(
        totals=[documents.total(heading, total) for heading, total in found],
        next=None if following is None else documents.day_text(following),
    )


async def show_holdings(caller: Caller, asked: Nothing) -> HoldingsShown:
    """What all players hold, by currency, and whether all entries of the ledger come to the same."""
    del asked
    return HoldingsShown(
        holdings=[documents.holding(held) for held in await caller.wallet.store.read_currency_balances()]
    )


async def verify(caller: Caller, asked: Nothing) -> documents.Verified:
    """Recomputes every balance and the hash chain, which takes long for a long ledger. One caller at a time."""
    del asked
    if caller.api.verifying.locked():
        raise Problem(Cause.BUSY, "the ledger is being verified for somebody else; ask again when that has ended")
    async with caller.api.verifying:
        work = asyncio.create_task(desk.verify(caller.wallet.store, at_once=AT_ONCE, rest_s=REST_S))
        try:
            while not work.done():
                if await caller.http.is_disconnected():
                    raise ClientDisconnect
                if caller.wallet.news.is_over:
                    raise Problem(Cause.UNAVAILABLE, "the server is about to stop")
                await asyncio.wait({work}, timeout=ASKED_EVERY_S)
        finally:
            work.cancel()
        return work.result()


async def show_health(caller: Caller, asked: Nothing) -> HealthShown:
    """Whether the wallet can take money, and how large things have become."""
    del asked
    health = caller.api.examine()
    return HealthShown(
        ready=health.is_ready,
        reasons=list(health.reasons),
        version=health.version,
        sqlite=health.sqlite_version,
        has_reset_bug=health.has_reset_bug,
        file_bytes=health.file_bytes,
        wal_bytes=health.wal_bytes,
        free_bytes=health.free_bytes,
        uptime_s=health.uptime_s,
    )


async def follow(caller: Caller, asked: Wanted) -> Response:
    """Every transaction as an event `transaction` once it is committed, as in a page of transactions. A reader that
    comes again with `Last-Event-ID` goes on where it was, among the newest 20,000 of the ledger. Whoever is too slow
    for it, or comes later than that, gets an event `missed` with the number of transactions of the ledger that were
    passed over, whosoever they were. A key may have ten readers, and all together fifty.
    """

    async def is_good() -> bool:
        return await find_key(caller.wallet.store, caller.http) is not None

    reader = f"key {caller.key.name}"
    response = await feed.stream(caller.wallet, caller.http, asked.filter(), _event, reader=reader, may_read=is_good)
    if not isinstance(response, StreamingResponse):
        raise Problem(Cause.TOO_MANY, headers={"retry-after": "10"})
    return response


def _rows(page: EntryPage) -> list[documents.OwnedTransaction]:
    return [documents.owned_transaction(row) for row in page.rows]


def _event(row: OwnedEntry) -> str:
    return json.dumps(documents.owned_transaction(row))
