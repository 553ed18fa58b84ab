"""The live feed as server-sent events: what was committed, to whoever is listening.

Each event carries the row's number as its id, so a browser that lost the connection goes on where it was. Whoever reads
too slowly for the ledger is told how many rows were passed over.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import lru_cache
from time import monotonic

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.wallet.feed import BATCH_SIZE
from minwallet.wallet.service import Wallet

MAX_STREAMS, MAX_STREAMS_PER_SUBSCRIBER = 50, 10
"""How many may read at once, and how many of them for one admin or key, so that nobody shuts the others out."""

REAUTHORIZE_INTERVAL_S = 2
"""How long somebody may go on reading who has signed out meanwhile, or whose key was revoked."""

TRANSACTION_EVENT = "transaction"


async def _always_allowed() -> bool:
    return True


async def stream_entries(
    wallet: Wallet,
    request: Request,
    entry_filter: Filter,
    format_row: Callable[[OwnedEntry], str],
    event: str = TRANSACTION_EVENT,
    *,
    subscriber: str,
    after: int | None = None,
    max_backlog: int = BATCH_SIZE,
    is_allowed: Callable[[], Awaitable[bool]] = _always_allowed,
) -> Response:
    """The rows that are wanted after the one that `Last-Event-ID` names, else after `after`, else from now on; the
    newest `max_backlog` of what comes at once, each as `format_row` makes it. Ends when `is_allowed` is false.
    429 for too many readers in all, or too many of this `subscriber`.
    """
    subscribers = wallet.feed.subscribers
    if subscribers.total() >= MAX_STREAMS or subscribers[subscriber] >= MAX_STREAMS_PER_SUBSCRIBER:
        return Response("too many readers of the feed; try again later", 429, {"retry-after": "10"})
    newest = await wallet.store.ledger.count_entries()
    last_event_id = request.headers.get("last-event-id", "")
    if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 20:
        after = int(last_event_id)
    after = newest if after is None else min(after, newest)

    async def events() -> AsyncIterator[str]:
        checked_at_s = monotonic()
        yield ": the feed begins\n\n"
        async with aclosing(wallet.feed.subscribe(entry_filter, after, max_backlog, subscriber)) as batches:
            async for batch in batches:
                if monotonic() - checked_at_s > REAUTHORIZE_INTERVAL_S:
                    if not await is_allowed():
                        return
                    checked_at_s = monotonic()
                missed = [_format_event("missed", None, str(batch.missed))] if batch.missed else []
                yield (
                    "".join([*missed, *(_format_row_event(row, format_row, event) for row in batch.rows)])
                    or ": still here\n\n"
                )

    # A proxy that gathers an answer before it passes it on would make the feed anything but live.
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


# However many read it, a row is made into text once by each function that does it.
@lru_cache(maxsize=4 * BATCH_SIZE)
def _format_row_event(row: OwnedEntry, format_row: Callable[[OwnedEntry], str], event: str) -> str:
    return _format_event(event, row.entry.seq, format_row(row))


def _format_event(event: str, event_id: int | None, data: str) -> str:
    """One event; its data may have several lines, of which each needs its own word."""
    lines = [f"event: {event}", *(f"data: {line}" for line in data.splitlines())]
    if event_id is not None:
        lines.append(f"id: {event_id}")
    return "\n".join(lines) + "\n\n"
