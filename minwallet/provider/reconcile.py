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
from minwallet.provider.service import SERVICE
from minwallet.storage.store import Store

PAGE, AT_ONCE = 2_000, 100
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
    most_kept: int | None = None,
) -> Reconciliation:
    """What the two sides come to. A bet may stay open for `open_after_s`; what moved less than `grace_s` before the
    pull is not due yet. Tells `progress` how many tickets are done. Declines where no pull has reached the end.
    """
    agent = await get_agent(store, agent_name)
    mark = await store.find_report_cursor(agent.agent_id)
    if mark.pulled_at_ms is None:
        raise OperationError("there is no whole report yet", hint=f"run: minwallet report pull --agent {agent.name}")
    horizon = CutOff(mark.pulled_at_ms, mark.pulled_at_ms - grace_s * 1000, now_ms - open_after_s * 1000)
    found = Reconciliation(horizon, most_kept)
    ours = _pages(lambda after: store.read_tickets(agent.agent_id, SERVICE, after, PAGE))
    theirs = _pages(lambda after: store.read_reported_tickets(agent.agent_id, after, PAGE))
    async for ticket, reported in _pairs(ours, theirs):
        found.add_pair(ticket, reported, _day(ticket, reported))
        if (done := found.counts.total()) % AT_ONCE == 0:
            progress(done)
            await asyncio.sleep(0)
    for orphan in await store.read_orphans(agent.agent_id):
        found.add(MatchStatus.ORPHAN_WIN, orphan, None)
    return found


async def _pages(read: Callable[[str], Awaitable[list[T]]]) -> AsyncIterator[T]:
    after = ""
    while page := await read(after):
        for each in page:
            yield each
        after = page[-1].ticket


async def _pairs(
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


def _day(ours: Ticket | None, theirs: ReportedTicket | None) -> str:
    """The ledger's day of the bet, or what the report calls its day where the ledger knows of none."""
    if ours:
        return datetime.fromtimestamp(ours.opened_at_ms / 1000, UTC).strftime("%Y-%m-%d")
    return theirs.reported_at[:10] if theirs else ""


def as_document(found: Reconciliation) -> Reply:
    """The reconciliation as JSON; amounts are cents."""
    nothing = TicketTotals()
    totals = [
        {
            **heading._asdict(),
            "ledger": found.ours.get(heading, nothing)._asdict(),
            "report": found.theirs.get(heading, nothing)._asdict(),
        }
        for heading in found.list_totals_keys()
    ]
    return {
        "ok": not found.discrepancies,
        "pulled_at": format_iso(found.cut_off.pulled_at_ms),
        "counts": {str(finding): number for finding, number in found.counts.items()},
        "differences": [_difference(*each) for each in found.discrepancies],
        "totals": totals,
    }


def _difference(finding: MatchStatus, ours: Ticket | None, theirs: ReportedTicket | None) -> Reply:
    named = ours or theirs
    assert named is not None
    reported_at = theirs.reported_at if theirs else None
    return {
        "finding": str(finding),
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
