"""The totals of the reference engine, computed from all entries whenever they are read."""

from collections import Counter
from collections.abc import Sequence

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry, Kind, State
from minwallet.ledger.time_units import DAY_MS, MINUTE_MS
from minwallet.storage.queries import CurrencyBalance, DailyTotalKey, MinuteCount, OrphanWins, Total
from tests.storage.reference_engine.memory_ledger import find_id_scope
from tests.storage.reference_engine.memory_state import MemoryState


class MemoryTotalsStore:
    """The `TotalsStore` in memory."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def aggregate_totals(self, limit: int) -> int:
        """Do nothing, as no totals are stored."""
        del limit
        return 0

    async def read_totals(
        self, since_day: int, until_day: int, agent: str | None
    ) -> Sequence[tuple[DailyTotalKey, Total]]:
        found: dict[DailyTotalKey, Total] = {}
        for entry, owner in self._state.list_owned_entries():
            game = entry.game or self._find_bet_game(entry, owner) or ""
            key = DailyTotalKey(entry.at_ms // DAY_MS, owner.agent, owner.currency, entry.protocol, game)
            moved = entry.amount + entry.bonus_amount
            total = Total.from_rows(
                entry.kind, entry.state, rows=1, stake=entry.stake, payout=entry.payout, moved=moved
            )
            found[key] = found.get(key, Total()).plus(total)
        return [
            (key, total)
            for key, total in sorted(found.items())
            if since_day <= key.day < until_day and agent in (None, key.agent)
        ]

    def _find_bet_game(self, entry: Entry, owner: AccountRef) -> str | None:
        """Return the game of a result's bet, for a result without a game."""
        bets = (
            bet.game
            for bet, whose in self._state.list_owned_entries()
            if bet.kind is Kind.BET and bet.id == entry.id and find_id_scope(bet, whose) == find_id_scope(entry, owner)
        )
        return next(bets, None) if entry.kind is Kind.WIN else None

    async def read_minute_counts(self, since_ms: int) -> list[MinuteCount]:
        bets = Counter[int]()
        for entry, _ in self._state.list_owned_entries():
            is_bet = entry.kind in (Kind.BET, Kind.BETWIN) and entry.state is State.APPLIED
            bets[entry.at_ms // MINUTE_MS] += is_bet
        return [
            MinuteCount(minute * MINUTE_MS, bets[minute]) for minute in sorted(bets) if minute >= since_ms // MINUTE_MS
        ]

    async def read_orphan_wins(self) -> list[OrphanWins]:
        found: dict[str, list[int]] = {}
        for entry, owner in self._state.list_owned_entries():
            if entry.state is State.ORPHAN:
                found.setdefault(owner.currency, []).append(entry.payout)
        return [OrphanWins(currency, len(found[currency]), sum(found[currency])) for currency in sorted(found)]

    async def read_currency_balances(self) -> list[CurrencyBalance]:
        moved = Counter[str]()
        for entry, owner in self._state.list_owned_entries():
            moved[owner.currency] += entry.amount + entry.bonus_amount
        found: dict[str, CurrencyBalance] = {}
        for currency, account in [(each.currency, each.account) for each in self._state.accounts]:
            balance = found.get(currency, CurrencyBalance(currency, 0, 0, 0, moved[currency]))
            found[currency] = balance._replace(
                accounts=balance.accounts + 1, cash=balance.cash + account.cash, bonus=balance.bonus + account.bonus
            )
        return [found[currency] for currency in sorted(found)]
