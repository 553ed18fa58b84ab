"""What happened to the money, and whether it is all there."""

import asyncio
import json

from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from minwallet.operations import schemas, totals_aggregation
from minwallet.operations.requests import TransactionShow
from minwallet.operations.timestamps import format_date
from minwallet.operations.verify import verify_ledger
from minwallet.storage.queries import EntryPage, OwnedEntry
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


async def show_transaction(caller: Caller, asked: OneTransaction) -> schemas.JournaledTransactionResponse:
    """With the provider's request and the reply word for word, as long as they are kept; no token in them."""
    shown = await caller.perform(TransactionShow(seq=asked.seq), schemas.JournaledTransactionResponse)
    if caller.key.agent not in (None, shown["entry"]["agent"]):
        raise Problem(Cause.NOT_FOUND, f"there is no entry {asked.seq}")
    return shown


async def list_open_rounds(caller: Caller, asked: OpenRounds) -> OpenBetsShown:
    page = await caller.wallet.store.read_open_bets(asked.agent, asked.before, asked.limit)
    return OpenBetsShown(bets=_rows(page), next=page.next_seq)


async def show_totals(caller: Caller, asked: Totals) -> TotalsShown:
    wallet = caller.wallet
    await totals_aggregation.aggregate_newest(wallet.store)
    since, until, following = asked.days(wallet.clock_ms())
    found = await wallet.store.read_totals(since, until, asked.agent)
    return TotalsShown(
        totals=[schemas.build_total_response(heading, total) for heading, total in found],
        next=None if following is None else format_date(following),
    )


async def show_holdings(caller: Caller, asked: Nothing) -> HoldingsShown:
    """What all players hold, by currency, and whether all entries of the ledger come to the same."""
    del asked
    return HoldingsShown(
        holdings=[schemas.build_currency_balance(held) for held in await caller.wallet.store.read_currency_balances()]
    )


async def verify(caller: Caller, asked: Nothing) -> schemas.VerificationResult:
    """Recomputes every balance and the hash chain, which takes long for a long ledger. One caller at a time."""
    del asked
    if caller.api.verifying.locked():
        raise Problem(Cause.BUSY, "the ledger is being verified for somebody else; ask again when that has ended")
    async with caller.api.verifying:
        work = asyncio.create_task(verify_ledger(caller.wallet.store, batch_size=AT_ONCE, pause_s=REST_S))
        try:
            while not work.done():
                if await caller.http.is_disconnected():
                    raise ClientDisconnect
                if caller.wallet.commit_notifier.is_closed:
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


def _rows(page: EntryPage) -> list[schemas.OwnedTransactionResponse]:
    return [schemas.build_owned_transaction(row) for row in page.rows]


def _event(row: OwnedEntry) -> str:
    return json.dumps(schemas.build_owned_transaction(row))
