"""The reference engine's half of what people look at, read from the rows themselves each time it is asked for."""

from collections import Counter
from collections.abc import Sequence

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry, Kind, State
from minwallet.storage.queries import CurrencyBalance, DailyTotalKey, EntryPage, Filter, MinuteCount, OwnedEntry, Total

MINUTE_MS = 60_000
DAY_MS = 24 * 3600 * 1000


class MemoryLedgerQueries:
    """The `LedgerQueries` of `storage.views`, for an engine that can show all rows with their owners, oldest first."""

    def _list_owned_entries(self) -> list[OwnedEntry]:
        raise NotImplementedError

    def _list_balances(self) -> list[tuple[AccountRef, int, int]]:
        raise NotImplementedError

    async def count_missing_entries(self) -> int:
        return 0

    async def read_page(self, entry_filter: Filter, before: int | None, limit: int) -> EntryPage:
        return _make_page([each for each in self._list_owned_entries() if entry_filter.matches(*each)], before, limit)

    async def read_entries_after(self, entry_filter: Filter, after: int, limit: int) -> EntryPage:
        newer = [each for each in self._list_owned_entries() if each.entry.seq > after]
        rows = [each for each in newer if entry_filter.matches(*each)][:limit]
        last = newer[-1].entry.seq if newer else after
        return EntryPage(rows, rows[-1].entry.seq if len(rows) == limit else last)

    async def read_open_bets(self, agent: str | None, before: int | None, limit: int) -> EntryPage:
        rows = self._list_owned_entries()
        found = [each for each in rows if agent in (None, each.owner.agent) and _is_open_bet(each, rows)]
        return _make_page(found, before, limit)

    async def count_open_rounds(self, newest_rows: int) -> int:
        rows = self._list_owned_entries()[-newest_rows:]
        return len(
            {
                (_find_id_scope(*each), each.entry.account_id, each.entry.round)
                for each in rows
                if _is_open_bet(each, rows)
            }
        )

    async def aggregate_totals(self, limit: int) -> int:
        """Nothing is kept that could lag behind."""
        del limit
        return 0

    async def read_totals(
        self, since_day: int, until_day: int, agent: str | None
    ) -> Sequence[tuple[DailyTotalKey, Total]]:
        found: dict[DailyTotalKey, Total] = {}
        for entry, owner in self._list_owned_entries():
            game = entry.game or self._find_bet_game(entry, owner) or ""
            key = DailyTotalKey(entry.at_ms // DAY_MS, owner.agent, owner.currency, entry.protocol, game)
            moved = entry.amount + entry.bonus_amount
            total = Total.from_rows(
                entry.kind, entry.state, rows=1, stake=entry.stake, payout=entry.payout, moved=moved
            )
            found[key] = found.get(key, Total()).plus(total)
        return [
            (heading, total)
            for heading, total in sorted(found.items())
            if since_day <= heading.day < until_day and agent in (None, heading.agent)
        ]

    def _find_bet_game(self, entry: Entry, owner: AccountRef) -> str | None:
        """A result need not name the game, which then is that of its bet."""
        bets = (
            bet.game
            for bet, whose in self._list_owned_entries()
            if bet.kind is Kind.BET
            and bet.id == entry.id
            and _find_id_scope(bet, whose) == _find_id_scope(entry, owner)
        )
        return next(bets, None) if entry.kind is Kind.WIN else None

    async def read_minute_counts(self, since_ms: int) -> list[MinuteCount]:
        bets = Counter[int]()
        for entry, _ in self._list_owned_entries():
            is_bet = entry.kind in (Kind.BET, Kind.BETWIN) and entry.state is State.APPLIED
            bets[entry.at_ms // MINUTE_MS] += is_bet
        return [
            MinuteCount(minute * MINUTE_MS, bets[minute]) for minute in sorted(bets) if minute >= since_ms // MINUTE_MS
        ]

    async def read_currency_balances(self) -> list[CurrencyBalance]:
        moved = Counter[str]()
        for entry, owner in self._list_owned_entries():
            moved[owner.currency] += entry.amount + entry.bonus_amount
        found: dict[str, CurrencyBalance] = {}
        for owner, cash, bonus in self._list_balances():
            balance = found.get(owner.currency, CurrencyBalance(owner.currency, 0, 0, 0, moved[owner.currency]))
            found[owner.currency] = balance._replace(
                accounts=balance.accounts + 1, cash=balance.cash + cash, bonus=balance.bonus + bonus
            )
        return [found[currency] for currency in sorted(found)]


def _make_page(rows: Sequence[OwnedEntry], before: int | None, limit: int) -> EntryPage:
    found = [each for each in reversed(rows) if before is None or each.entry.seq < before][:limit]
    return EntryPage(found, found[-1].entry.seq if len(found) == limit else None)


def _is_open_bet(bet: OwnedEntry, rows: Sequence[OwnedEntry]) -> bool:
    """Whether no later row has called the bet off, or won its round."""
    entry, owner = bet
    later_entries = [
        other
        for other, whose in rows
        if other.seq > entry.seq and _find_id_scope(other, whose) == _find_id_scope(entry, owner)
    ]
    return (
        (entry.kind, entry.state) == (Kind.BET, State.APPLIED)
        and not any(other.kind is Kind.CANCEL and other.id == entry.id for other in later_entries)
        and not any(
            other.kind is Kind.WIN and other.round == entry.round and other.account_id == entry.account_id
            for other in later_entries
        )
    )


def _find_id_scope(entry: Entry, owner: AccountRef) -> tuple[str, str, str]:
    """At least as narrow as where ids are unique; more makes no difference for one account's bets."""
    return owner.agent, entry.protocol, owner.currency
