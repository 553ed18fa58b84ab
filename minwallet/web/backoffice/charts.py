"""Drawings of what the ledger says."""

from collections.abc import Sequence
from typing import NamedTuple

from minwallet.ledger.entries import Entry
from minwallet.web.pages import Chart, Series, show_money


class Drawing(NamedTuple):
    """A chart, its title, and in a sentence what is to be seen."""

    chart: Chart
    title: str
    text: str


def balance_chart(entries: Sequence[Entry], currency: str) -> Drawing | None:
    """What an account held after each of these entries, its newest, one value a second; None for fewer than two."""
    last = {entry.at_ms // 1000: entry for entry in sorted(entries, key=lambda entry: entry.seq)}
    # A clock that was set back shall not draw a line back.
    times = sorted(last)
    if len(times) < 2:
        return None
    held = [last[at].cash_after + last[at].bonus_after for at in times]
    series = Series(label="Balance", values=held, shape="steps", colour="accent")
    text = (
        f"between {show_money(min(held))} and {show_money(max(held))}, cash and bonus together, in the newest"
        f" {len(entries)} entries; now {show_money(held[-1])}"
    )
    return Drawing(Chart(x=times, series=[series], money=True, days=False), f"Balance in {currency}", text)
