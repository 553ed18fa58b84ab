"""The charts of the back office, built from ledger data."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from minwallet.ledger.entries import Entry
from minwallet.ledger.time_units import DAY_MS
from minwallet.storage.queries import MinuteCount
from minwallet.web.formatting import format_money
from minwallet.web.templating import Chart, Series


class ChartView(NamedTuple):
    """A chart, its title, and a sentence that describes it for people who cannot see it."""

    chart: Chart
    title: str
    text: str


def build_balance_chart(entries: Sequence[Entry], currency: str) -> ChartView | None:
    """Return the chart of an account's balance after each of its newest `entries`, one value per second.

    Return None if the entries have fewer than two different seconds.
    """
    last_entries = {entry.at_ms // 1000: entry for entry in sorted(entries, key=lambda entry: entry.seq)}
    # Sorted by time: after a clock was set back, the line must not run backwards.
    times = sorted(last_entries)
    if len(times) < 2:
        return None
    balances = [last_entries[at].cash_after + last_entries[at].bonus_after for at in times]
    series = Series(label="Balance", values=balances, shape="steps", colour="accent")
    text = (
        f"between {format_money(min(balances))} and {format_money(max(balances))}, cash and bonus together, in the"
        f" newest {len(entries)} entries; now {format_money(balances[-1])}"
    )
    return ChartView(Chart(x=times, series=[series], money=True, days=False), f"Balance in {currency}", text)


def build_bets_chart(minutes: Sequence[MinuteCount]) -> ChartView:
    """Return the chart of the number of bets in each minute."""
    values = [minute.bets for minute in minutes]
    series = Series(label="Bets", values=values, shape="bars", colour="accent")
    chart = Chart(x=[minute.at_ms // 1000 for minute in minutes], series=[series], money=False, days=False)
    text = f"{sum(values)} bets in the last hour, up to {max(values)} in a minute"
    return ChartView(chart, "Bets per minute", text)


def build_revenue_chart(days: Mapping[int, int], currency: str) -> ChartView:
    """Return the chart of the revenue per day; `days` maps days since 1970 to cents, and the last one is today."""
    values = list(days.values())
    series = Series(label="Revenue", values=values, shape="bars", colour="accent")
    chart = Chart(x=[day * DAY_MS // 1000 for day in days], series=[series], money=True, days=True)
    title = f"Gross gaming revenue by day{f', {currency}' if currency else ''}"
    text = f"{format_money(sum(values))} in {len(values)} days, {format_money(values[-1])} of it today"
    return ChartView(chart, title, text)
