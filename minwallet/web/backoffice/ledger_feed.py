"""The event stream of all live tables of the back office: ledger rows, as they are committed."""

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from minwallet.storage.actors import name_admin
from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.web import sse, templating
from minwallet.web.backoffice.filters import parse_filter, parse_number
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.backoffice.player_list import list_agent_names

MAX_ROWS = 25
"""The most rows that one update sends; a person cannot read more at a time, and the page can load older ones."""


def routes(router: PageRouter) -> list[Route]:
    return [router.get("/admin/feed", _stream_feed)]


async def parse_request_filter(context: PageContext) -> Filter:
    """Return the filter in the address. Raise HTTPException 400 if it is invalid."""
    parsed = parse_filter(context.request.query_params, await list_agent_names(context))
    if parsed.ledger_filter is None:
        raise HTTPException(400)
    return parsed.ledger_filter


async def _stream_feed(context: PageContext) -> Response:
    """Stream the rows that match the filter, after the row `after`; with `of=player` they omit the player column."""
    query = context.request.query_params
    render_row = _render_player_row if query.get("of") == "player" else _render_row

    async def is_signed_in() -> bool:
        return await context.router.admin_auth.find_by_cookie(context.cookie) is not None

    # No event name: htmx swaps only unnamed messages into the table.
    return await sse.stream_entries(
        context.wallet,
        context.request,
        await parse_request_filter(context),
        render_row,
        event="",
        subscriber=name_admin(context.admin),
        after=parse_number(query.get("after")),
        max_backlog=MAX_ROWS,
        is_allowed=is_signed_in,
    )


def _render_row(listed: OwnedEntry) -> str:
    return templating.render_string("backoffice/entry_row.html", listed=listed, show_player=True)


def _render_player_row(listed: OwnedEntry) -> str:
    return templating.render_string("backoffice/entry_row.html", listed=listed, show_player=False)
