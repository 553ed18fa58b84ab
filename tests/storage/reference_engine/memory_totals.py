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
            game = entry.game or self._find_round_game(entry) or self._find_bet_game(entry, owner) or ""
            key = DailyTotalKey(entry.at_ms // DAY_MS, owner.agent, owner.currency, entry.protocol, game)
            total = self._make_total(entry)
            found[key] = found.get(key, Total()).plus(total)
        return [
            (key, total)
            for key, total in sorted(found.items())
            if since_day <= key.day < until_day and agent in (None, key.agent)
        ]

    def _make_total(self, entry: Entry) -> Total:
        moved = entry.amount + entry.bonus_amount
        total = Total.from_rows(entry.kind, entry.state, rows=1, stake=entry.stake, payout=entry.payout, moved=moved)
        target = self._state.find_target(entry)
        if entry.kind is Kind.ROLLBACK and target and target.kind is Kind.WIN:
            return Total(paid=moved, moved=moved, orphan_paid=moved if target.state is State.ORPHAN else 0)
        if entry.kind is Kind.ROUND_ROLLBACK and entry.state is State.APPLIED:
            earlier = [(each, self._state.find_target(each) or each) for each in self._find_round(entry)]
            staked = -sum(each.amount + each.bonus_amount for each, source in earlier if source.kind is not Kind.WIN)
            orphan = sum(each.amount for each, source in earlier if source.state is State.ORPHAN)
            return total._replace(refunded=staked, paid=moved - staked, orphan_paid=max(moved - staked, -orphan))
        return total

    def _find_round(self, entry: Entry) -> list[Entry]:
        """Return the earlier entries of the same account, protocol and round."""
        key = (entry.account_id, entry.protocol, entry.round)
        entries = self._state.entries[: entry.seq - 1]
        return [each for each in entries if (each.account_id, each.protocol, each.round) == key]

    def _find_round_game(self, entry: Entry) -> str | None:
        """Return the game of the round that this entry rolls back."""
        games = [each.game for each in self._find_round(entry) if each.game]
        return max(games, default=None) if entry.kind is Kind.ROUND_ROLLBACK else None

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
        found: dict[str, OrphanWins] = {}
        for entry, owner in self._state.list_owned_entries():
            total, before = self._make_total(entry), found.get(owner.currency, OrphanWins(owner.currency, 0, 0))
            if total.orphan_wins or total.orphan_paid:
                wins, paid = before.wins + total.orphan_wins, before.paid + total.orphan_paid
                found[owner.currency] = OrphanWins(owner.currency, wins, paid)
        return [found[currency] for currency in sorted(found)]

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
