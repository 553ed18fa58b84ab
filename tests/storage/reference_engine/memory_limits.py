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
from minwallet.storage.limit_store import LimitChange


@dataclass
class MemoryLimitStore:
    """The `LimitStore` of `storage.limits`, forgotten at the end."""

    _limits: dict[tuple[int, LimitKind, LimitPeriod], EffectiveValue] = field(default_factory=dict)
    _exclusions: dict[int, EffectiveValue] = field(default_factory=dict)

    def _list_entries(self, account_id: int) -> list[Entry]:
        raise NotImplementedError

    def _find_player_key(self, account_id: int) -> int:
        raise NotImplementedError

    async def request_limit(self, change: LimitChange, now_ms: int) -> None:
        key = change[:3]
        self._limits[key] = self._limits.get(key, UNSET).request_limit(change.cents, now_ms)

    async def request_exclusion(self, player_key: int, until_ms: int | None, now_ms: int) -> None:
        held = self._exclusions.get(player_key, UNSET)
        self._exclusions[player_key] = held.request_exclusion(until_ms, now_ms)

    async def find_restrictions(self, account_id: int, now_ms: int) -> PlayerRestrictions:
        return self._compute_restrictions(account_id, now_ms)

    def _compute_restrictions(self, account_id: int, now_ms: int) -> PlayerRestrictions:
        exclusion = self._exclusions.get(self._find_player_key(account_id), UNSET)
        limits = tuple(Limit(*key[1:], bound) for key, bound in sorted(self._limits.items()) if key[0] == account_id)
        if not limits:
            return PlayerRestrictions(exclusion) if exclusion != UNSET else UNRESTRICTED
        usages: dict[int, DailyUsage] = {}
        for entry in self._list_entries(account_id):
            day = entry.at_ms // DAY_MS
            if entry.amount and entry.kind is not Kind.WITHDRAW and day > now_ms // DAY_MS - MAX_PERIOD_DAYS:
                deposited, lost = (entry.amount, 0) if entry.kind is Kind.DEPOSIT else (0, -entry.amount)
                before = usages.get(day, DailyUsage(day, 0, 0))
                usages[day] = DailyUsage(day, before.deposited + deposited, before.lost + lost)
        return PlayerRestrictions(exclusion, limits, tuple(usages[day] for day in sorted(usages)))
