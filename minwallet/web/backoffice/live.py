"""The stream that every live table of the back office reads: rows of the ledger, as they are committed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from time import monotonic

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from minwallet.storage.views import Filter, Listed
from minwallet.web import feed, pages
from minwallet.web.backoffice.filters import read_filter, read_number
from minwallet.web.backoffice.frame import Frame, Visit
from minwallet.web.backoffice.players import agent_names

Piece = str | bytes | memoryview

LOOK_AGAIN_S = 2
"""How long somebody who has signed out elsewhere may go on reading."""


def routes(frame: Frame) -> list[Route]:
    return [frame.get("/admin/feed", _feed)]


async def asked_filter(visit: Visit) -> Filter:
    """What the address asks for; 400 for nonsense."""
    asked = read_filter(visit.request.query_params, await agent_names(visit))
    if asked.wanted is None:
        raise HTTPException(400)
    return asked.wanted


async def _feed(visit: Visit) -> Response:
    """The rows that the filter wants, after the row `after`; with `of=player` they do not name the player."""
    query = visit.request.query_params
    show_player = query.get("of") != "player"

    def show(listed: Listed) -> str:
        return pages.fill("office/row.html", listed=listed, show_player=show_player)

    after = read_number(query.get("after"))
    # What htmx puts into a table are messages without a name.
    response = await feed.stream(visit.wallet, visit.request, await asked_filter(visit), show, "", after=after)
    if isinstance(response, StreamingResponse) and isinstance(response.body_iterator, AsyncGenerator):
        response.body_iterator = _while_signed_in(visit, response.body_iterator)
    return response


async def _while_signed_in(visit: Visit, pieces: AsyncGenerator[Piece, None]) -> AsyncIterator[Piece]:
    """The pieces, as long as whoever asked for them is signed in. After each, whatever else is to be done comes first:
    to draw many rows takes longer than a bet may wait.
    """
    looked_at_s = monotonic()
    async with aclosing(pieces):
        async for piece in pieces:
            if monotonic() - looked_at_s > LOOK_AGAIN_S:
                if await visit.frame.admins.find(visit.cookie) is None:
                    return
                looked_at_s = monotonic()
            yield piece
            await asyncio.sleep(0)
