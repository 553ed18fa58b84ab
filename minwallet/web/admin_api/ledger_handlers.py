"""Handlers for transactions, totals, the feed, verification and health."""

import asyncio
import json

from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from minwallet.operations import schemas
from minwallet.operations.agents import get_agent
from minwallet.operations.errors import ErrorCode
from minwallet.operations.maintenance import aggregate_newest
from minwallet.operations.requests import TransactionShow
from minwallet.operations.timestamps import format_date
from minwallet.operations.verify import verify_ledger
from minwallet.storage.actors import name_key
from minwallet.storage.queries import EntryPage, OwnedEntry
from minwallet.web import sse
from minwallet.web.admin_api.api_schemas import (
    CallsRequest,
    CallsResponse,
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
from minwallet.web.admin_api.operation import ApiCaller
from minwallet.web.admin_api.problems import Problem
from minwallet.web.gateway.recent_calls import render_calls

VERIFY_BATCH_SIZE, VERIFY_PAUSE_S = 100, 0.002
"""How many rows are verified before a pause (about 1 ms of work), and the length of the pause, for other calls."""

DISCONNECT_CHECK_INTERVAL_S = 1


async def list_transactions(caller: ApiCaller, params: TransactionPageRequest) -> TransactionsResponse:
    page = await caller.wallet.store.ledger.read_page(params.to_filter(), params.before, params.limit)
    return TransactionsResponse(transactions=_render_transactions(page), next=page.next_seq)


async def show_transaction(caller: ApiCaller, params: TransactionRequest) -> schemas.JournaledTransactionResponse:
    """Return the entry, with the provider's request and the reply while the journal keeps them, without the token."""
    shown = await caller.execute(TransactionShow(seq=params.seq), schemas.JournaledTransactionResponse)
    if caller.key.agent not in (None, shown["entry"]["agent"]):
        raise Problem(ErrorCode.NOT_FOUND, f"unknown entry {params.seq}")
    return shown


async def list_open_rounds(caller: ApiCaller, params: OpenBetsRequest) -> OpenBetsResponse:
    page = await caller.wallet.store.ledger.read_open_bets(params.agent, params.before, params.limit)
    return OpenBetsResponse(bets=_render_transactions(page), next=page.next_seq)


async def list_calls(caller: ApiCaller, params: CallsRequest) -> CallsResponse:
    """Return the newest provider calls that this server has in memory, newest first: the last 2,000 calls, and the last
    500 with a wrong callback key, an unknown path, an address that is not allowed or too many unknown tokens. They are
    lost when it stops. A key of one agent gets the calls of its agent's sessions and callback keys.
    """
    agent_id = None if params.agent is None else (await get_agent(caller.wallet.store, params.agent)).agent_id
    calls = caller.api.recent_calls.read(params.limit, only_failed=params.failed, agent_id=agent_id)
    return CallsResponse(calls=await render_calls(calls))


async def show_totals(caller: ApiCaller, params: TotalsRequest) -> TotalsResponse:
    wallet = caller.wallet
    await aggregate_newest(wallet.store)
    since, until, next_day = params.resolve_days(wallet.clock_ms())
    totals_rows = await wallet.store.totals.read_totals(since, until, params.agent)
    return TotalsResponse(
        totals=[schemas.build_total_response(heading, total) for heading, total in totals_rows],
        next=None if next_day is None else format_date(next_day),
    )


async def show_holdings(caller: ApiCaller, params: NoParameters) -> HoldingsResponse:
    """Return the sum of all balances by currency, and whether the ledger entries add up to the same."""
    del params
    return HoldingsResponse(
        holdings=[
            schemas.build_currency_balance(held) for held in await caller.wallet.store.totals.read_currency_balances()
        ]
    )


async def verify(caller: ApiCaller, params: NoParameters) -> schemas.VerificationResult:
    """Recompute every balance and the hash chain. This takes long for a long ledger; one caller at a time."""
    del params
    if caller.api.verify_lock.locked():
        raise Problem(ErrorCode.BUSY, "another verification is in progress; try again when it has ended")
    async with caller.api.verify_lock:
        work = asyncio.create_task(
            verify_ledger(caller.wallet.store, batch_size=VERIFY_BATCH_SIZE, pause_s=VERIFY_PAUSE_S)
        )
        try:
            while not work.done():
                if await caller.http.is_disconnected():
                    raise ClientDisconnect
                if caller.wallet.commit_notifier.is_closed:
                    raise Problem(ErrorCode.UNAVAILABLE, "the server is stopping")
                await asyncio.wait({work}, timeout=DISCONNECT_CHECK_INTERVAL_S)
        finally:
            work.cancel()
        return work.result()


async def show_health(caller: ApiCaller, params: NoParameters) -> HealthResponse:
    """Return the readiness of the wallet to move money, and the sizes of its files."""
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


async def follow(caller: ApiCaller, params: TransactionFilter) -> Response:
    """Send every committed transaction as an event `transaction`, in the form of a page of transactions. A client that
    reconnects with `Last-Event-ID` continues where it was, within the newest 20,000 transactions of the ledger. A
    client that is too slow, or reconnects later, gets an event `missed` with the number of transactions passed over,
    including those of other players. A key may have 10 subscriptions, all keys together 50.
    """

    async def is_key_valid() -> bool:
        return await find_api_key(caller.wallet.store, caller.http) is not None

    subscriber = name_key(caller.key.name)
    response = await sse.stream_entries(
        caller.wallet,
        caller.http,
        params.to_filter(),
        _render_event_data,
        subscriber=subscriber,
        is_allowed=is_key_valid,
    )
    if not isinstance(response, StreamingResponse):
        raise Problem(ErrorCode.TOO_MANY, headers={"retry-after": "10"})
    return response


def _render_transactions(page: EntryPage) -> list[schemas.OwnedTransactionResponse]:
    return [schemas.build_owned_transaction(row) for row in page.rows]


def _render_event_data(row: OwnedEntry) -> str:
    return json.dumps(schemas.build_owned_transaction(row))
