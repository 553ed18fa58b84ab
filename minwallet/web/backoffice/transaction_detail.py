"""The page of one transaction: its effect, its related entries, and the provider's exact call."""

import json
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from minwallet.ledger.entries import Entry, compute_genesis_hash
from minwallet.operations.transactions import get_journaled_entry
from minwallet.provider import manual_calls
from minwallet.storage.models import JournaledEntry
from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.web.backoffice.descriptions import describe_entry, parse_actor_and_reason, parse_category
from minwallet.web.backoffice.filters import parse_number
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.backoffice.player_list import player_page_url
from minwallet.web.refusal_texts import REFUSAL_TEXTS

MAX_RELATED_ENTRIES = 50
"""The most related entries on the page."""


def routes(router: PageRouter) -> list[Route]:
    return [router.get("/admin/transactions/{seq}", _render_transaction)]


class WireMessage(NamedTuple):
    """A request or a reply, in its exact text and in a readable layout."""

    raw: str
    pretty: str


async def _render_transaction(context: PageContext) -> Response:
    seq = parse_number(context.request.path_params["seq"])
    if not seq:
        raise HTTPException(404)
    store = context.wallet.store
    journaled_entry = await get_journaled_entry(store, seq)
    entry, owner, journal_record = journaled_entry
    previous = await store.ledger.find_journaled_entry(entry.previous_seq) if entry.previous_seq else None
    actor, reason = parse_actor_and_reason(entry)
    category = parse_category(entry)
    return context.render(
        "backoffice/transaction.html",
        entry=entry,
        owner=owner,
        player_url=player_page_url(owner.agent, owner.player_id),
        description=describe_entry(entry, owner),
        refusal_text=REFUSAL_TEXTS[entry.refusal] if entry.refusal else "",
        actor=actor,
        reason=reason,
        category=category.replace("_", " ") if category else "",
        detail=entry.detail if entry.detail and not actor and not category else "",
        related_entries=await _read_related_entries(context, journaled_entry),
        round_url=_round_url(entry, journaled_entry),
        previous_hash=(previous.entry.hash if previous else compute_genesis_hash(*owner)).hex(),
        request=format_message(journal_record.request) if journal_record else None,
        reply=format_message(journal_record.reply) if journal_record else None,
        repeat_command=manual_calls.format_repeat_command(
            journaled_entry, context.base_url + context.settings.callback_prefix
        ),
    )


async def _read_related_entries(context: PageContext, journaled_entry: JournaledEntry) -> list[OwnedEntry]:
    """Return the entries with the same round or id, and the one that `reference` names, oldest first.

    Of each there are up to MAX_RELATED_ENTRIES, the newest.
    """
    entry, owner, _ = journaled_entry
    account_filter = Filter(owner.agent, owner.player_id, owner.currency, entry.protocol)
    filters = []
    if entry.round is not None:
        filters += [account_filter._replace(round=entry.round), account_filter._replace(id=entry.id)]
    if entry.reference is not None:
        filters.append(account_filter._replace(id=entry.reference))
    found: dict[int, OwnedEntry] = {entry.seq: OwnedEntry(entry, owner)}
    for ledger_filter in filters:
        page = await context.wallet.store.ledger.read_page(ledger_filter, None, MAX_RELATED_ENTRIES)
        found |= {row.entry.seq: row for row in page.rows}
    return [found[number] for number in sorted(found)]


def _round_url(entry: Entry, journaled_entry: JournaledEntry) -> str:
    if entry.round is None:
        return ""
    return f"/admin/rounds?{urlencode({'agent': journaled_entry.owner.agent, 'round': entry.round})}"


def format_message(message: str) -> WireMessage:
    """Return the message with one line for each field of its JSON or its query."""
    head, brace, body = message.partition("{")
    try:
        return WireMessage(
            message, f"{head.rstrip()}\n".lstrip() + json.dumps(json.loads(brace + body), indent=2, ensure_ascii=False)
        )
    except (ValueError, RecursionError):
        path, mark, query = message.partition("?")
        fields = [f"  {name} = {value}" for name, value in parse_qsl(query, keep_blank_values=True)]
        return WireMessage(message, "\n".join([path + mark, *fields]))
