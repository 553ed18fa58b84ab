"""The operator's desk: carries out a `Request`, and answers in the shapes of `documents`."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar, assert_never

from minwallet.ledger.audit import Audit
from minwallet.ledger.commands import Deposit, Withdraw
from minwallet.ledger.entries import Refusal
from minwallet.ledger.money import MAX_CENTS, format_amount
from minwallet.ledger.outcomes import Applied, Refused, Replayed
from minwallet.storage.models import ALL_ACCOUNTS, OPERATOR_PROTOCOL, AccountCommand, JournaledEntry, Partition
from minwallet.storage.queries import Filter
from minwallet.storage.store import Store
from minwallet.wallet import agents, documents, limits, office, people
from minwallet.wallet.decline import Decline, Declined, Why
from minwallet.wallet.people import choose_account, find_player
from minwallet.wallet.requests import (
    AdminLink,
    AdminList,
    AdminReset,
    AgentAdd,
    AgentList,
    AgentSet,
    AgentShow,
    GamesKeep,
    KeyAdd,
    KeyList,
    KeyRevoke,
    LedgerRead,
    LimitList,
    LimitSet,
    PlayerAdd,
    PlayerExclude,
    PlayerList,
    PlayerSearch,
    PlayerSetStatus,
    PlayerShow,
    RecordedShow,
    Reply,
    ReportKeep,
    Request,
    Seed,
    SessionEnd,
    SessionList,
    SessionOpen,
    SessionRevoke,
    Transfer,
)
from minwallet.wallet.service import Wallet

AUDIT_PAGE = 5_000

T = TypeVar("T")


async def perform(wallet: Wallet, request: Request, actor: str) -> Reply | Declined:
    """Carry the request out, or say why not; what was changed is put on record as the actor's. May raise StoreError."""
    try:
        reply = await _perform(wallet, request, actor)
    except Decline as decline:
        return decline.declined
    if not isinstance(request, Transfer):  # which is on record if it was new
        await office.record(wallet, request, reply, actor)
    return reply


async def _perform(wallet: Wallet, request: Request, actor: str) -> Reply:
    store = wallet.store
    match request:
        case AgentAdd() | AgentSet() | AgentShow() | AgentList() | GamesKeep() | ReportKeep():
            return await agents.perform(wallet, request)
        case KeyAdd() | KeyList() | KeyRevoke() | AdminLink() | AdminReset() | AdminList():
            return await office.perform(wallet, request)
        case PlayerAdd() | PlayerList() | PlayerSearch() | PlayerShow() | PlayerSetStatus() | Seed():
            return await people.perform(wallet, request)
        case SessionOpen() | SessionList() | SessionRevoke() | SessionEnd():
            return await people.perform(wallet, request)
        case LimitList() | LimitSet() | PlayerExclude():
            return await limits.perform(wallet, request)
        case Transfer():
            return await _transfer(wallet, request, actor)
        case LedgerRead():
            return await _read_ledger(store, request)
        case RecordedShow():
            return await _show_recorded(store, request.seq)
        case _:
            assert_never(request)


async def verify(
    store: Store,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    share: Partition = ALL_ACCOUNTS,
    at_once: int = AUDIT_PAGE,
    rest_s: float = 0,
) -> documents.Verified:
    """Recompute every balance and the hash chain, or those of a share of the accounts.

    Tells `progress` (entries done, entries in all) after each page. After so many rows or accounts `at_once` it rests,
    where calls are to be answered meanwhile.
    """
    audit, total, seq, account = Audit(), await store.count_entries(), 0, 0
    accounts = None
    while accounts is None:
        rows, owners, accounts = await store.read_audit_page(seq, at_once, account, share)
        async for some in _portions([*owners.items()], at_once, rest_s):
            audit.register(dict(some))
        audit.add(rows)
        seq, account = rows[-1][0] if rows else seq, max(owners, default=account)
        progress(audit.entry_count, max(total, audit.entry_count))
        await asyncio.sleep(rest_s)
    async for each in _portions(accounts, at_once, rest_s):
        audit.finish(each)
    problems = audit.problems + (await find_gaps(store) if share == ALL_ACCOUNTS else [])
    return documents.Verified(ok=not problems, accounts=len(accounts), entries=audit.entry_count, problems=problems)


async def find_gaps(store: Store) -> list[str]:
    """The problem that no account's chain shows: entries that were removed together with their account."""
    missing = await store.count_missing_entries()
    return [f"{missing} entries are missing: their numbers are not there any more"] if missing else []


async def _portions(items: Sequence[T], at_once: int, rest_s: float) -> AsyncIterator[Sequence[T]]:
    for first in range(0, len(items), at_once):
        yield items[first : first + at_once]
        await asyncio.sleep(rest_s)


async def _transfer(wallet: Wallet, request: Transfer, actor: str) -> Reply:
    player = await find_player(wallet.store, request.agent, request.player_id)
    currency = request.currency
    if currency is None and len(player.accounts) > 1:
        currency = await _currency_before(wallet.store, request)
    account_id, currency, *_ = choose_account(player, currency)
    cash, bonus = (0, request.amount) if request.bonus else (request.amount, 0)
    make = Deposit if request.do == "deposit" else Withdraw
    # Who and why stand in the row itself, which nobody can change afterwards.
    detail = json.dumps({"by": actor} | ({"reason": request.reason} if request.reason else {}))
    order = AccountCommand(make(request.reference, cash, bonus, detail), OPERATOR_PROTOCOL, account_id)
    outcome = await wallet.move(order, player.player_key)
    match outcome:
        case Applied(entry, cash, bonus) | Replayed(entry, cash, bonus):
            reply = documents.Moved(
                player_id=player.player_id, currency=currency, cash=cash, bonus=bonus, seq=entry.seq
            )
            if isinstance(outcome, Applied):
                await office.record(wallet, request, reply, actor)
            return reply
        case Refused(Refusal.INSUFFICIENT_FUNDS, cash, bonus):
            kind, held = ("bonus", bonus) if request.bonus else ("cash", cash)
            reason = f"{player.player_id} has only {format_amount(held)} {currency} of {kind}"
            raise Decline(reason, why=Why.INSUFFICIENT_FUNDS)
        case Refused(Refusal.PLAYER_EXCLUDED | Refusal.DEPOSIT_LIMIT):
            now_ms = wallet.clock_ms()
            guard = await wallet.store.find_restrictions(account_id, now_ms)
            raise limits.why_no_deposit(player.player_id, currency, guard, request.amount, now_ms)
        case Refused(Refusal.ID_TAKEN):
            reason = f"the reference {request.reference} was used for something else; choose another"
            raise Decline(reason, why=Why.TAKEN)
        case Refused(Refusal.OUT_OF_RANGE):
            raise Decline(f"no balance can pass {format_amount(MAX_CENTS)}", why=Why.OUT_OF_RANGE)
        case _:
            raise AssertionError(outcome)


async def _currency_before(store: Store, request: Transfer) -> str | None:
    """That of the account which this reference moved before: the player may have got another since."""
    wanted = Filter(request.agent, request.player_id, protocol=OPERATOR_PROTOCOL, id=request.reference)
    page = await store.read_page(wanted, None, 1)
    return page.rows[0].owner.currency if page.rows else None


async def _read_ledger(store: Store, request: LedgerRead) -> Reply:
    player = await find_player(store, request.agent, request.player_id)
    accounts = [choose_account(player, request.currency)] if request.currency else player.accounts
    entries = await store.read_entries([account[0] for account in accounts], request.limit)
    currencies = {account_id: currency for account_id, currency, *_ in accounts}
    return {"entries": [documents.transaction(entry, currencies[entry.account_id]) for entry in entries]}


async def find_recorded(store: Store, seq: int) -> JournaledEntry:
    """The entry of this number; declines where there is none."""
    recorded = await store.find_journaled_entry(seq)
    if recorded is None:
        raise Decline(f"there is no entry {seq}", why=Why.NOT_FOUND, hint="see: minwallet ledger ID")
    return recorded


async def _show_recorded(store: Store, seq: int) -> Reply:
    return documents.recorded_transaction(await find_recorded(store, seq))
