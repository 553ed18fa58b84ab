"""Operations that read ledger entries: a player's entries, one entry with its journal record, the newest open bet."""

from collections.abc import Sequence

from minwallet.ledger.entries import Entry, find_open_bets
from minwallet.operations import schemas
from minwallet.operations.errors import ErrorCode, OperationError, Subject
from minwallet.operations.players import choose_account, get_player
from minwallet.operations.requests import LedgerRead, Reply, TransactionShow
from minwallet.storage.models import JournaledEntry
from minwallet.storage.store import Store
from minwallet.wallet.service import Wallet

OPEN_BET_LOOKBACK = 1_000
"""How many of an account's newest entries are searched for an open bet."""


async def read_ledger(wallet: Wallet, request: LedgerRead) -> Reply:
    """Return the newest entries of one or all of the player's accounts, newest first."""
    store = wallet.store
    player = await get_player(store, request.agent, request.player_id)
    accounts = [choose_account(player, request.currency)] if request.currency else player.accounts
    entries = await store.ledger.read_entries([account.account_id for account in accounts], request.limit)
    currencies = {account_id: currency for account_id, currency, *_ in accounts}
    return {"entries": [schemas.build_transaction_response(entry, currencies[entry.account_id]) for entry in entries]}


async def show_transaction(wallet: Wallet, request: TransactionShow) -> Reply:
    """Return the entry, its owner, and the provider's request and reply while the journal keeps them."""
    return schemas.build_journaled_transaction(await get_journaled_entry(wallet.store, request.seq))


async def get_journaled_entry(store: Store, seq: int) -> JournaledEntry:
    """Return the entry with this number. Raise OperationError if there is none."""
    entry = await store.ledger.find_journaled_entry(seq)
    if entry is None:
        raise OperationError(f"unknown entry {seq}", code=ErrorCode.NOT_FOUND, subject=Subject.ENTRY)
    return entry


async def find_newest_open_bet(store: Store, agent: str, player_id: str, currency: str, protocol: str) -> Entry | None:
    """Return the account's newest bet of this protocol that is neither settled nor cancelled. Return None without one.

    Only the account's newest OPEN_BET_LOOKBACK entries are searched.
    """
    entries = await read_newest_entries(store, agent, player_id, currency, protocol)
    return next(iter(find_open_bets(entries)), None)


async def read_newest_entries(
    store: Store, agent: str, player_id: str, currency: str, protocol: str
) -> Sequence[Entry]:
    """Return the entries of this protocol among the account's newest OPEN_BET_LOOKBACK, the newest first."""
    account_id, *_ = choose_account(await get_player(store, agent, player_id), currency)
    entries = await store.ledger.read_entries([account_id], OPEN_BET_LOOKBACK)
    return [entry for entry in entries if entry.protocol == protocol]
