"""The overview: what players hold, what comes in, what is open, and whether all is well. It updates by itself."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from starlette.responses import Response
from starlette.routing import Route

from minwallet.operations import totals_aggregation
from minwallet.storage.queries import CurrencyBalance, DailyTotalKey, EntryPage, Filter, MinuteCount, OwnedEntry, Total
from minwallet.storage.store import Store
from minwallet.web.backoffice.charts import DAY_MS, bets_chart, revenue_chart
from minwallet.web.backoffice.frame import Frame, Visit
from minwallet.web.ttl_cache import AsyncTTLCache

PATH = "/admin"

MINUTE_MS = 60_000

MINUTES, CHART_DAYS, DAYS = 60, 14, 30

OPEN, OPEN_SHOWN, ROWS, GAMES = 100, 5, 10, 10

FRESH_S = 2.0
"""However many people look, figures are read anew only so often."""


class Figures(NamedTuple):
    """What was read of the ledger; `today` counts days since 1970."""

    today: int
    now_ms: int
    holdings: Sequence[CurrencyBalance]
    totals: Sequence[tuple[DailyTotalKey, Total]]
    minutes: Sequence[MinuteCount]
    open: EntryPage


class GameRow(NamedTuple):
    """A game's revenue today, in 7 and in 30 days, in cents of one currency, and how many bets those were."""

    game: str
    today: int
    week: int
    month: int
    bets: int


def routes(frame: Frame) -> list[Route]:
    overview = _Overview(frame)
    return [frame.get(PATH, overview.show), frame.get(f"{PATH}/overview/figures", overview.show_figures)]


class _Overview:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._figures = AsyncTTLCache(lambda: read_figures(frame.wallet.store, frame.wallet.clock_ms()), FRESH_S)

    async def show(self, visit: Visit) -> Response:
        store = visit.wallet.store
        newest = await store.count_entries()
        rows = (await store.read_page(Filter(), newest + 1, ROWS)).rows
        context = await self._tell(visit)
        return visit.render("office/overview.html", rows=rows, feed=f"/admin/feed?after={newest}", **context)

    async def show_figures(self, visit: Visit) -> Response:
        return visit.render("office/figures.html", **await self._tell(visit))

    async def _tell(self, visit: Visit) -> dict[str, Any]:
        figures = await self._figures.get()
        currencies = [held.currency for held in figures.holdings]
        asked = visit.request.query_params.get("currency", "")
        currency = asked if asked in currencies else _busiest(figures.totals) or (currencies or [""])[0]
        mine = [(heading, total) for heading, total in figures.totals if heading.currency == currency]
        bets = [minute.bets for minute in figures.minutes]
        return {
            "figures": figures,
            "currency": currency,
            "currencies": currencies,
            "is_right": all(held.is_consistent for held in figures.holdings),
            "bets": bets,
            "bets_chart": bets_chart(figures.minutes),
            "revenue_chart": revenue_chart(_by_day(mine, figures.today), currency),
            "games_shown": GAMES,
            "games": _by_game(mine, figures.today),
            "open_shown": list[OwnedEntry](figures.open.rows[:OPEN_SHOWN]),
            "health": self._frame.examine(),
        }


async def read_figures(store: Store, now_ms: int) -> Figures:
    """Everything that the figures are made of, with the newest rows in it."""
    await totals_aggregation.aggregate_newest(store)
    today, first_ms = now_ms // DAY_MS, (now_ms // MINUTE_MS - MINUTES + 1) * MINUTE_MS
    known = {minute.at_ms: minute for minute in await store.read_minute_counts(first_ms)}
    times = [first_ms + number * MINUTE_MS for number in range(MINUTES)]
    return Figures(
        today=today,
        now_ms=now_ms,
        holdings=await store.read_currency_balances(),
        totals=await store.read_totals(today - DAYS + 1, today + 1, None),
        minutes=[known.get(at_ms, MinuteCount(at_ms, 0)) for at_ms in times],
        open=await store.read_open_bets(None, None, OPEN),
    )


def _busiest(found: Iterable[tuple[DailyTotalKey, Total]]) -> str:
    """The currency with the most bets."""
    bets: dict[str, int] = {}
    for heading, total in found:
        bets[heading.currency] = bets.get(heading.currency, 0) + total.bets
    return max(bets, key=lambda currency: (bets[currency], currency), default="")


def _by_game(found: Iterable[tuple[DailyTotalKey, Total]], today: int) -> list[GameRow]:
    """The games of one currency, those with the most bets first."""
    rows: dict[str, GameRow] = {}
    for heading, total in found:
        if total.bets or total.wins or total.refunds:
            age, old = today - heading.day, rows.get(heading.game, GameRow(heading.game, 0, 0, 0, 0))
            rows[heading.game] = GameRow(
                heading.game,
                old.today + (total.ggr if age < 1 else 0),
                old.week + (total.ggr if age < 7 else 0),
                old.month + total.ggr,
                old.bets + total.bets,
            )
    return sorted(rows.values(), key=lambda row: (-row.bets, row.game))


def _by_day(found: Iterable[tuple[DailyTotalKey, Total]], today: int) -> dict[int, int]:
    """The revenue of each of the last days, in cents of one currency."""
    days = dict.fromkeys(range(today - CHART_DAYS + 1, today + 1), 0)
    for heading, total in found:
        if heading.day in days:
            days[heading.day] += total.ggr
    return days
