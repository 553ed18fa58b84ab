"""Hold the report that was pulled against the ledger. Both are read in order of their tickets, a page at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from minwallet.ledger.reconciliation import CutOff, MatchStatus, Reconciliation, ReportedTicket, Ticket, TicketTotals
from minwallet.operations.agents import get_agent
from minwallet.operations.errors import OperationError
from minwallet.operations.requests import Reply
from minwallet.operations.timestamps import format_iso
from minwallet.provider.service_client import SERVICE_PROTOCOL
from minwallet.storage.store import Store

PAGE_SIZE, BATCH_SIZE = 2_000, 100
"""How many tickets are read at once, and how many are compared before a bet may come between: less than a ms."""

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
) -> Reconciliation:
    """What the two sides come to. A bet may stay open for `open_after_s`; what moved less than `grace_s` before the
    pull is not due yet. Tells `progress` how many tickets are done. Declines where no pull has reached the end.
    """
    agent = await get_agent(store, agent_name)
    cursor = await store.reports.find_report_cursor(agent.agent_id)
    if cursor.pulled_at_ms is None:
        raise OperationError("there is no whole report yet", hint=f"run: minwallet report pull --agent {agent.name}")
    cut_off = CutOff(cursor.pulled_at_ms, cursor.pulled_at_ms - grace_s * 1000, now_ms - open_after_s * 1000)
    reconciliation = Reconciliation(cut_off, max_kept)
    ours = _read_pages(lambda after: store.reports.read_tickets(agent.agent_id, SERVICE_PROTOCOL, after, PAGE_SIZE))
    theirs = _read_pages(lambda after: store.reports.read_reported_tickets(agent.agent_id, after, PAGE_SIZE))
    async for ticket, reported in _pair_by_ticket(ours, theirs):
        reconciliation.add_pair(ticket, reported, _accounting_day(ticket, reported))
        if (done := reconciliation.counts.total()) % BATCH_SIZE == 0:
            progress(done)
            await asyncio.sleep(0)
    for orphan in await store.reports.read_orphans(agent.agent_id):
        reconciliation.add(MatchStatus.ORPHAN_WIN, orphan, None)
    return reconciliation


async def _read_pages(read: Callable[[str], Awaitable[list[T]]]) -> AsyncIterator[T]:
    after = ""
    while page := await read(after):
        for each in page:
            yield each
        after = page[-1].ticket


async def _pair_by_ticket(
    ours: AsyncIterator[Ticket], theirs: AsyncIterator[ReportedTicket]
) -> AsyncIterator[tuple[Ticket | None, ReportedTicket | None]]:
    """Both sides side by side, in order of their tickets."""
    ticket, reported = await anext(ours, None), await anext(theirs, None)
    while ticket or reported:
        first = min(each.ticket for each in (ticket, reported) if each)
        left = ticket if ticket and ticket.ticket == first else None
        right = reported if reported and reported.ticket == first else None
        yield left, right
        ticket = await anext(ours, None) if left else ticket
        reported = await anext(theirs, None) if right else reported


def _accounting_day(ours: Ticket | None, theirs: ReportedTicket | None) -> str:
    """The ledger's day of the bet, or what the report calls its day where the ledger knows of none."""
    if ours:
        return datetime.fromtimestamp(ours.opened_at_ms / 1000, UTC).strftime("%Y-%m-%d")
    return theirs.reported_at[:10] if theirs else ""


def to_document(reconciliation: Reconciliation) -> Reply:
    """The reconciliation as JSON; amounts are cents."""
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
