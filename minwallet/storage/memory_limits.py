"""The reference engine's half of what protects players: everything is added up anew from the rows."""

from dataclasses import dataclass, field

from minwallet.ledger.entries import Entry, Kind
from minwallet.ledger.limits import (
    DAY_MS,
    MAX_PERIOD_DAYS,
    UNRESTRICTED,
    UNSET,
    DailyUsage,
    EffectiveValue,
    Limit,
    LimitKind,
    LimitPeriod,
    PlayerRestrictions,
)
from minwallet.storage.limits import LimitAsked


@dataclass
class MemoryLimits:
    """The `Limits` of `storage.limits`, forgotten at the end."""

    _limits: dict[tuple[int, LimitKind, LimitPeriod], EffectiveValue] = field(default_factory=dict)
    _exclusions: dict[int, EffectiveValue] = field(default_factory=dict)

    def _entries_of(self, account_id: int) -> list[Entry]:
        raise NotImplementedError

    def _player_of(self, account_id: int) -> int:
        raise NotImplementedError

    async def ask_limit(self, asked: LimitAsked, now_ms: int) -> None:
        key = asked[:3]
        self._limits[key] = self._limits.get(key, UNSET).request_limit(asked.cents, now_ms)

    async def ask_exclusion(self, player_key: int, until_ms: int | None, now_ms: int) -> None:
        held = self._exclusions.get(player_key, UNSET)
        self._exclusions[player_key] = held.request_exclusion(until_ms, now_ms)

    async def find_guard(self, account_id: int, now_ms: int) -> PlayerRestrictions:
        return self._guard(account_id, now_ms)

    def _guard(self, account_id: int, now_ms: int) -> PlayerRestrictions:
        exclusion = self._exclusions.get(self._player_of(account_id), UNSET)
        limits = tuple(Limit(*key[1:], bound) for key, bound in sorted(self._limits.items()) if key[0] == account_id)
        if not limits:
            return PlayerRestrictions(exclusion) if exclusion != UNSET else UNRESTRICTED
        spent: dict[int, DailyUsage] = {}
        for entry in self._entries_of(account_id):
            day = entry.at_ms // DAY_MS
            if entry.amount and entry.kind is not Kind.WITHDRAW and day > now_ms // DAY_MS - MAX_PERIOD_DAYS:
                given, lost = (entry.amount, 0) if entry.kind is Kind.DEPOSIT else (0, -entry.amount)
                before = spent.get(day, DailyUsage(day, 0, 0))
                spent[day] = DailyUsage(day, before.deposited + given, before.lost + lost)
        return PlayerRestrictions(exclusion, limits, tuple(spent[day] for day in sorted(spent)))
