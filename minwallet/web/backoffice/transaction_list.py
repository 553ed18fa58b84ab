"""The page of all transactions, with filter, live updates and export."""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from minwallet.operations.field_types import list_entry_sources
from minwallet.operations.timestamps import format_iso
from minwallet.storage.store import Store
from minwallet.web.backoffice.exports import send_file, stream_ledger_csv, stream_ledger_json
from minwallet.web.backoffice.filters import CHOICES, QUERY_FIELDS, parse_filter, parse_number
from minwallet.web.backoffice.ledger_feed import parse_request_filter
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.backoffice.player_list import list_agent_names

PATH = "/admin/transactions"

PAGE_SIZE = 50


def routes(router: PageRouter) -> list[Route]:
    return [
        router.get(PATH, _render_transactions),
        router.get(f"{PATH}.csv", _send_csv),
        router.get(f"{PATH}.json", _send_json),
    ]


async def _render_transactions(context: PageContext) -> Response:
    query = context.request.query_params
    agents = await list_agent_names(context)
    parsed_filter = parse_filter(query, agents)
    if any(query.get(name) == "" for name in QUERY_FIELDS):
        # A form sends its empty fields too. Redirect to an address without them, which is better to share.
        return RedirectResponse(_transactions_url(parsed_filter.values), 303)
    store, before = context.wallet.store, parse_number(query.get("before"))
    known_seq = await store.ledger.count_entries()
    page = (
        await store.ledger.read_page(parsed_filter.ledger_filter, before, PAGE_SIZE)
        if parsed_filter.ledger_filter
        else None
    )
    newest = max([known_seq, *(row.entry.seq for row in page.rows[:1])]) if page else known_seq
    return context.render(
        "backoffice/transactions.html",
        422 if parsed_filter.errors else 200,
        parsed_filter=parsed_filter,
        agents=agents,
        choices={**CHOICES, "protocol": await _list_sources(store)},
        page=page,
        is_full_page=page is not None and len(page.rows) == PAGE_SIZE,
        before=before,
        page_url=_transactions_url(parsed_filter.values),
        feed_url=f"/admin/feed?{urlencode({**parsed_filter.values, 'after': newest})}",
    )


async def _list_sources(store: Store) -> list[str]:
    """Return the protocols that entries have or can have: the installed ones first, then removed ones."""
    return list(dict.fromkeys([*list_entry_sources(), *await store.ledger.list_sources()]))


async def _send_csv(context: PageContext) -> Response:
    return send_file(
        stream_ledger_csv(context.wallet.store, await parse_request_filter(context)),
        f"{_build_file_name(context)}.csv",
        "text/csv",
    )


async def _send_json(context: PageContext) -> Response:
    chunks = stream_ledger_json(context.wallet.store, await parse_request_filter(context))
    return send_file(chunks, f"{_build_file_name(context)}.json", "application/json")


def _build_file_name(context: PageContext) -> str:
    now = (format_iso(context.wallet.clock_ms()) or "").partition(".")[0].replace(":", "")
    return f"transactions-{now}"


def _transactions_url(values: Mapping[str, str]) -> str:
    return f"{PATH}?{urlencode(values)}" if values else PATH
