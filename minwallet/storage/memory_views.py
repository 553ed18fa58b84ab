"""The reference engine's half of what people look at, read from the rows themselves each time it is asked for."""

from collections import Counter
from collections.abc import Sequence

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry, Kind, State
from minwallet.storage.views import Filter, Heading, Holding, Listed, Minute, Page, Total

MINUTE_MS = 60_000
DAY_MS = 24 * 3600 * 1000


class MemoryViews:
    """The `Views` of `storage.views`, for an engine that can show all rows with their owners, oldest first."""

    def _all(self) -> list[Listed]:
        raise NotImplementedError

    def _balances(self) -> list[tuple[AccountRef, int, int]]:
        raise NotImplementedError

    async def count_missing(self) -> int:
        return 0

    async def read_page(self, wanted: Filter, before: int | None, limit: int) -> Page:
        return _back([each for each in self._all() if wanted.admits(*each)], before, limit)

    async def read_news(self, wanted: Filter, after: int, limit: int) -> Page:
        newer = [each for each in self._all() if each.entry.seq > after]
        rows = [each for each in newer if wanted.admits(*each)][:limit]
        last = newer[-1].entry.seq if newer else after
        return Page(rows, rows[-1].entry.seq if len(rows) == limit else last)

    async def read_open_bets(self, agent: str | None, before: int | None, limit: int) -> Page:
        rows = self._all()
        found = [each for each in rows if agent in (None, each.owner.agent) and _is_open(each, rows)]
        return _back(found, before, limit)

    async def count_open_rounds(self, among: int) -> int:
        rows = self._all()[-among:]
        return len({(_space(*each), each.entry.account_id, each.entry.round) for each in rows if _is_open(each, rows)})

    async def sum_up(self, limit: int) -> int:
        """Nothing is kept that could lag behind."""
        del limit
        return 0

    async def read_totals(self, since_day: int, until_day: int, agent: str | None) -> Sequence[tuple[Heading, Total]]:
        found: dict[Heading, Total] = {}
        for entry, owner in self._all():
            game = entry.game or self._game_of_bet(entry, owner) or ""
            heading = Heading(entry.at_ms // DAY_MS, owner.agent, owner.currency, entry.protocol, game)
            moved = entry.amount + entry.bonus_amount
            total = Total.of(entry.kind, entry.state, rows=1, stake=entry.stake, payout=entry.payout, moved=moved)
            found[heading] = found.get(heading, Total()).plus(total)
        return [
            (heading, total)
            for heading, total in sorted(found.items())
            if since_day <= heading.day < until_day and agent in (None, heading.agent)
        ]

    def _game_of_bet(self, entry: Entry, owner: AccountRef) -> str | None:
        """A result need not name the game, which then is that of its bet."""
        bets = (
            bet.game
            for bet, whose in self._all()
            if bet.kind is Kind.BET and bet.id == entry.id and _space(bet, whose) == _space(entry, owner)
        )
        return next(bets, None) if entry.kind is Kind.WIN else None

    async def read_minutes(self, since_ms: int) -> list[Minute]:
        bets = Counter[int]()
        for entry, _ in self._all():
            is_bet = entry.kind in (Kind.BET, Kind.BETWIN) and entry.state is State.APPLIED
            bets[entry.at_ms // MINUTE_MS] += is_bet
        return [Minute(minute * MINUTE_MS, bets[minute]) for minute in sorted(bets) if minute >= since_ms // MINUTE_MS]

    async def read_holdings(self) -> list[Holding]:
        moved = Counter[str]()
        for entry, owner in self._all():
            moved[owner.currency] += entry.amount + entry.bonus_amount
        found: dict[str, Holding] = {}
        for owner, cash, bonus in self._balances():
            held = found.get(owner.currency, Holding(owner.currency, 0, 0, 0, moved[owner.currency]))
            found[owner.currency] = held._replace(
                accounts=held.accounts + 1, cash=held.cash + cash, bonus=held.bonus + bonus
            )
        return [found[currency] for currency in sorted(found)]


def _back(rows: Sequence[Listed], before: int | None, limit: int) -> Page:
    found = [each for each in reversed(rows) if before is None or each.entry.seq < before][:limit]
    return Page(found, found[-1].entry.seq if len(found) == limit else None)


def _is_open(bet: Listed, rows: Sequence[Listed]) -> bool:
    """Whether no later row has called the bet off, or won its round."""
    entry, owner = bet
    same = [other for other, whose in rows if other.seq > entry.seq and _space(other, whose) == _space(entry, owner)]
    return (
        (entry.kind, entry.state) == (Kind.BET, State.APPLIED)
        and not any(other.kind is Kind.CANCEL and other.id == entry.id for other in same)
        and not any(
            other.kind is Kind.WIN and other.round == entry.round and other.account_id == entry.account_id
            for other in same
        )
    )


def _space(entry: Entry, owner: AccountRef) -> tuple[str, str, str]:
    """At least as narrow as where ids are unique; more makes no difference for one account's bets."""
    return owner.agent, entry.protocol, owner.currency
