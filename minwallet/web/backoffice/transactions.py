"""All transactions: filtered, live, and as files."""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from minwallet.operations.timestamps import format_iso
from minwallet.web.backoffice.exports import ledger_csv, ledger_json, send_file
from minwallet.web.backoffice.filters import CHOICES, FIELDS, read_filter, read_number
from minwallet.web.backoffice.frame import Frame, Visit
from minwallet.web.backoffice.live import asked_filter
from minwallet.web.backoffice.players import agent_names

PATH = "/admin/transactions"

PAGE = 50


def routes(frame: Frame) -> list[Route]:
    return [
        frame.get(PATH, _show),
        frame.get(f"{PATH}.csv", _send_csv),
        frame.get(f"{PATH}.json", _send_json),
    ]


async def _show(visit: Visit) -> Response:
    query = visit.request.query_params
    agents = await agent_names(visit)
    asked = read_filter(query, agents)
    if any(query.get(name) == "" for name in FIELDS):
        # A form sends its empty fields too; an address that is shared should say only what matters.
        return RedirectResponse(_address(asked.typed), 303)
    store, before = visit.wallet.store, read_number(query.get("before"))
    known = await store.count_entries()
    page = await store.read_page(asked.wanted, before, PAGE) if asked.wanted else None
    newest = max([known, *(row.entry.seq for row in page.rows[:1])]) if page else known
    return visit.render(
        "office/transactions.html",
        422 if asked.wrong else 200,
        asked=asked,
        agents=agents,
        choices=CHOICES,
        page=page,
        full=page is not None and len(page.rows) == PAGE,
        before=before,
        address=_address(asked.typed),
        feed=f"/admin/feed?{urlencode({**asked.typed, 'after': newest})}",
    )


async def _send_csv(visit: Visit) -> Response:
    return send_file(ledger_csv(visit.wallet.store, await asked_filter(visit)), f"{_file_name(visit)}.csv", "text/csv")


async def _send_json(visit: Visit) -> Response:
    pieces = ledger_json(visit.wallet.store, await asked_filter(visit))
    return send_file(pieces, f"{_file_name(visit)}.json", "application/json")


def _file_name(visit: Visit) -> str:
    now = (format_iso(visit.wallet.clock_ms()) or "").partition(".")[0].replace(":", "")
    return f"transactions-{now}"


def _address(typed: Mapping[str, str]) -> str:
    return f"{PATH}?{urlencode(typed)}" if typed else PATH
