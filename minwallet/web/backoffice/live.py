"""The stream that every live table of the back office reads: rows of the ledger, as they are committed."""

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.web import sse, templating
from minwallet.web.backoffice.filters import read_filter, read_number
from minwallet.web.backoffice.frame import Frame, Visit
from minwallet.web.backoffice.players import agent_names

MOST_ROWS = 25
"""How many rows come to a page at once; nobody reads more in a moment, and older ones can be looked up."""


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
    show = _draw_of_player if query.get("of") == "player" else _draw

    async def is_signed_in() -> bool:
        return await visit.frame.admins.find_by_cookie(visit.cookie) is not None

    # What htmx puts into a table are messages without a name.
    return await sse.stream_entries(
        visit.wallet,
        visit.request,
        await asked_filter(visit),
        show,
        event="",
        subscriber=f"admin {visit.admin}",
        after=read_number(query.get("after")),
        max_backlog=MOST_ROWS,
        is_allowed=is_signed_in,
    )


def _draw(listed: OwnedEntry) -> str:
    return templating.render_string("office/row.html", listed=listed, show_player=True)


def _draw_of_player(listed: OwnedEntry) -> str:
    return templating.render_string("office/row.html", listed=listed, show_player=False)
