"""What the operator's desk does about players, their accounts and their sessions."""

from typing import assert_never

from minwallet.ledger.money import MAX_CENTS, format_amount
from minwallet.storage.models import AccountsCreated, NewAccount, NewSession, Player
from minwallet.storage.store import Store
from minwallet.wallet import documents
from minwallet.wallet.agents import find_agent
from minwallet.wallet.decline import Decline, Why
from minwallet.wallet.requests import (
    PeopleRequest,
    PlayerAdd,
    PlayerList,
    PlayerSearch,
    PlayerSetStatus,
    PlayerShow,
    Reply,
    Seed,
    SeedRow,
    SessionEnd,
    SessionList,
    SessionOpen,
    SessionRevoke,
)
from minwallet.wallet.service import Wallet
from minwallet.wallet.sessions import hash_token, new_session, new_token


async def perform(wallet: Wallet, request: PeopleRequest) -> Reply:
    """Carry the request out, or raise Decline. May raise StoreError."""
    store = wallet.store
    match request:
        case PlayerAdd():
            return await _add_player(wallet, request)
        case PlayerList():
            await find_agent(store, request.agent)
            return {"players": [documents.player(player) for player in await store.list_players(request.agent)]}
        case PlayerSearch():
            return await _search_players(store, request)
        case PlayerShow():
            return documents.player(await find_player(store, request.agent, request.player_id))
        case PlayerSetStatus():
            player = await find_player(store, request.agent, request.player_id)
            await store.set_player_status(player.player_key, request.status)
            return documents.player(player._replace(status=request.status))
        case SessionOpen():
            return await _open_session(wallet, request)
        case SessionList():
            player = await find_player(store, request.agent, request.player_id)
            now_ms = wallet.clock_ms()
            return {
                "sessions": [
                    documents.session(row, now_ms)
                    for row in await store.list_sessions(player.player_key, request.limit, request.before)
                ]
            }
        case SessionRevoke():
            if not await store.revoke_session(hash_token(request.token), wallet.clock_ms()):
                reason = "nobody has this session token; it is shown in full only when it is opened"
                raise Decline(reason, why=Why.NOT_FOUND)
            return {"revoked": True}
        case SessionEnd():
            player = await find_player(store, request.agent, request.player_id)
            if not await store.revoke_player_session(player.player_key, request.session, wallet.clock_ms()):
                raise Decline(f"{player.player_id} has no session {request.session}", why=Why.NOT_FOUND)
            return {"revoked": True}
        case Seed():
            return await _seed(wallet, request)
        case _:
            assert_never(request)


async def _add_player(wallet: Wallet, request: PlayerAdd) -> Reply:
    if request.balance + request.bonus:
        await _refuse_excluded(wallet, request)
    opening = _opening(request, request.balance, None)
    opened = await _open_accounts(wallet, [opening])
    if opened.problems:
        raise Decline(opened.problems[0][1])
    if not opened.accounts:
        reason = f"{request.player_id} already has {request.currency}"
        raise Decline(reason, why=Why.TAKEN, hint="add money with: minwallet deposit")
    return documents.player(await find_player(wallet.store, request.agent, request.player_id))


async def _refuse_excluded(wallet: Wallet, request: PlayerAdd) -> None:
    """Another account is no way round an exclusion."""
    known, now_ms = await wallet.store.find_player(request.agent, request.player_id), wallet.clock_ms()
    if known and (await wallet.store.find_restrictions(known.accounts[0][0], now_ms)).is_excluded(now_ms):
        reason = f"{request.player_id} is excluded, so nothing is deposited; add {request.currency} without money"
        raise Decline(reason, why=Why.EXCLUDED)


async def _search_players(store: Store, request: PlayerSearch) -> Reply:
    """One more is looked for than is shown, to know whether there are more."""
    await find_agent(store, request.agent)
    found = await store.search_players(request.agent, request.text, request.after, request.limit + 1)
    shown = found[: request.limit]
    following = shown[-1].player_id if len(found) > len(shown) else None
    return {"players": [documents.player(player) for player in shown], "next": following}


async def _open_session(wallet: Wallet, request: SessionOpen) -> Reply:
    player = await find_player(wallet.store, request.agent, request.player_id)
    account_id, currency, *_ = choose_account(player, request.currency)
    now_ms, token = wallet.clock_ms(), new_token()
    session = new_session(token, now_ms + request.ttl_s * 1000)
    number = await wallet.store.add_session(account_id, session, now_ms)
    return documents.NewSession(
        session=number,
        token=token,
        player_id=player.player_id,
        currency=currency,
        expires_at=documents.time_text(session.expires_at_ms),
    )


async def _seed(wallet: Wallet, request: Seed) -> Reply:
    openings = [_opening(row, row.balance, new_session(row.token, None) if row.token else None) for row in request.rows]
    opened = await _open_accounts(wallet, openings)
    if opened.problems:
        raise Decline(*(f"line {request.rows[index].line}: {reason}" for index, reason in opened.problems))
    return {"rows": len(openings), "players_added": opened.players, "accounts_added": opened.accounts}


async def _open_accounts(wallet: Wallet, openings: list[NewAccount]) -> AccountsCreated:
    too_much = [
        (index, f"balance and bonus together pass {format_amount(MAX_CENTS)}")
        for index, opening in enumerate(openings)
        if opening.cash + opening.bonus > MAX_CENTS
    ]
    if too_much:
        return AccountsCreated(problems=tuple(too_much))
    opened = await wallet.store.create_accounts(openings, wallet.clock_ms())
    wallet.news.tell()
    return opened


async def find_player(store: Store, agent: str, player_id: str) -> Player:
    """The player; declines where there is none."""
    player = await store.find_player(agent, player_id)
    if player is None:
        await find_agent(store, agent)
        reason, hint = f"there is no player {player_id} at agent {agent}", f"see: minwallet player list --agent {agent}"
        raise Decline(reason, why=Why.NOT_FOUND, hint=hint)
    return player


def choose_account(player: Player, currency: str | None) -> tuple[int, str, int, int]:
    found = [account for account in player.accounts if currency in (None, account[1])]
    if len(found) == 1:
        return found[0]
    names = ", ".join(account[1] for account in player.accounts)
    if currency is None:
        raise Decline(
            f"{player.player_id} has several currencies ({names}), so one must be named", hint="use --currency"
        )
    raise Decline(f"{player.player_id} has no {currency}, but {names}")


def _opening(row: PlayerAdd | SeedRow, cash: int, session: NewSession | None) -> NewAccount:
    return NewAccount(row.agent, row.player_id, row.currency, cash, row.bonus, session)
