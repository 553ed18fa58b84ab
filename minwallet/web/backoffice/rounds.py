"""Rounds: those that are open, and what became of one."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from minwallet.ledger.audit import AccountRef
from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.storage.store import Store
from minwallet.web.backoffice.filters import read_filter, read_number
from minwallet.web.backoffice.frame import Frame, Visit
from minwallet.web.backoffice.players import agent_names
from minwallet.web.backoffice.words import Ending, tell_round

PAGE, ROWS_OF_A_ROUND = 50, 200

AGES = {"1h": ("an hour", 3600), "24h": ("a day", 24 * 3600), "7d": ("a week", 7 * 24 * 3600)}
"""For how long a round may have been open: what the address says, what people read, seconds."""


class Round(NamedTuple):
    """What one account has in a round, the oldest first, and how it stands with it."""

    owner: AccountRef
    protocol: str
    rows: Sequence[OwnedEntry]
    ending: Ending


def routes(frame: Frame) -> list[Route]:
    return [frame.get("/admin/rounds", _show)]


async def _show(visit: Visit) -> Response:
    query = visit.request.query_params
    agents, name = await agent_names(visit), query.get("agent", "")
    agent = name if name in agents else None
    if query.get("round", "").strip():
        return await _show_round(visit, query, agents)
    store, now_ms = visit.wallet.store, visit.wallet.clock_ms()
    age = query.get("age", "")
    before = read_number(query.get("before"))
    if before is None and age in AGES:
        before = await _first_since(store, now_ms - AGES[age][1] * 1000)
    page = await store.read_open_bets(agent, before, PAGE)
    asked = {"agent": agent, "age": age if age in AGES else None}
    return visit.render(
        "office/rounds.html",
        agents=agents,
        agent=agent,
        ages=AGES,
        age=age,
        page=page,
        full=len(page.rows) == PAGE,
        is_first=query.get("before") is None,
        now_ms=now_ms,
        how_long=how_long,
        address=_address({name: value for name, value in asked.items() if value}),
    )


async def _show_round(visit: Visit, query: Mapping[str, str], agents: Sequence[str]) -> Response:
    asked = read_filter({name: query.get(name, "") for name in ("agent", "round")}, agents)
    page = await visit.wallet.store.read_page(asked.wanted or Filter(round=""), None, ROWS_OF_A_ROUND)
    return visit.render(
        "office/round.html",
        asked=asked,
        agents=agents,
        rounds=_tell_apart(page.rows),
        more=page.next_seq is not None,
    )


def _tell_apart(rows: Sequence[OwnedEntry]) -> list[Round]:
    """Agents, protocols and currencies may use the same number for rounds that have nothing in common."""

    def whose(row: OwnedEntry) -> tuple[AccountRef, str]:
        return row.owner, row.entry.protocol

    found = []
    for (owner, protocol), each in groupby(sorted(rows, key=lambda row: (*whose(row), row.entry.seq)), key=whose):
        same = list(each)
        found.append(Round(owner, protocol, same, tell_round([row.entry for row in same], owner)))
    return found


async def _first_since(store: Store, since_ms: int) -> int:
    """The number that entries from before then are below."""
    page = await store.read_page(Filter(until_ms=since_ms), None, 1)
    return page.rows[0].entry.seq + 1 if page.rows else 1


def how_long(ms: int) -> str:
    """`3 days`, `5 hours`, `12 minutes`, `8 seconds`."""
    seconds = max(ms, 0) // 1000
    for name, size in (("day", 24 * 3600), ("hour", 3600), ("minute", 60), ("second", 1)):
        number = seconds // size
        if number or size == 1:
            return f"{number} {name}" if number == 1 else f"{number} {name}s"
    raise AssertionError(ms)


def _address(asked: Mapping[str, str]) -> str:
    return f"/admin/rounds?{urlencode(asked)}" if asked else "/admin/rounds"
