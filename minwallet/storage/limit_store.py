"""The interface to the limits and exclusions of players. `ledger.limits` decides what a change comes to."""

from typing import NamedTuple, Protocol

from minwallet.ledger.limits import LimitKind, LimitPeriod, PlayerRestrictions
from minwallet.storage.admin_store import AuditEvent


class LimitChange(NamedTuple):
    """A requested limit of an account, in cents. None removes the limit."""

    account_id: int
    kind: LimitKind
    per: LimitPeriod
    cents: int | None


class LimitStore(Protocol):
    """The limits and exclusions of players. Every method may raise StoreError.

    A request and its event in the audit log are one transaction. The event is added at the request, even if the change
    takes effect later.
    """

    async def request_limit(self, change: LimitChange, now_ms: int, *, audit: AuditEvent | None = None) -> None:
        """Change the limit, immediately or after the cooling-off time."""

    async def request_exclusion(
        self, player_key: int, until_ms: int | None, now_ms: int, *, audit: AuditEvent | None = None
    ) -> None:
        """Exclude the player until `until_ms`. None ends the exclusion, immediately or after the cooling-off time."""

    async def find_restrictions(self, account_id: int, now_ms: int) -> PlayerRestrictions:
        """Return the restrictions of the account that a decision at this time would apply."""
