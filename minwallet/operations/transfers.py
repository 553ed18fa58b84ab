"""Operations that move money between the operator and a player: deposits, withdrawals and adjustments."""

import json
from collections.abc import Mapping

from minwallet.ledger.commands import Adjust, Deposit, Withdraw
from minwallet.ledger.entries import Refusal
from minwallet.ledger.money import MAX_CENTS, format_amount
from minwallet.ledger.outcomes import Applied, Refused, Replayed
from minwallet.operations import limits, schemas
from minwallet.operations.errors import ErrorCode, OperationError
from minwallet.operations.players import choose_account, get_player
from minwallet.operations.requests import Reply, TransferRequest
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import OPERATOR_PROTOCOL, AccountCommand
from minwallet.storage.queries import Filter
from minwallet.storage.store import Store
from minwallet.wallet.service import Wallet

COMMAND_TYPES: Mapping[str, type[Deposit | Withdraw | Adjust]] = {
    "deposit": Deposit,
    "withdraw": Withdraw,
    "adjust": Adjust,
}


async def handle_transfer(wallet: Wallet, request: TransferRequest, actor: str, audit: AuditEvent | None) -> Reply:
    """Execute a transfer or an adjustment, and return the new balances. Raise OperationError or StoreError.

    A repeated reference returns the same reply, moves nothing, and does not add `audit` again.
    """
    player = await get_player(wallet.store, request.agent, request.player_id)
    currency = request.currency
    if currency is None and len(player.accounts) > 1:
        currency = await _find_transfer_currency(wallet.store, request)
    account_id, currency, *_ = choose_account(player, currency)
    cash, bonus = (0, request.amount) if request.bonus else (request.amount, 0)
    # Actor and reason are part of the entry and its hash, so they cannot be changed later.
    detail = json.dumps({"by": actor} | ({"reason": request.reason} if request.reason else {}))
    command = COMMAND_TYPES[request.operation](request.reference, cash, bonus, detail)
    account_command = AccountCommand(command, OPERATOR_PROTOCOL, account_id, audit=audit)
    outcome = await wallet.submit(account_command, player.player_key)
    match outcome:
        case Applied(entry, cash, bonus) | Replayed(entry, cash, bonus):
            return schemas.TransferResult(
                player_id=player.player_id, currency=currency, cash=cash, bonus=bonus, seq=entry.seq
            )
        case Refused(Refusal.INSUFFICIENT_FUNDS, cash, bonus):
            kind, held = ("bonus", bonus) if request.bonus else ("cash", cash)
            reason = f"{player.player_id} has only {format_amount(held)} {currency} of {kind}"
            raise OperationError(reason, code=ErrorCode.INSUFFICIENT_FUNDS)
        case Refused(Refusal.PLAYER_EXCLUDED | Refusal.DEPOSIT_LIMIT):
            now_ms = wallet.clock_ms()
            restrictions = await wallet.store.limits.find_restrictions(account_id, now_ms)
            raise limits.explain_deposit_refusal(player.player_id, currency, restrictions, request.amount, now_ms)
        case Refused(Refusal.ID_TAKEN):
            reason = f"reference '{request.reference}' is already used for another transfer; choose another"
            raise OperationError(reason, code=ErrorCode.TAKEN)
        case Refused(Refusal.OUT_OF_RANGE):
            raise OperationError(f"the balance would exceed {format_amount(MAX_CENTS)}", code=ErrorCode.OUT_OF_RANGE)
        case _:
            raise AssertionError(outcome)


async def _find_transfer_currency(store: Store, request: TransferRequest) -> str | None:
    """Return the currency of the earlier transfer with this reference. Return None without one.

    A retry may omit the currency even if the player has got another account since.
    """
    transfer_filter = Filter(request.agent, request.player_id, protocol=OPERATOR_PROTOCOL, id=request.reference)
    page = await store.ledger.read_page(transfer_filter, None, 1)
    return page.rows[0].owner.currency if page.rows else None
