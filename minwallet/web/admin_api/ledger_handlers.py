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
from minwallet.web import sse
from minwallet.web.admin_api.api_schemas import (
    HealthResponse,
    HoldingsResponse,
    NoParameters,
    OpenBetsRequest,
    OpenBetsResponse,
    TotalsRequest,
    TotalsResponse,
    TransactionFilter,
    TransactionPageRequest,
    TransactionRequest,
    TransactionsResponse,
)
from minwallet.web.admin_api.authentication import find_api_key
from minwallet.web.admin_api.operation import Caller
from minwallet.web.admin_api.problems import Problem, ProblemType

VERIFY_BATCH_SIZE, VERIFY_PAUSE_S = 100, 0.002
"""How many rows are verified before calls have their turn, which is about a ms, and for how long they have it."""

DISCONNECT_CHECK_INTERVAL_S = 1


async def list_transactions(caller: Caller, params: TransactionPageRequest) -> TransactionsResponse:
    page = await caller.wallet.store.ledger.read_page(params.to_filter(), params.before, params.limit)
    return TransactionsResponse(transactions=_render_transactions(page), next=page.next_seq)


async def show_transaction(caller: Caller, params: TransactionRequest) -> schemas.JournaledTransactionResponse:
    """With the provider's request and the reply word for word, as long as they are kept; no token in them."""
    shown = await caller.execute(TransactionShow(seq=params.seq), schemas.JournaledTransactionResponse)
    if caller.key.agent not in (None, shown["entry"]["agent"]):
        raise Problem(ProblemType.NOT_FOUND, f"there is no entry {params.seq}")
    return shown


async def list_open_rounds(caller: Caller, params: OpenBetsRequest) -> OpenBetsResponse:
    page = await caller.wallet.store.ledger.read_open_bets(params.agent, params.before, params.limit)
    return OpenBetsResponse(bets=_render_transactions(page), next=page.next_seq)


async def show_totals(caller: Caller, params: TotalsRequest) -> TotalsResponse:
    wallet = caller.wallet
    await totals_aggregation.aggregate_newest(wallet.store)
    since, until, next_day = params.resolve_days(wallet.clock_ms())
    totals_rows = await wallet.store.totals.read_totals(since, until, params.agent)
    return TotalsResponse(
        totals=[schemas.build_total_response(heading, total) for heading, total in totals_rows],
        next=None if next_day is None else format_date(next_day),
    )


async def show_holdings(caller: Caller, params: NoParameters) -> HoldingsResponse:
    """What all players hold, by currency, and whether all entries of the ledger come to the same."""
    del params
    return HoldingsResponse(
        holdings=[
            schemas.build_currency_balance(held) for held in await caller.wallet.store.totals.read_currency_balances()
        ]
    )


async def verify(caller: Caller, params: NoParameters) -> schemas.VerificationResult:
    """Recomputes every balance and the hash chain, which takes long for a long ledger. One caller at a time."""
    del params
    if caller.api.verify_lock.locked():
        raise Problem(ProblemType.BUSY, "the ledger is being verified for somebody else; ask again when that has ended")
    async with caller.api.verify_lock:
        work = asyncio.create_task(
            verify_ledger(caller.wallet.store, batch_size=VERIFY_BATCH_SIZE, pause_s=VERIFY_PAUSE_S)
        )
        try:
            while not work.done():
                if await caller.http.is_disconnected():
                    raise ClientDisconnect
                if caller.wallet.commit_notifier.is_closed:
                    raise Problem(ProblemType.UNAVAILABLE, "the server is about to stop")
                await asyncio.wait({work}, timeout=DISCONNECT_CHECK_INTERVAL_S)
        finally:
            work.cancel()
        return work.result()


async def show_health(caller: Caller, params: NoParameters) -> HealthResponse:
    """Whether the wallet can take money, and how large things have become."""
    del params
    health = caller.api.build_health_report()
    return HealthResponse(
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


async def follow(caller: Caller, params: TransactionFilter) -> Response:
    """Every transaction as an event `transaction` once it is committed, as in a page of transactions. A reader that
    comes again with `Last-Event-ID` goes on where it was, among the newest 20,000 of the ledger. Whoever is too slow
    for it, or comes later than that, gets an event `missed` with the number of transactions of the ledger that were
    passed over, whosoever they were. A key may have ten readers, and all together fifty.
    """

    async def is_key_valid() -> bool:
        return await find_api_key(caller.wallet.store, caller.http) is not None

    subscriber = f"key {caller.key.name}"
    response = await sse.stream_entries(
        caller.wallet,
        caller.http,
        params.to_filter(),
        _render_event_data,
        subscriber=subscriber,
        is_allowed=is_key_valid,
    )
    if not isinstance(response, StreamingResponse):
        raise Problem(ProblemType.TOO_MANY, headers={"retry-after": "10"})
    return response


def _render_transactions(page: EntryPage) -> list[schemas.OwnedTransactionResponse]:
    return [schemas.build_owned_transaction(row) for row in page.rows]


def _render_event_data(row: OwnedEntry) -> str:
    return json.dumps(schemas.build_owned_transaction(row))
