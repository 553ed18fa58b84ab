"""The operator's desk: carries out a `Request`, and answers in the JSON shapes that people and scripts rely on."""

from collections.abc import Callable
from typing import NamedTuple, assert_never

from minwallet.ledger.audit import Audit
from minwallet.ledger.commands import Deposit, Withdraw
from minwallet.ledger.entries import Entry, Refusal
from minwallet.ledger.money import MAX_CENTS, format_amount
from minwallet.ledger.outcomes import Applied, Refused, Replayed
from minwallet.storage.base import (
    OPERATOR,
    NewSession,
    Opened,
    Opening,
    Order,
    Player,
    Recorded,
    SessionRow,
    Store,
)
from minwallet.wallet import agents
from minwallet.wallet.agents import Decline, find_agent
from minwallet.wallet.requests import (
    AgentAdd,
    AgentList,
    AgentSet,
    AgentShow,
    GamesKeep,
    LedgerRead,
    PlayerAdd,
    PlayerList,
    PlayerSetStatus,
    PlayerShow,
    RecordedShow,
    Reply,
    ReportKeep,
    Request,
    Seed,
    SeedRow,
    SessionList,
    SessionOpen,
    SessionRevoke,
    Transfer,
)
from minwallet.wallet.service import Wallet, time_text
from minwallet.wallet.sessions import hash_token, new_session, new_token

AUDIT_PAGE = 5_000


class Declined(NamedTuple):
    """Why a request was not carried out, and what to do, in one line for each reason."""

    reasons: tuple[str, ...]


async def perform(wallet: Wallet, request: Request) -> Reply | Declined:
    """Carry the request out, or say why not. May raise StoreFault."""
    try:
        return await _perform(wallet, request)
    except Decline as decline:
        return Declined(tuple(decline.args))


async def _perform(wallet: Wallet, request: Request) -> Reply:
    store = wallet.store
    match request:
        case AgentAdd() | AgentSet() | AgentShow() | AgentList() | GamesKeep() | ReportKeep():
            return await agents.perform(wallet, request)
        case PlayerAdd():
            return await _add_player(wallet, request)
        case PlayerList():
            await find_agent(store, request.agent)
            return {"players": [_player(player) for player in await store.list_players(request.agent)]}
        case PlayerShow():
            return _player(await _find_player(store, request.agent, request.player_id))
        case PlayerSetStatus():
            player = await _find_player(store, request.agent, request.player_id)
            await store.set_player_status(player.player_key, request.status)
            return _player(player._replace(status=request.status))
        case Transfer():
            return await _transfer(wallet, request)
        case SessionOpen():
            return await _open_session(wallet, request)
        case SessionList():
            player = await _find_player(store, request.agent, request.player_id)
            now_ms = wallet.clock_ms()
            return {"sessions": [_session(row, now_ms) for row in await store.list_sessions(player.player_key)]}
        case SessionRevoke():
            if not await store.revoke_session(hash_token(request.token), wallet.clock_ms()):
                raise Decline("nobody has this session token; it is shown in full only when it is opened")
            return {"revoked": True}
        case Seed():
            return await _seed(wallet, request)
        case LedgerRead():
            return await _read_ledger(store, request)
        case RecordedShow():
            return await _show_recorded(store, request.seq)
        case _:
            assert_never(request)


async def verify(store: Store, progress: Callable[[int, int], None]) -> Reply:
    """Recompute every balance and the hash chain. Tells `progress` (entries done, entries in all) after each page."""
    audit, total, seq = Audit(), await store.count_entries(), 0
    accounts = None
    while accounts is None:
        entries, owners, accounts = await store.read_audit_page(seq, AUDIT_PAGE)
        audit.meet(owners)
        audit.feed(entries)
        seq = entries[-1].seq if entries else seq
        progress(audit.entries, max(total, audit.entries))
    audit.close(accounts)
    return {
        "ok": not audit.problems,
        "accounts": len(accounts),
        "entries": audit.entries,
        "problems": audit.problems,
    }


async def _add_player(wallet: Wallet, request: PlayerAdd) -> Reply:
    opening = _opening(request, request.balance, None)
    opened = await _open_accounts(wallet, [opening])
    if opened.problems:
        raise Decline(opened.problems[0][1])
    if not opened.accounts:
        raise Decline(f"{request.player_id} already has {request.currency}; add money with: minwallet deposit")
    return _player(await _find_player(wallet.store, request.agent, request.player_id))


async def _transfer(wallet: Wallet, request: Transfer) -> Reply:
    player = await _find_player(wallet.store, request.agent, request.player_id)
    account_id, currency, *_ = _choose_account(player, request.currency)
    cash, bonus = (0, request.amount) if request.bonus else (request.amount, 0)
    make = Deposit if request.do == "deposit" else Withdraw
    order = Order(make(request.reference, cash, bonus), OPERATOR, account_id)
    outcome = await wallet.move(order, player.player_key)
    match outcome:
        case Applied(entry, cash, bonus) | Replayed(entry, cash, bonus):
            return {
                "player_id": player.player_id,
                "currency": currency,
                "cash": cash,
                "bonus": bonus,
                "seq": entry.seq,
            }
        case Refused(Refusal.INSUFFICIENT_FUNDS, cash, bonus):
            kind, held = ("bonus", bonus) if request.bonus else ("cash", cash)
            raise Decline(f"{player.player_id} has only {format_amount(held)} {currency} of {kind}")
        case Refused(Refusal.ID_TAKEN):
            raise Decline(f"the reference {request.reference} was used for something else; choose another")
        case Refused(Refusal.OUT_OF_RANGE):
            raise Decline(f"no balance can pass {format_amount(MAX_CENTS)}")
        case _:
            raise AssertionError(outcome)


async def _open_session(wallet: Wallet, request: SessionOpen) -> Reply:
    player = await _find_player(wallet.store, request.agent, request.player_id)
    account_id, currency, *_ = _choose_account(player, request.currency)
    now_ms, token = wallet.clock_ms(), new_token()
    session = new_session(token, now_ms + request.ttl_s * 1000)
    await wallet.store.add_session(account_id, session, now_ms)
    return {
        "token": token,
        "player_id": player.player_id,
        "currency": currency,
        "expires_at": time_text(session.expires_at_ms),
    }


async def _seed(wallet: Wallet, request: Seed) -> Reply:
    openings = [_opening(row, row.balance, new_session(row.token, None) if row.token else None) for row in request.rows]
    opened = await _open_accounts(wallet, openings)
    if opened.problems:
        raise Decline(*(f"line {request.rows[index].line}: {reason}" for index, reason in opened.problems))
    return {"rows": len(openings), "players_added": opened.players, "accounts_added": opened.accounts}


async def _open_accounts(wallet: Wallet, openings: list[Opening]) -> Opened:
    too_much = [
        (index, f"balance and bonus together pass {format_amount(MAX_CENTS)}")
        for index, opening in enumerate(openings)
        if opening.cash + opening.bonus > MAX_CENTS
    ]
    if too_much:
        return Opened(problems=tuple(too_much))
    return await wallet.store.open_accounts(openings, wallet.clock_ms())


async def _read_ledger(store: Store, request: LedgerRead) -> Reply:
    player = await _find_player(store, request.agent, request.player_id)
    accounts = [_choose_account(player, request.currency)] if request.currency else player.accounts
    entries = await store.read_entries([account[0] for account in accounts], request.limit)
    currencies = {account_id: currency for account_id, currency, *_ in accounts}
    return {"entries": [_entry(entry, currencies[entry.account_id]) for entry in entries]}


async def find_recorded(store: Store, seq: int) -> Recorded:
    """The entry of this number; declines where there is none."""
    recorded = await store.find_recorded(seq)
    if recorded is None:
        raise Decline(f"there is no entry {seq}; see: minwallet ledger ID")
    return recorded


async def _show_recorded(store: Store, seq: int) -> Reply:
    entry, owner, letters = await find_recorded(store, seq)
    whole = _entry(entry, owner.currency) | {
        "agent": owner.agent,
        "player_id": owner.player_id,
        "stake": entry.stake,
        "payout": entry.payout,
        "refusal": entry.refusal,
        "detail": entry.detail,
        "hash": entry.hash.hex(),
    }
    request, reply = letters or (None, None)
    return {"entry": whole, "request": request, "reply": reply}


async def _find_player(store: Store, agent: str, player_id: str) -> Player:
    player = await store.find_player(agent, player_id)
    if player is None:
        await find_agent(store, agent)
        raise Decline(f"there is no player {player_id} at agent {agent}; see: minwallet player list --agent {agent}")
    return player


def _choose_account(player: Player, currency: str | None) -> tuple[int, str, int, int]:
    found = [account for account in player.accounts if currency in (None, account[1])]
    if len(found) == 1:
        return found[0]
    names = ", ".join(account[1] for account in player.accounts)
    if currency is None:
        raise Decline(f"{player.player_id} has several currencies ({names}); name one with --currency")
    raise Decline(f"{player.player_id} has no {currency}, but {names}")


def _opening(row: PlayerAdd | SeedRow, cash: int, session: NewSession | None) -> Opening:
    return Opening(row.agent, row.player_id, row.currency, cash, row.bonus, session)


def _player(player: Player) -> Reply:
    return {
        "player_id": player.player_id,
        "agent": player.agent,
        "status": player.status,
        "accounts": [
            {"currency": currency, "cash": cash, "bonus": bonus} for _, currency, cash, bonus in player.accounts
        ],
    }


def _session(row: SessionRow, now_ms: int) -> Reply:
    expired = row.expires_at_ms is not None and row.expires_at_ms <= now_ms
    return {
        "token": row.hint,
        "currency": row.currency,
        "created_at": time_text(row.created_at_ms),
        "expires_at": time_text(row.expires_at_ms),
        "status": "revoked" if row.revoked_at_ms is not None else "expired" if expired else "live",
    }


def _entry(entry: Entry, currency: str) -> Reply:
    return {
        "seq": entry.seq,
        "at": time_text(entry.at_ms),
        "kind": entry.kind,
        "protocol": entry.protocol,
        "id": entry.id,
        "amount": entry.amount,
        "bonus_amount": entry.bonus_amount,
        "cash_after": entry.cash_after,
        "bonus_after": entry.bonus_after,
        "game": entry.game,
        "round": entry.round,
        "state": entry.state,
        "currency": currency,
    }
