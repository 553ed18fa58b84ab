"""The export of the ledger as CSV or JSON.

An export is read page by page and sent as it is read, so its length does not matter for memory.
"""

import json
from collections.abc import AsyncIterator, Mapping

from starlette.responses import StreamingResponse

from minwallet.ledger.money import format_amount
from minwallet.operations import schemas
from minwallet.operations.spreadsheet import format_csv
from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.storage.store import Store

PAGE_SIZE = 1_000

COLUMNS = (
    *("seq", "at", "agent", "player_id", "currency", "protocol", "kind", "state", "refusal", "id", "round", "game"),
    *("amount", "bonus_amount", "cash_after", "bonus_after", "stake", "payout", "detail", "reference"),
)

AMOUNT_COLUMNS = frozenset({"amount", "bonus_amount", "cash_after", "bonus_after", "stake", "payout"})


def send_file(chunks: AsyncIterator[str], name: str, media_type: str) -> StreamingResponse:
    """Return a response that the browser saves as a file."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(chunks, 200, headers, media_type)


async def stream_ledger_csv(store: Store, ledger_filter: Filter) -> AsyncIterator[str]:
    """Yield the rows that match the filter as CSV, newest first, with decimal amounts."""
    yield format_csv([COLUMNS])
    async for rows in _read_pages(store, ledger_filter):
        yield format_csv([_build_csv_row(listed) for listed in rows])


async def stream_ledger_json(store: Store, ledger_filter: Filter) -> AsyncIterator[str]:
    """Yield the rows that match as one JSON document `{"entries": […]}`, newest first, with amounts in cents."""
    yield '{"entries":['
    separator = ""
    async for rows in _read_pages(store, ledger_filter):
        yield separator + ",".join(json.dumps(_build_document(listed), separators=(",", ":")) for listed in rows)
        separator = ","
    yield "]}\n"


async def _read_pages(store: Store, ledger_filter: Filter) -> AsyncIterator[list[OwnedEntry]]:
    before: int | None = None
    while True:
        page = await store.ledger.read_page(ledger_filter, before, PAGE_SIZE)
        if page.rows:
            yield page.rows
        before = page.next_seq
        if before is None:
            return


def _build_document(listed: OwnedEntry) -> Mapping[str, object]:
    entry = listed.entry
    refusal = None if entry.refusal is None else str(entry.refusal)
    details = {"refusal": refusal, "stake": entry.stake, "payout": entry.payout, "detail": entry.detail}
    return {**schemas.build_owned_transaction(listed), **details, "reference": entry.reference}


def _build_csv_row(listed: OwnedEntry) -> list[object]:
    document = _build_document(listed)
    return [_format_cell(name, document[name]) for name in COLUMNS]


def _format_cell(name: str, value: object) -> object:
    return format_amount(value) if isinstance(value, int) and name in AMOUNT_COLUMNS else value
