"""The audit log: every change by an operator, who made it, and the ledger entry that it wrote."""

import json

from minwallet.operations.requests import (
    Adjustment,
    AdminLink,
    AdminReset,
    AgentAdd,
    AgentSet,
    KeyAdd,
    KeyRevoke,
    LimitSet,
    OperationRequest,
    PlayerAdd,
    PlayerExclude,
    PlayerSetStatus,
    Reply,
    Seed,
    SessionEnd,
    SessionOpen,
    SessionRevoke,
    Transfer,
)
from minwallet.storage.admin_store import AuditEvent
from minwallet.wallet.service import Wallet

AUDITED = (
    *(AgentAdd, AgentSet, PlayerAdd, PlayerSetStatus, LimitSet, PlayerExclude, Transfer, Adjustment, Seed),
    *(SessionOpen, SessionRevoke, SessionEnd, KeyAdd, KeyRevoke, AdminLink, AdminReset),
)
"""The audited requests: all that change something, except those that only store a provider's data."""


EXCLUDED_FIELDS = {"operation", "agent", "player_id", "name", "token", "wallet_token", "rows"}
"""Fields that are left out of the detail: they have a column of their own, or are secret, or too long."""


async def audit_request(wallet: Wallet, request: OperationRequest, reply: Reply, actor: str) -> None:
    """Write the executed request to the audit log. Do nothing if it is not in AUDITED.

    A transfer's ledger entry contains the actor too.
    """
    if not isinstance(request, AUDITED):
        return
    # In these requests null is a value: it ends a limit or an exclusion.
    is_null_meaningful = isinstance(request, LimitSet | PlayerExclude)
    event = AuditEvent(
        wallet.clock_ms(),
        actor,
        request.operation,
        getattr(request, "agent", None),
        getattr(request, "player_id", None) or getattr(request, "name", None),
        request.model_dump_json(
            exclude=EXCLUDED_FIELDS, exclude_none=not is_null_meaningful, exclude_defaults=is_null_meaningful
        ),
        reply.get("seq"),
    )
    await wallet.store.admin.add_audit_event(event)


async def write_audit_event(wallet: Wallet, actor: str, action: str, subject: str | None, **detail: object) -> None:
    """Write an event that is not an OperationRequest, such as a sign-in, to the audit log."""
    await wallet.store.admin.add_audit_event(
        AuditEvent(wallet.clock_ms(), actor, action, None, subject, json.dumps(detail))
    )
