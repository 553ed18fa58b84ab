"""Live feed of committed ledger rows, as server-sent events, for the back office and the admin API.

Rules
=====

1. Only committed rows are sent. `wallet.feed` reads them from the file.
2. The id of an event is the row's `seq`. A browser reconnects with `Last-Event-ID`, and continues after that row.
3. A slow or returning reader gets the newest rows only. Before them, a `missed` event gives the number of rows that
   were skipped. So a reader never delays the server, and always knows about a gap.
4. A stream ends when its subscriber signs out or the key is revoked. This is checked with the first batch or heartbeat
   after REAUTHORIZE_INTERVAL_S. Heartbeats come every 2 s, so a stream ends within 4 s.
5. Streams are bounded, in total and per admin or key. An excess gets 429. A stream counts from the check of this limit
   until its response ends, so that streams that open at the same time cannot pass the check together.
6. A stopping server ends all streams. Otherwise it would wait for them.

A comment line is the heartbeat. It keeps proxies from closing the connection, and shows the server that a client left.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import lru_cache
from time import monotonic

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.wallet.feed import BATCH_SIZE
from minwallet.wallet.service import Wallet

MAX_STREAMS, MAX_STREAMS_PER_SUBSCRIBER = 50, 10
"""Maximum number of open streams, in total and per admin or key, so that one cannot use up all of them."""

REAUTHORIZE_INTERVAL_S = 2
"""Minimum time between two checks of a stream's authorization."""

TRANSACTION_EVENT = "transaction"
"""Default name of the events. With the name "", htmx receives them as plain messages."""


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
    """Return a stream of the rows that match the filter, each formatted by `format_row`.

    It starts after the row in `Last-Event-ID`, else after `after`, else with the next commit. Of rows that arrive
    together, the newest `max_backlog` are sent. The stream ends when `is_allowed` returns False. Return 429 if there
    are too many streams, in total or of this `subscriber`.
    """
    open_streams = wallet.feed.open_streams
    if open_streams.total() >= MAX_STREAMS or open_streams[subscriber] >= MAX_STREAMS_PER_SUBSCRIBER:
        return Response("too many open feeds; close one or try again later", 429, {"retry-after": "10"})
    open_streams[subscriber] += 1
    try:
        newest = await wallet.store.ledger.count_entries()
    except BaseException:
        open_streams[subscriber] -= 1
        raise
    last_event_id = request.headers.get("last-event-id", "")
    if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 20:
        after = int(last_event_id)
    # A row number beyond the newest, as from before a restore, would otherwise skip the rows up to it.
    after = newest if after is None else min(after, newest)

    async def events() -> AsyncIterator[str]:
        checked_at_s = monotonic()
        yield ": the feed begins\n\n"
        async with aclosing(wallet.feed.subscribe(entry_filter, after, max_backlog)) as batches:
            async for batch in batches:
                if monotonic() - checked_at_s > REAUTHORIZE_INTERVAL_S:
                    if not await is_allowed():
                        return
                    checked_at_s = monotonic()
                missed = [_format_event("missed", None, str(batch.missed))] if batch.missed else []
                yield (
                    "".join([*missed, *(_format_row_event(row, format_row, event) for row in batch.rows)])
                    or ": heartbeat\n\n"
                )

    return _FeedResponse(events(), open_streams, subscriber)


class _FeedResponse(StreamingResponse):
    """A counted stream. Its end is counted here, because the generator never runs if the client leaves before."""

    def __init__(self, events: AsyncIterator[str], open_streams: Counter[str], subscriber: str) -> None:
        # nginx buffers answers by default and would delay the events; this header turns it off.
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._open_streams = open_streams
        self._subscriber = subscriber

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._open_streams[self._subscriber] -= 1


# A row is formatted once per format, for any number of readers.
@lru_cache(maxsize=4 * BATCH_SIZE)
def _format_row_event(row: OwnedEntry, format_row: Callable[[OwnedEntry], str], event: str) -> str:
    return _format_event(event, row.entry.seq, format_row(row))


def _format_event(event: str, event_id: int | None, data: str) -> str:
    """Format one event. Each line of the data needs its own `data:` prefix."""
    lines = [f"event: {event}", *(f"data: {line}" for line in data.splitlines())]
    if event_id is not None:
        lines.append(f"id: {event_id}")
    return "\n".join(lines) + "\n\n"
