"""Reconciliation: compare the provider's report with the ledger.

Both sides are read in order of ticket, a page at a time, and merged, so memory does not grow with the report.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import TypeVar

from minwallet.ledger.reconciliation import (
    CutOff,
    MatchStatus,
    Reconciliation,
    ReportedTicket,
    Ticket,
    TicketTotals,
    list_rival_names,
)
from minwallet.ledger.time_units import DAY_MS
from minwallet.operations.agents import get_agent
from minwallet.operations.errors import OperationError, Subject
from minwallet.operations.requests import Reply
from minwallet.operations.timestamps import format_date, format_iso
from minwallet.provider.service_client import find_service_protocol
from minwallet.storage.store import Store

PAGE_SIZE, BATCH_SIZE = 2_000, 100
"""How many tickets one read returns, and how many are compared before the event loop gets a turn (under 1 ms)."""

MAX_REMEMBERED_NAMES = 10_000

T = TypeVar("T", Ticket, ReportedTicket)


async def reconcile(
    store: Store,
    agent_name: str,
    progress: Callable[[int], None],
    *,
    now_ms: int,
    open_after_s: int,
    grace_s: int,
    max_kept: int | None = None,
    wanted_protocol: str | None = None,
) -> Reconciliation:
    """Compare the agent's report with the ledger, and call `progress` with the number of tickets done.

    `wanted_protocol` is the protocol of the report, see `find_service_protocol`.
    A bet that is open for longer than `open_after_s` is a difference. A ticket that changed less than `grace_s` before
    the pull is not due yet. `max_kept` limits the differences listed. Raise OperationError if no pull was completed.
    """
    agent = await get_agent(store, agent_name)
    protocol = await find_service_protocol(store, agent, wanted_protocol)
    cursor = await store.reports.find_report_cursor(agent.agent_id)
    if cursor.pulled_at_ms is None:
        raise OperationError(
            f"the report of agent '{agent.name}' was never fetched completely", subject=Subject.REPORT, agent=agent.name
        )
    cut_off = CutOff(cursor.pulled_at_ms, cursor.pulled_at_ms - grace_s * 1000, now_ms - open_after_s * 1000)
    reconciliation = Reconciliation(cut_off, max_kept)
    ours = _read_pages(lambda after: store.reports.read_tickets(agent.agent_id, protocol, after, PAGE_SIZE))
    theirs = _read_pages(lambda after: store.reports.read_reported_tickets(agent.agent_id, after, PAGE_SIZE))
    rivals = _RivalFinder(store, agent.agent_id)
    async for ticket, reported in _pair_by_ticket(ours, theirs):
        players = await rivals.find(ticket, reported)
        reconciliation.add_pair(ticket, reported, _accounting_day(ticket, reported), players)
        if (done := reconciliation.counts.total()) % BATCH_SIZE == 0:
            progress(done)
            await asyncio.sleep(0)
    for orphan in await store.reports.read_orphans(agent.agent_id):
        reconciliation.add(MatchStatus.ORPHAN_WIN, orphan, None)
    return reconciliation


class _RivalFinder:
    """The search for another player whom the report could mean. It asks the store only for names that are not equal."""

    def __init__(self, store: Store, agent_id: int) -> None:
        self._store = store
        self._agent_id = agent_id
        self._found: dict[tuple[str, str], Collection[str]] = {}

    async def find(self, ours: Ticket | None, theirs: ReportedTicket | None) -> Collection[str]:
        """Return the ids of the players whom `theirs` could name as well as the player of `ours`."""
        if ours is None or theirs is None:
            return ()
        key = ours.player_id, theirs.player_id
        if key not in self._found:
            # A player has many tickets, so each pair of names is looked up once, as long as there is room.
            if len(self._found) >= MAX_REMEMBERED_NAMES:
                self._found.clear()
            names = list_rival_names(*key)
            self._found[key] = await self._store.reports.find_players(self._agent_id, names) if names else ()
        return self._found[key]


async def _read_pages(read: Callable[[str], Awaitable[list[T]]]) -> AsyncIterator[T]:
    after = ""
    while page := await read(after):
        for each in page:
            yield each
        after = page[-1].ticket


async def _pair_by_ticket(
    ours: AsyncIterator[Ticket], theirs: AsyncIterator[ReportedTicket]
) -> AsyncIterator[tuple[Ticket | None, ReportedTicket | None]]:
    """Yield both sides merged by ticket, in order. A side that does not have the ticket is None."""
    ticket, reported = await anext(ours, None), await anext(theirs, None)
    while ticket or reported:
        first = min(each.ticket for each in (ticket, reported) if each)
        left = ticket if ticket and ticket.ticket == first else None
        right = reported if reported and reported.ticket == first else None
        yield left, right
        ticket = await anext(ours, None) if left else ticket
        reported = await anext(theirs, None) if right else reported


def _accounting_day(ours: Ticket | None, theirs: ReportedTicket | None) -> str:
    """Return the UTC day of the bet in the ledger, or the report's own day if only the report has it."""
    if ours:
        return format_date(ours.opened_at_ms // DAY_MS)
    return theirs.reported_at[:10] if theirs else ""


def to_document(reconciliation: Reconciliation) -> Reply:
    """Return the reconciliation as JSON, with amounts in cents."""
    no_totals = TicketTotals()
    totals = [
        {
            **key._asdict(),
            "ledger": reconciliation.ours.get(key, no_totals)._asdict(),
            "report": reconciliation.theirs.get(key, no_totals)._asdict(),
        }
        for key in reconciliation.list_totals_keys()
    ]
    return {
        "ok": not reconciliation.discrepancies,
        "pulled_at": format_iso(reconciliation.cut_off.pulled_at_ms),
        "counts": {str(finding): number for finding, number in reconciliation.counts.items()},
        "differences": [_render_discrepancy(*each) for each in reconciliation.discrepancies],
        "totals": totals,
    }


def _render_discrepancy(status: MatchStatus, ours: Ticket | None, theirs: ReportedTicket | None) -> Reply:
    named = ours or theirs
    assert named is not None
    reported_at = theirs.reported_at if theirs else None
    return {
        "finding": str(status),
        "ticket": named.ticket,
        "player_id": named.player_id,
        "game": named.game,
        "currency": named.currency,
        "at": format_iso(ours.updated_at_ms) if ours else reported_at,
        "ledger_stake": ours.stake if ours else None,
        "ledger_payout": ours.payout if ours else None,
        "report_stake": theirs.stake if theirs else None,
        "report_payout": theirs.payout if theirs else None,
    }
