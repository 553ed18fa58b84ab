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

MOST_READERS, MOST_OF_ONE = 50, 10
"""How many may read at once, and how many of them for one admin or key, so that nobody shuts the others out."""

LOOK_AGAIN_S = 2
"""How long somebody may go on reading who has signed out meanwhile, or whose key was revoked."""

EVENT = "transaction"


async def _anybody() -> bool:
    return True


async def stream(
    wallet: Wallet,
    request: Request,
    wanted: Filter,
    show: Callable[[OwnedEntry], str],
    event: str = EVENT,
    *,
    reader: str,
    after: int | None = None,
    most: int = BATCH_SIZE,
    may_read: Callable[[], Awaitable[bool]] = _anybody,
) -> Response:
    """The rows that are wanted after the one that `Last-Event-ID` names, else after `after`, else from now on; the
    newest `most` of what comes at once, each as `show` makes it. The stream ends when `may_read` says so. 429 for too
    many readers in all, or too many who are this `reader`.
    """
    readers = wallet.feed.subscribers
    if readers.total() >= MOST_READERS or readers[reader] >= MOST_OF_ONE:
        return Response("too many readers of the feed; try again later", 429, {"retry-after": "10"})
    newest = await wallet.store.count_entries()
    last = request.headers.get("last-event-id", "")
    if last.isascii() and last.isdigit() and len(last) < 20:
        after = int(last)
    after = newest if after is None else min(after, newest)

    async def events() -> AsyncIterator[str]:
        looked_at_s = monotonic()
        yield ": the feed begins\n\n"
        async with aclosing(wallet.feed.subscribe(wanted, after, most, reader)) as listening:
            async for heard in listening:
                if monotonic() - looked_at_s > LOOK_AGAIN_S:
                    if not await may_read():
                        return
                    looked_at_s = monotonic()
                missed = [_write("missed", None, str(heard.missed))] if heard.missed else []
                yield "".join([*missed, *(_tell(row, show, event) for row in heard.rows)]) or ": still here\n\n"

    # A proxy that gathers an answer before it passes it on would make the feed anything but live.
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


# However many read it, a row is made into text once by each function that does it.
@lru_cache(maxsize=4 * BATCH_SIZE)
def _tell(row: OwnedEntry, show: Callable[[OwnedEntry], str], event: str) -> str:
    return _write(event, row.entry.seq, show(row))


def _write(event: str, number: int | None, data: str) -> str:
    """One event; its data may have several lines, of which each needs its own word."""
    lines = [f"event: {event}", *(f"data: {line}" for line in data.splitlines())]
    if number is not None:
        lines.append(f"id: {number}")
    return "\n".join(lines) + "\n\n"
