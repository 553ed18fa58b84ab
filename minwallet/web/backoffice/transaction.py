"""One transaction: what happened, what belongs to it, and the provider's call word for word."""

import json
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from minwallet.ledger.entries import Entry, compute_genesis_hash
from minwallet.operations.dispatch import get_journaled_entry
from minwallet.provider import calls
from minwallet.storage.models import JournaledEntry
from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.web.backoffice.filters import read_number
from minwallet.web.backoffice.frame import Frame, Visit
from minwallet.web.backoffice.players import path_of
from minwallet.web.backoffice.words import WHY_REFUSED, tell, tell_who

CHAIN = 50
"""How many entries of a round are shown beside one of them."""


def routes(frame: Frame) -> list[Route]:
    return [frame.get("/admin/transactions/{seq}", _show)]


class Said(NamedTuple):
    """A request or a reply: as it was, and laid out for reading."""

    raw: str
    pretty: str


async def _show(visit: Visit) -> Response:
    seq = read_number(visit.request.path_params["seq"])
    if not seq:
        raise HTTPException(404)
    store = visit.wallet.store
    recorded = await get_journaled_entry(store, seq)
    entry, owner, letters = recorded
    previous = await store.find_journaled_entry(entry.previous_seq) if entry.previous_seq else None
    by, reason = tell_who(entry)
    asked = calls.request_of(recorded)
    return visit.render(
        "office/transaction.html",
        entry=entry,
        owner=owner,
        player_path=path_of(owner.agent, owner.player_id),
        text=tell(entry, owner),
        why=WHY_REFUSED[entry.refusal] if entry.refusal else "",
        by=by,
        reason=reason,
        said=entry.detail if entry.detail and not by else "",
        chain=await _read_chain(visit, recorded),
        chain_address=_round_address(entry, recorded),
        previous_hash=(previous.entry.hash if previous else compute_genesis_hash(*owner)).hex(),
        request=_pretty(letters.request) if letters else None,
        reply=_pretty(letters.reply) if letters else None,
        curl=calls.as_curl(visit.base_url + visit.settings.callback_prefix, asked) if asked else "",
    )


async def _read_chain(visit: Visit, recorded: JournaledEntry) -> list[OwnedEntry]:
    """What belongs to the entry: what has its round or its id, the oldest first; of many the newest."""
    entry, owner, _ = recorded
    if entry.round is None:
        return []
    whose = Filter(owner.agent, owner.player_id, owner.currency, entry.protocol)
    found: dict[int, OwnedEntry] = {}
    for wanted in (whose._replace(round=entry.round), whose._replace(id=entry.id)):
        page = await visit.wallet.store.read_page(wanted, None, CHAIN)
        found |= {row.entry.seq: row for row in page.rows}
    return [found[number] for number in sorted(found)]


def _round_address(entry: Entry, recorded: JournaledEntry) -> str:
    if entry.round is None:
        return ""
    return f"/admin/rounds?{urlencode({'agent': recorded.owner.agent, 'round': entry.round})}"


def _pretty(said: str) -> Said:
    """A line for each field of JSON, or of a query."""
    head, brace, body = said.partition("{")
    try:
        return Said(said, f"{head.rstrip()}\n".lstrip() + json.dumps(json.loads(brace + body), indent=2))
    except (ValueError, RecursionError):
        path, mark, query = said.partition("?")
        fields = [f"  {name} = {value}" for name, value in parse_qsl(query, keep_blank_values=True)]
        return Said(said, "\n".join([path + mark, *fields]))
