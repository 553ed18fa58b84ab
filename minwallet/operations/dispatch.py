"""The operator's desk: carries out a `OperationRequest`, and answers in the shapes of `documents`."""

from typing import assert_never

from minwallet.operations import admin, agents, limits, players, transactions
from minwallet.operations.audit_log import audit_request
from minwallet.operations.errors import OperationError, OperationFailure
from minwallet.operations.requests import (
    AdminLink,
    AdminList,
    AdminReset,
    AgentAdd,
    AgentList,
    AgentSet,
    AgentShow,
    GamesSave,
    KeyAdd,
    KeyList,
    KeyRevoke,
    LedgerRead,
    LimitList,
    LimitSet,
    OperationRequest,
    PlayerAdd,
    PlayerExclude,
    PlayerList,
    PlayerSearch,
    PlayerSetStatus,
    PlayerShow,
    Reply,
    ReportSave,
    Seed,
    SessionEnd,
    SessionList,
    SessionOpen,
    SessionRevoke,
    TransactionShow,
    Transfer,
)
from minwallet.operations.transfers import handle_transfer
from minwallet.wallet.service import Wallet


async def execute(wallet: Wallet, request: OperationRequest, actor: str) -> Reply | OperationFailure:
    """Carry the request out, or say why not; what was changed is put on record as the actor's. May raise StoreError."""
    try:
        reply = await _dispatch(wallet, request, actor)
    except OperationError as decline:
        return decline.failure
    if not isinstance(request, Transfer):  # which is on record if it was new
        await audit_request(wallet, request, reply, actor)
    return reply


async def _dispatch(wallet: Wallet, request: OperationRequest, actor: str) -> Reply:
    match request:
        case AgentAdd() | AgentSet() | AgentShow() | AgentList() | GamesSave() | ReportSave():
            return await agents.handle_agents(wallet, request)
        case KeyAdd() | KeyList() | KeyRevoke() | AdminLink() | AdminReset() | AdminList():
            return await admin.handle_admin(wallet, request)
        case PlayerAdd() | PlayerList() | PlayerSearch() | PlayerShow() | PlayerSetStatus() | Seed():
            return await players.handle_players(wallet, request)
        case SessionOpen() | SessionList() | SessionRevoke() | SessionEnd():
            return await players.handle_players(wallet, request)
        case LimitList() | LimitSet() | PlayerExclude():
            return await limits.handle_limits(wallet, request)
        case Transfer():
            return await handle_transfer(wallet, request, actor)
        case LedgerRead():
            return await transactions.read_ledger(wallet, request)
        case TransactionShow():
            return await transactions.show_transaction(wallet, request)
        case _:
            assert_never(request)
