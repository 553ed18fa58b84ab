"""The operator's desk: carries out a `OperationRequest`, and answers in the shapes of `documents`."""

from typing import assert_never

from minwallet.operations import admin, agents, limits, players, schemas
from minwallet.operations.audit_log import audit_request
from minwallet.operations.errors import ErrorCode, OperationError, OperationFailure
from minwallet.operations.players import choose_account, get_player
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
from minwallet.storage.models import JournaledEntry
from minwallet.storage.store import Store
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
    store = wallet.store
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
            return await _read_ledger(store, request)
        case TransactionShow():
            return await _read_transaction(store, request.seq)
        case _:
            assert_never(request)


async def _read_ledger(store: Store, request: LedgerRead) -> Reply:
    player = await get_player(store, request.agent, request.player_id)
    accounts = [choose_account(player, request.currency)] if request.currency else player.accounts
    entries = await store.ledger.read_entries([account.account_id for account in accounts], request.limit)
    currencies = {account_id: currency for account_id, currency, *_ in accounts}
    return {"entries": [schemas.build_transaction_response(entry, currencies[entry.account_id]) for entry in entries]}


async def get_journaled_entry(store: Store, seq: int) -> JournaledEntry:
    """The entry of this number; declines where there is none."""
    entry = await store.ledger.find_journaled_entry(seq)
    if entry is None:
        raise OperationError(f"there is no entry {seq}", code=ErrorCode.NOT_FOUND, hint="see: minwallet ledger ID")
    return entry


async def _read_transaction(store: Store, seq: int) -> Reply:
    return schemas.build_journaled_transaction(await get_journaled_entry(store, seq))
