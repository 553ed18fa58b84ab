"""The live feed as server-sent events: what was committed, to whoever is listening.

Each event carries the row's number as its id, so a browser that lost the connection goes on where it was. Whoever reads
too slowly for the ledger is told how many rows were passed over.
"""

from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from minwallet.storage.views import Filter, Listed
from minwallet.wallet.feed import follow
from minwallet.wallet.service import Wallet

MOST_READERS = 200

MOST_BEHIND = 2_000
"""How many rows a reader may be behind before the older ones are passed over."""

EVENT = "transaction"


async def stream(
    wallet: Wallet,
    request: Request,
    wanted: Filter,
    show: Callable[[Listed], str],
    event: str = EVENT,
    *,
    after: int | None = None,
) -> Response:
    """The rows that are wanted after the one that `Last-Event-ID` names, else after `after`, else from now on.

    503 for too many readers.
    """
    if wallet.news.readers >= MOST_READERS:
        return Response("too many readers of the feed; try again later", 503, {"retry-after": "10"})
    newest = await wallet.store.count_entries()
    last = request.headers.get("last-event-id", "")
    if last.isascii() and last.isdigit() and len(last) < 20:
        after = int(last)
    after = newest if after is None else min(after, newest)
    events = _events(wallet, wanted, after, show, event)
    # A proxy that gathers an answer before it passes it on would make the feed anything but live.
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _events(
    wallet: Wallet, wanted: Filter, after: int, show: Callable[[Listed], str], event: str
) -> AsyncIterator[str]:
    with wallet.news.reading():
        yield ": the feed begins\n\n"
        async for heard in follow(wallet.store, wallet.news, wanted, after, MOST_BEHIND):
            if heard.missed:
                yield _write("missed", None, str(heard.missed))
            for row in heard.rows:
                yield _write(event, row.entry.seq, show(row))
            if not heard.rows:
                yield ": still here\n\n"


def _write(event: str, number: int | None, data: str) -> str:
    """One event; its data may have several lines, of which each needs its own word."""
    lines = [f"event: {event}", *(f"data: {line}" for line in data.splitlines())]
    if number is not None:
        lines.append(f"id: {number}")
    return "\n".join(lines) + "\n\n"
