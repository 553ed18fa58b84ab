"""How a store keeps what protects players. What a change comes to is the ledger's business (`ledger.limits`)."""

from typing import NamedTuple, Protocol

from minwallet.ledger.limits import LimitKind, LimitPeriod, PlayerRestrictions


class LimitChange(NamedTuple):
    """A limit of an account that is asked for, in cents; None for no limit."""

    account_id: int
    kind: LimitKind
    per: LimitPeriod
    cents: int | None


class LimitStore(Protocol):
    """Every method may raise StoreError."""

    async def request_limit(self, change: LimitChange, now_ms: int) -> None:
        """Change the limit, at once or in time."""

    async def request_exclusion(self, player_key: int, until_ms: int | None, now_ms: int) -> None:
        """Exclude the player until then, at once or in time; None for no longer."""

    async def find_restrictions(self, account_id: int, now_ms: int) -> PlayerRestrictions:
        """What protects the account, as a decision at this time would find it."""
