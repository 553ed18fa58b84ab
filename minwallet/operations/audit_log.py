"""The audit log: every change by an operator, who made it, and the ledger entry that it wrote."""

import json

from minwallet.operations.access_requests import (
    AdminLink,
    AdminReset,
    CallbackKeyAdd,
    CallbackKeyRevoke,
    KeyAdd,
    KeyRevoke,
    ProtocolSecretAdd,
    ProtocolSecretRevoke,
)
from minwallet.operations.requests import (
    Adjustment,
    AgentAdd,
    AgentSet,
    LimitSet,
    OperationRequest,
    PlayerAdd,
    PlayerExclude,
    PlayerSetStatus,
    Seed,
    SessionEnd,
    SessionOpen,
    SessionRevoke,
    Transfer,
)
from minwallet.storage.actors import name_admin
from minwallet.storage.admin_store import AuditEvent
from minwallet.wallet.service import Wallet

AUDITED = (
    *(AgentAdd, AgentSet, PlayerAdd, PlayerSetStatus, LimitSet, PlayerExclude, Transfer, Adjustment, Seed),
    *(SessionOpen, SessionRevoke, SessionEnd, KeyAdd, KeyRevoke, AdminLink, AdminReset),
    *(CallbackKeyAdd, CallbackKeyRevoke, ProtocolSecretAdd, ProtocolSecretRevoke),
)
"""The audited requests: all that change something, except those that only store a provider's data."""


EXCLUDED_FIELDS = {
    *("operation", "agent", "player_id", "name", "token", "wallet_token", "rows", "key_prefix", "secret", "fingerprint")
}
"""Fields that are left out of the detail: they have a column of their own, or are secret, or too long."""


def build_audit_event(wallet: Wallet, request: OperationRequest, actor: str) -> AuditEvent | None:
    """Return the event of this request. Return None if it is not in AUDITED.

    The store adds it in the transaction of the change, and only if something changes. So a change and its event exist
    together or not at all. A transfer's event gets the `seq` of its ledger entry there; the entry has the actor too.
    """
    if not isinstance(request, AUDITED):
        return None
    # In these requests null is a value: it ends a limit or an exclusion.
    is_null_meaningful = isinstance(request, LimitSet | PlayerExclude)
    return AuditEvent(
        wallet.clock_ms(),
        actor,
        request.operation,
        getattr(request, "agent", None),
        getattr(request, "player_id", None) or getattr(request, "name", None),
        request.model_dump_json(
            exclude=EXCLUDED_FIELDS, exclude_none=not is_null_meaningful, exclude_defaults=is_null_meaningful
        ),
    )


def build_admin_event(wallet: Wallet, action: str, admin: str, **detail: object) -> AuditEvent:
    """Return the event of an admin that is not an OperationRequest, such as a sign-in."""
    return AuditEvent(wallet.clock_ms(), name_admin(admin), action, None, admin, json.dumps(detail))
