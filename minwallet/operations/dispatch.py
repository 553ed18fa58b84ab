"""The entry point of operations: executes one OperationRequest and writes it to the audit log.

The CLI, the back office and the admin API all call `execute`. Replies have the shapes of `schemas`.
"""

from typing import assert_never

from minwallet.operations import admin, agents, limits, players, transactions, transfers
from minwallet.operations.audit_log import audit_request
from minwallet.operations.errors import OperationError, OperationFailure
from minwallet.operations.requests import (
    AdminRequest,
    AgentRequest,
    LedgerRead,
    LimitRequest,
    OperationRequest,
    PlayerRequest,
    Reply,
    TransactionShow,
    TransferRequest,
)
from minwallet.wallet.service import Wallet


async def execute(wallet: Wallet, request: OperationRequest, actor: str) -> Reply | OperationFailure:
    """Execute the request on behalf of `actor`. Return the reply, or why it failed. Raise StoreError.

    A change is written to the audit log under the actor's name.
    """
    try:
        reply = await _dispatch(wallet, request, actor)
    except OperationError as error:
        return error.failure
    # A transfer writes its own audit event, because a repeated reference changes nothing and is not audited.
    if not isinstance(request, TransferRequest):
        await audit_request(wallet, request, reply, actor)
    return reply


async def _dispatch(wallet: Wallet, request: OperationRequest, actor: str) -> Reply:
    if isinstance(request, AgentRequest):
        return await agents.handle_agents(wallet, request)
    if isinstance(request, AdminRequest):
        return await admin.handle_admin(wallet, request)
    if isinstance(request, PlayerRequest):
        return await players.handle_players(wallet, request)
    if isinstance(request, LimitRequest):
        return await limits.handle_limits(wallet, request)
    if isinstance(request, TransferRequest):
        return await transfers.handle_transfer(wallet, request, actor)
    if isinstance(request, LedgerRead):
        return await transactions.read_ledger(wallet, request)
    if isinstance(request, TransactionShow):
        return await transactions.show_transaction(wallet, request)
    assert_never(request)
