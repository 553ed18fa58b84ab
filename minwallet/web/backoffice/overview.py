"""The page Overview: balances, ledger check, bets, revenue, open rounds and health. It updates automatically."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from starlette.responses import Response
from starlette.routing import Route

from minwallet.ledger.time_units import DAY_MS, MINUTE_MS
from minwallet.operations.maintenance import aggregate_newest
from minwallet.storage.queries import CurrencyBalance, DailyTotalKey, EntryPage, Filter, MinuteCount, OwnedEntry, Total
from minwallet.storage.store import Store
from minwallet.web.backoffice.charts import build_bets_chart, build_revenue_chart
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.formatting import format_money
from minwallet.web.ttl_cache import AsyncTTLCache

PATH = "/admin"


CHART_MINUTES, CHART_DAYS, REVENUE_DAYS = 60, 14, 30

MAX_OPEN_BETS, OPEN_BETS_SHOWN, RECENT_ROWS, GAMES_SHOWN = 100, 5, 10, 10

CACHE_TTL_S = 2.0
"""The time for which all open pages share the same figures, in seconds."""


class OverviewFigures(NamedTuple):
    """The data of the page; `today` is the number of days since 1970."""

    today: int
    now_ms: int
    holdings: Sequence[CurrencyBalance]
    totals: Sequence[tuple[DailyTotalKey, Total]]
    minutes: Sequence[MinuteCount]
    open_bets: EntryPage


class GameRevenue(NamedTuple):
    """A game's revenue today, in 7 and in 30 days, in cents of one currency, and its number of bets in 30 days."""

    game: str
    today: int
    week: int
    month: int
    bets: int


def routes(router: PageRouter) -> list[Route]:
    overview = _OverviewPages(router)
    return [router.get(PATH, overview.render_overview), router.get(f"{PATH}/overview/figures", overview.render_figures)]


class _OverviewPages:
    def __init__(self, router: PageRouter) -> None:
        self._router = router
        self._figures_cache = AsyncTTLCache(
            lambda: read_overview_figures(router.wallet.store, router.wallet.clock_ms()), CACHE_TTL_S
        )

    async def render_overview(self, context: PageContext) -> Response:
        store = context.wallet.store
        newest = await store.ledger.count_entries()
        rows = (await store.ledger.read_page(Filter(), newest + 1, RECENT_ROWS)).rows
        variables = await self._build_context(context)
        return context.render(
            "backoffice/overview.html", rows=rows, feed_url=f"/admin/feed?after={newest}", **variables
        )

    async def render_figures(self, context: PageContext) -> Response:
        return context.render("backoffice/overview_figures.html", **await self._build_context(context))

    async def _build_context(self, context: PageContext) -> dict[str, Any]:
        figures = await self._figures_cache.get()
        currencies = [held.currency for held in figures.holdings]
        requested = context.request.query_params.get("currency", "")
        currency = (
            requested if requested in currencies else _find_busiest_currency(figures.totals) or (currencies or [""])[0]
        )
        currency_totals = [(heading, total) for heading, total in figures.totals if heading.currency == currency]
        bets = [minute.bets for minute in figures.minutes]
        return {
            "figures": figures,
            "currency": currency,
            "currencies": currencies,
            "is_consistent": all(held.is_consistent for held in figures.holdings),
            "bets": bets,
            "orphan_wins": sum(total.orphan_wins for _, total in figures.totals),
            "orphan_paid": _format_orphan_payouts(figures.totals),
            "bets_chart": build_bets_chart(figures.minutes),
            "revenue_chart": build_revenue_chart(_sum_by_day(currency_totals, figures.today), currency),
            "max_games": GAMES_SHOWN,
            "games": _sum_by_game(currency_totals, figures.today),
            "open_bets_shown": list[OwnedEntry](figures.open_bets.rows[:OPEN_BETS_SHOWN]),
            "health": self._router.check_health(),
        }


async def read_overview_figures(store: Store, now_ms: int) -> OverviewFigures:
    """Read all data of the page, including the newest entries."""
    await aggregate_newest(store)
    today, first_ms = now_ms // DAY_MS, (now_ms // MINUTE_MS - CHART_MINUTES + 1) * MINUTE_MS
    minutes_by_time = {minute.at_ms: minute for minute in await store.totals.read_minute_counts(first_ms)}
    times = [first_ms + number * MINUTE_MS for number in range(CHART_MINUTES)]
    return OverviewFigures(
        today=today,
        now_ms=now_ms,
        holdings=await store.totals.read_currency_balances(),
        totals=await store.totals.read_totals(today - REVENUE_DAYS + 1, today + 1, None),
        minutes=[minutes_by_time.get(at_ms, MinuteCount(at_ms, 0)) for at_ms in times],
        open_bets=await store.ledger.read_open_bets(None, None, MAX_OPEN_BETS),
    )


def _format_orphan_payouts(day_totals: Iterable[tuple[DailyTotalKey, Total]]) -> str:
    """Return what was paid for wins without a bet by currency, "" if there were none."""
    paid: dict[str, int] = {}
    for heading, total in day_totals:
        if total.orphan_wins:
            paid[heading.currency] = paid.get(heading.currency, 0) + total.orphan_paid
    return ", ".join(f"{format_money(cents)} {currency}" for currency, cents in sorted(paid.items()))


def _find_busiest_currency(day_totals: Iterable[tuple[DailyTotalKey, Total]]) -> str:
    """Return the currency with the most bets, "" if there are none."""
    bets: dict[str, int] = {}
    for heading, total in day_totals:
        bets[heading.currency] = bets.get(heading.currency, 0) + total.bets
    return max(bets, key=lambda currency: (bets[currency], currency), default="")


def _sum_by_game(day_totals: Iterable[tuple[DailyTotalKey, Total]], today: int) -> list[GameRevenue]:
    """Return the games of one currency, those with the most bets first."""
    rows: dict[str, GameRevenue] = {}
    for heading, total in day_totals:
        if total.bets or total.wins or total.refunds:
            age, previous = today - heading.day, rows.get(heading.game, GameRevenue(heading.game, 0, 0, 0, 0))
            rows[heading.game] = GameRevenue(
                heading.game,
                previous.today + (total.ggr if age < 1 else 0),
                previous.week + (total.ggr if age < 7 else 0),
                previous.month + total.ggr,
                previous.bets + total.bets,
            )
    return sorted(rows.values(), key=lambda row: (-row.bets, row.game))


def _sum_by_day(day_totals: Iterable[tuple[DailyTotalKey, Total]], today: int) -> dict[int, int]:
    """Return the revenue of each of the last CHART_DAYS days, in cents of one currency."""
    days = dict.fromkeys(range(today - CHART_DAYS + 1, today + 1), 0)
    for heading, total in day_totals:
        if heading.day in days:
            days[heading.day] += total.ggr
    return days
