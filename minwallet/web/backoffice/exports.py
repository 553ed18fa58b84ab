"""The ledger as a file to take away: read page by page and sent as it is read, so that no file is too long."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from starlette.responses import StreamingResponse

from minwallet.ledger.money import format_amount
from minwallet.operations import schemas
from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.storage.store import Store

PAGE = 1_000

COLUMNS = (
    *("seq", "at", "agent", "player_id", "currency", "protocol", "kind", "state", "refusal", "id", "round", "game"),
    *("amount", "bonus_amount", "cash_after", "bonus_after", "stake", "payout", "detail"),
)

AMOUNTS = frozenset({"amount", "bonus_amount", "cash_after", "bonus_after", "stake", "payout"})

RUNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
"""With what a spreadsheet begins to reckon; some do at the wide signs of East Asia too."""


def send_file(pieces: AsyncIterator[str], name: str, media_type: str) -> StreamingResponse:
    """A file that is saved rather than looked at."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, 200, headers, media_type)


async def ledger_csv(store: Store, wanted: Filter) -> AsyncIterator[str]:
    """The rows that are wanted, the newest first; amounts as decimals."""
    yield csv_text([COLUMNS])
    async for rows in _pages(store, wanted):
        yield csv_text([_csv_row(listed) for listed in rows])


async def ledger_json(store: Store, wanted: Filter) -> AsyncIterator[str]:
    """The same as one JSON document `{"entries": […]}`; amounts as cents."""
    yield '{"entries":['
    joint = ""
    async for rows in _pages(store, wanted):
        yield joint + ",".join(json.dumps(_document(listed), separators=(",", ":")) for listed in rows)
        joint = ","
    yield "]}\n"


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Lines of CSV (RFC 4180)."""
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue()


def inert(value: str | None) -> str:
    """Text that a spreadsheet shows and does not run, whoever chose it: a formula gets an apostrophe."""
    return f"'{value}" if value and value.startswith(RUNS) else value or ""


async def _pages(store: Store, wanted: Filter) -> AsyncIterator[list[OwnedEntry]]:
    before: int | None = None
    while True:
        page = await store.read_page(wanted, before, PAGE)
        if page.rows:
            yield page.rows
        before = page.next_seq
        if before is None:
            return


def _document(listed: OwnedEntry) -> Mapping[str, object]:
    entry = listed.entry
    refusal = None if entry.refusal is None else str(entry.refusal)
    more = {"refusal": refusal, "stake": entry.stake, "payout": entry.payout, "detail": entry.detail}
    return {**schemas.build_owned_transaction(listed), **more}


def _csv_row(listed: OwnedEntry) -> list[object]:
    document = _document(listed)
    return [_cell(name, document[name]) for name in COLUMNS]


def _cell(name: str, value: object) -> object:
    if isinstance(value, int):
        return format_amount(value) if name in AMOUNTS else value
    assert value is None or isinstance(value, str)
    return inert(value)
