"""The entry point of operations: executes one OperationRequest, and has its change written to the audit log.

The CLI, the back office and the admin API all call `execute`. Replies have the shapes of `schemas`.
"""

from typing import assert_never

from minwallet.operations import (
    admin,
    agents,
    callback_keys,
    limits,
    players,
    protocol_secrets,
    transactions,
    transfers,
)
from minwallet.operations.access_requests import AdminRequest, CallbackKeyRequest, ProtocolSecretRequest
from minwallet.operations.audit_log import build_audit_event
from minwallet.operations.errors import OperationError, OperationFailure
from minwallet.operations.requests import (
    AgentRequest,
    LedgerRead,
    LimitRequest,
    OperationRequest,
    PlayerRequest,
    Reply,
    TransactionShow,
    TransferRequest,
)
from minwallet.storage.admin_store import AuditEvent
from minwallet.wallet.service import Wallet


async def execute(wallet: Wallet, request: OperationRequest, actor: str) -> Reply | OperationFailure:
    """Execute the request on behalf of `actor`. Return the reply, or why it failed. Raise StoreError.

    A change is written to the audit log under the actor's name, in the same transaction.
    """
    try:
        return await _dispatch(wallet, request, actor, build_audit_event(wallet, request, actor))
    except OperationError as error:
        return error.failure


async def _dispatch(wallet: Wallet, request: OperationRequest, actor: str, audit: AuditEvent | None) -> Reply:
    if isinstance(request, AgentRequest):
        return await agents.handle_agents(wallet, request, audit)
    if isinstance(request, CallbackKeyRequest):
        return await callback_keys.handle_callback_keys(wallet, request, actor, audit)
    if isinstance(request, ProtocolSecretRequest):
        return await protocol_secrets.handle_protocol_secrets(wallet, request, actor, audit)
    if isinstance(request, AdminRequest):
        return await admin.handle_admin(wallet, request, actor, audit)
    if isinstance(request, PlayerRequest):
        return await players.handle_players(wallet, request, actor, audit)
    if isinstance(request, LimitRequest):
        return await limits.handle_limits(wallet, request, audit)
    if isinstance(request, TransferRequest):
        return await transfers.handle_transfer(wallet, request, actor, audit)
    if isinstance(request, LedgerRead):
        return await transactions.read_ledger(wallet, request)
    if isinstance(request, TransactionShow):
        return await transactions.show_transaction(wallet, request)
    assert_never(request)
