"""The reference engine's half of what protects players: everything is added up anew from the rows."""

from dataclasses import dataclass, field

from minwallet.ledger.entries import Entry, Kind
from minwallet.ledger.limits import DAY_MS, FREE, LONGEST_DAYS, NOTHING, Bound, Guard, Limit, LimitKind, Per, Spent
from minwallet.storage.limits import LimitAsked


@dataclass
class MemoryLimits:
    """The `Limits` of `storage.limits`, forgotten at the end."""

    _limits: dict[tuple[int, LimitKind, Per], Bound] = field(default_factory=dict)
    _exclusions: dict[int, Bound] = field(default_factory=dict)

    def _entries_of(self, account_id: int) -> list[Entry]:
        raise NotImplementedError

    def _player_of(self, account_id: int) -> int:
        raise NotImplementedError

    async def ask_limit(self, asked: LimitAsked, now_ms: int) -> None:
        key = asked[:3]
        self._limits[key] = self._limits.get(key, NOTHING).ask_limit(asked.cents, now_ms)

    async def ask_exclusion(self, player_key: int, until_ms: int | None, now_ms: int) -> None:
        held = self._exclusions.get(player_key, NOTHING)
        self._exclusions[player_key] = held.ask_exclusion(until_ms, now_ms)

    async def find_guard(self, account_id: int, now_ms: int) -> Guard:
        return self._guard(account_id, now_ms)

    def _guard(self, account_id: int, now_ms: int) -> Guard:
        exclusion = self._exclusions.get(self._player_of(account_id), NOTHING)
        limits = tuple(Limit(*key[1:], bound) for key, bound in sorted(self._limits.items()) if key[0] == account_id)
        if not limits:
            return Guard(exclusion) if exclusion != NOTHING else FREE
        spent: dict[int, Spent] = {}
        for entry in self._entries_of(account_id):
            day = entry.at_ms // DAY_MS
            if entry.amount and entry.kind is not Kind.WITHDRAW and day > now_ms // DAY_MS - LONGEST_DAYS:
                given, lost = (entry.amount, 0) if entry.kind is Kind.DEPOSIT else (0, -entry.amount)
                before = spent.get(day, Spent(day, 0, 0))
                spent[day] = Spent(day, before.deposited + given, before.lost + lost)
        return Guard(exclusion, limits, tuple(spent[day] for day in sorted(spent)))
