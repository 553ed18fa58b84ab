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
    cash = [last[at].cash_after for at in times]
    bonus = [last[at].bonus_after for at in times]
    series = [Series(label="Cash", values=cash, shape="steps", colour="accent")]
    if any(bonus):
        series.append(Series(label="Bonus", values=bonus, shape="steps", colour="soft"))
    now = f"{show_money(cash[-1])} of cash" + (f" and {show_money(bonus[-1])} of bonus" if any(bonus) else "")
    text = (
        f"between {show_money(min(cash))} and {show_money(max(cash))} of cash in the newest"
        f" {len(entries)} entries, now {now}"
    )
    return Drawing(Chart(x=times, series=series, money=True, days=False), f"Balance in {currency}", text)
