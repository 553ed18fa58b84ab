"""The audit log: every change that an operator asked for, by whom, and the ledger row that it made."""

import json

from minwallet.operations.requests import (
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
    *(AgentAdd, AgentSet, PlayerAdd, PlayerSetStatus, LimitSet, PlayerExclude, Transfer, Seed),
    *(SessionOpen, SessionRevoke, SessionEnd, KeyAdd, KeyRevoke, AdminLink, AdminReset),
)
"""What is put on record. What is pulled from a provider is none of anybody's doing."""


EXCLUDED_FIELDS = {"operation", "agent", "player_id", "name", "token", "wallet_token", "rows"}
"""What the record has in a column of its own, or must not have."""


async def audit_request(wallet: Wallet, request: OperationRequest, reply: Reply, actor: str) -> None:
    """Put on record what was done, by whom. What moved money has that in the ledger, too."""
    if not isinstance(request, AUDITED):
        return
    # To ask for nothing is what some requests are about.
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
    """Put on record what is no request: that somebody signed in, say, or failed to."""
    await wallet.store.admin.add_audit_event(
        AuditEvent(wallet.clock_ms(), actor, action, None, subject, json.dumps(detail))
    )
