"""The limits of the reference engine. Usages are computed from the entries whenever they are needed."""

from minwallet.ledger.entries import Kind
from minwallet.ledger.limits import (
    MAX_PERIOD_DAYS,
    UNRESTRICTED,
    UNSET,
    DailyUsage,
    Limit,
    PlayerRestrictions,
)
from minwallet.ledger.time_units import DAY_MS
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.limit_store import LimitChange
from tests.storage.reference_engine.memory_state import MemoryState


class MemoryLimitStore:
    """The `LimitStore` in memory."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def request_limit(self, change: LimitChange, now_ms: int, *, audit: AuditEvent | None = None) -> None:
        key = change[:3]
        self._state.limits[key] = self._state.limits.get(key, UNSET).request_limit(change.cents, now_ms)
        self._state.add_audit_event(audit)

    async def request_exclusion(
        self, player_key: int, until_ms: int | None, now_ms: int, *, audit: AuditEvent | None = None
    ) -> None:
        held = self._state.exclusions.get(player_key, UNSET)
        self._state.exclusions[player_key] = held.request_exclusion(until_ms, now_ms)
        self._state.add_audit_event(audit)

    async def find_restrictions(self, account_id: int, now_ms: int) -> PlayerRestrictions:
        return compute_restrictions(self._state, account_id, now_ms)


def compute_restrictions(state: MemoryState, account_id: int, now_ms: int) -> PlayerRestrictions:
    """Return the account's restrictions at this time, with usages that are summed from its entries."""
    exclusion = state.exclusions.get(state.accounts[account_id - 1].player_key, UNSET)
    limits = tuple(Limit(*key[1:], bound) for key, bound in sorted(state.limits.items()) if key[0] == account_id)
    if not limits:
        return PlayerRestrictions(exclusion) if exclusion != UNSET else UNRESTRICTED
    usages: dict[int, DailyUsage] = {}
    for entry in [each for each in state.entries if each.account_id == account_id]:
        day = entry.at_ms // DAY_MS
        is_counted = entry.amount and entry.kind not in (Kind.WITHDRAW, Kind.ADJUSTMENT)
        if is_counted and day > now_ms // DAY_MS - MAX_PERIOD_DAYS:
            deposited, lost = (entry.amount, 0) if entry.kind is Kind.DEPOSIT else (0, -entry.amount)
            before = usages.get(day, DailyUsage(day, 0, 0))
            usages[day] = DailyUsage(day, before.deposited + deposited, before.lost + lost)
    return PlayerRestrictions(exclusion, limits, tuple(usages[day] for day in sorted(usages)))
