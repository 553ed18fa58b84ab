"""The pages of open rounds and of one round."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from minwallet.ledger.audit import AccountRef
from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.storage.store import Store
from minwallet.web.backoffice.descriptions import RoundStatus, describe_round
from minwallet.web.backoffice.filters import parse_filter, parse_number
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.backoffice.player_list import list_agent_names

PAGE_SIZE, MAX_ROUND_ROWS = 50, 200

AGE_CHOICES = {"1h": ("an hour", 3600), "24h": ("a day", 24 * 3600), "7d": ("a week", 7 * 24 * 3600)}
"""The filter by age: the value in the address, its text, and its seconds."""


class AccountRound(NamedTuple):
    """The entries of one account in a round, oldest first, and the state of the round."""

    owner: AccountRef
    protocol: str
    rows: Sequence[OwnedEntry]
    status: RoundStatus


def routes(router: PageRouter) -> list[Route]:
    return [router.get("/admin/rounds", _render_rounds)]


async def _render_rounds(context: PageContext) -> Response:
    query = context.request.query_params
    agents, name = await list_agent_names(context), query.get("agent", "")
    agent = name if name in agents else None
    if query.get("round", "").strip():
        return await _render_round(context, query, agents)
    store, now_ms = context.wallet.store, context.wallet.clock_ms()
    age = query.get("age", "")
    before = parse_number(query.get("before"))
    if before is None and age in AGE_CHOICES:
        before = await _find_first_seq_since(store, now_ms - AGE_CHOICES[age][1] * 1000)
    page = await store.ledger.read_open_bets(agent, before, PAGE_SIZE)
    query_fields = {"agent": agent, "age": age if age in AGE_CHOICES else None}
    return context.render(
        "backoffice/rounds.html",
        agents=agents,
        agent=agent,
        ages=AGE_CHOICES,
        age=age,
        page=page,
        is_full_page=len(page.rows) == PAGE_SIZE,
        is_first=query.get("before") is None,
        now_ms=now_ms,
        format_age=format_age,
        page_url=_rounds_url({name: value for name, value in query_fields.items() if value}),
    )


async def _render_round(context: PageContext, query: Mapping[str, str], agents: Sequence[str]) -> Response:
    parsed_filter = parse_filter({name: query.get(name, "") for name in ("agent", "round")}, agents)
    page = await context.wallet.store.ledger.read_page(
        parsed_filter.ledger_filter or Filter(round=""), None, MAX_ROUND_ROWS
    )
    return context.render(
        "backoffice/round.html",
        parsed_filter=parsed_filter,
        agents=agents,
        rounds=_group_by_account(page.rows),
        has_more=page.next_seq is not None,
    )


def _group_by_account(rows: Sequence[OwnedEntry]) -> list[AccountRound]:
    """Return the rows by account and protocol: they may use the same number for unrelated rounds."""

    def account_key(row: OwnedEntry) -> tuple[AccountRef, str]:
        return row.owner, row.entry.protocol

    rounds = []
    for (owner, protocol), each in groupby(
        sorted(rows, key=lambda row: (*account_key(row), row.entry.seq)), key=account_key
    ):
        account_rows = list(each)
        rounds.append(
            AccountRound(owner, protocol, account_rows, describe_round([row.entry for row in account_rows], owner))
        )
    return rounds


async def _find_first_seq_since(store: Store, since_ms: int) -> int:
    """Return the `seq` below which all entries are older than `since_ms`."""
    page = await store.ledger.read_page(Filter(until_ms=since_ms), None, 1)
    return page.rows[0].entry.seq + 1 if page.rows else 1


def format_age(ms: int) -> str:
    """Return a time in ms as text such as `3 days`, `5 hours`, `12 minutes` or `8 seconds`."""
    seconds = max(ms, 0) // 1000
    for name, size in (("day", 24 * 3600), ("hour", 3600), ("minute", 60), ("second", 1)):
        number = seconds // size
        if number or size == 1:
            return f"{number} {name}" if number == 1 else f"{number} {name}s"
    raise AssertionError(ms)


def _rounds_url(fields: Mapping[str, str]) -> str:
    return f"/admin/rounds?{urlencode(fields)}" if fields else "/admin/rounds"
