"""Operations on players, their accounts and their sessions."""

import math
from collections.abc import AsyncIterator, Sequence
from typing import assert_never

from minwallet.ledger.money import MAX_CENTS, format_amount
from minwallet.operations import schemas
from minwallet.operations.agents import get_agent
from minwallet.operations.errors import ErrorCode, OperationError, Subject
from minwallet.operations.requests import (
    PlayerAdd,
    PlayerList,
    PlayerRequest,
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
from minwallet.operations.timestamps import format_iso
from minwallet.storage.actors import find_admin
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import (
    AccountBalance,
    AccountProblem,
    AccountsCreated,
    NewAccount,
    NewSession,
    Player,
    PlayerFilter,
)
from minwallet.storage.store import Store
from minwallet.wallet.service import Wallet
from minwallet.wallet.sessions import build_new_session, generate_token, hash_token

PAGE_SIZE = 1000
"""The number of players that one statement reads."""

MAX_OTHER_AGENTS = 3

BALANCE_TOO_LARGE = f"balance plus bonus exceeds {format_amount(MAX_CENTS)}"


async def handle_players(wallet: Wallet, request: PlayerRequest, actor: str, audit: AuditEvent | None) -> Reply:
    """Execute the request and return the reply. A change adds `audit`. Raise OperationError or StoreError."""
    store = wallet.store
    match request:
        case PlayerAdd():
            return await _add_player(wallet, request, audit)
        case PlayerList():
            return {"players": [player async for page in read_player_pages(wallet, request) for player in page]}
        case PlayerSearch():
            return await _search_players(wallet, request)
        case PlayerShow():
            return await _show_player(wallet, request)
        case PlayerSetStatus():
            player = await get_player(store, request.agent, request.player_id)
            await store.accounts.set_player_status(player.player_key, request.status, audit=audit)
            return schemas.build_player_response(player._replace(status=request.status), wallet.clock_ms())
        case SessionOpen():
            return await _open_session(wallet, request, actor, audit)
        case SessionList():
            player = await get_player(store, request.agent, request.player_id)
            now_ms = wallet.clock_ms()
            return {
                "sessions": [
                    schemas.build_session_response(row, now_ms)
                    for row in await store.sessions.list_sessions(player.player_key, request.limit, request.before)
                ]
            }
        case SessionRevoke():
            if not await store.sessions.revoke_session(hash_token(request.token), wallet.clock_ms(), audit=audit):
                reason = "unknown session token; only opening a session shows the whole token"
                raise OperationError(reason, code=ErrorCode.NOT_FOUND)
            return {"revoked": True}
        case SessionEnd():
            player = await get_player(store, request.agent, request.player_id)
            if not await store.sessions.revoke_player_session(
                player.player_key, request.session, wallet.clock_ms(), audit=audit
            ):
                raise OperationError(f"{player.player_id} has no session {request.session}", code=ErrorCode.NOT_FOUND)
            return {"revoked": True}
        case Seed():
            return await _seed_accounts(wallet, request, audit)
        case _:
            assert_never(request)


async def _add_player(wallet: Wallet, request: PlayerAdd, audit: AuditEvent | None) -> Reply:
    if request.balance + request.bonus > MAX_CENTS:
        raise OperationError(BALANCE_TOO_LARGE)
    if request.balance + request.bonus:
        await _refuse_if_excluded(wallet, request)
    new_account = _build_new_account(request, request.balance, None)
    created = await _create_accounts(wallet, [new_account], audit)
    if created.problems:
        raise _reject_accounts([created.problems[0].reason], created.problems[0])
    if not created.accounts:
        reason = f"{request.player_id} already has an account in {request.currency}"
        raise OperationError(reason, code=ErrorCode.TAKEN, subject=Subject.ACCOUNT)
    return await _show_player(wallet, request)


async def _show_player(wallet: Wallet, request: PlayerAdd | PlayerShow) -> schemas.PlayerResponse:
    player = await get_player(wallet.store, request.agent, request.player_id)
    return schemas.build_player_response(player, wallet.clock_ms())


async def _refuse_if_excluded(wallet: Wallet, request: PlayerAdd) -> None:
    """Raise OperationError if the player is excluded: a new account must not bypass the exclusion."""
    player, now_ms = await wallet.store.accounts.find_player(request.agent, request.player_id), wallet.clock_ms()
    if player is None:
        return
    restrictions = await wallet.store.limits.find_restrictions(player.accounts[0].account_id, now_ms)
    if restrictions.is_excluded(now_ms):
        reason = f"{request.player_id} is excluded and cannot deposit; add {request.currency} with balance 0"
        raise OperationError(reason, code=ErrorCode.EXCLUDED)


async def read_player_pages(wallet: Wallet, request: PlayerList) -> AsyncIterator[Sequence[schemas.PlayerResponse]]:
    """Yield the players of the request in pages. Raise OperationError if the agent is unknown."""
    accounts, now_ms = wallet.store.accounts, wallet.clock_ms()
    agents = await accounts.list_agents() if request.agent is None else [await get_agent(wallet.store, request.agent)]
    remaining = math.inf if request.limit is None else request.limit
    for agent in agents:
        player_filter = PlayerFilter(agent.name, request.text, request.status, now_ms)
        after = ""
        while remaining and (
            page := await accounts.search_players(player_filter, after, int(min(remaining, PAGE_SIZE)))
        ):
            yield [schemas.build_player_response(player, now_ms) for player in page]
            remaining -= len(page)
            after = page[-1].player_id


async def _search_players(wallet: Wallet, request: PlayerSearch) -> Reply:
    """Return one page of players, and the id to continue after."""
    await get_agent(wallet.store, request.agent)
    now_ms = wallet.clock_ms()
    player_filter = PlayerFilter(request.agent, request.text, request.status, now_ms)
    # One row more than the page holds tells if there is a next page.
    found = await wallet.store.accounts.search_players(player_filter, request.after, request.limit + 1)
    page = found[: request.limit]
    next_after = page[-1].player_id if len(found) > len(page) else None
    return {"players": [schemas.build_player_response(player, now_ms) for player in page], "next": next_after}


async def _open_session(wallet: Wallet, request: SessionOpen, actor: str, audit: AuditEvent | None) -> Reply:
    player = await get_player(wallet.store, request.agent, request.player_id)
    account_id, currency, *_ = choose_account(player, request.currency)
    now_ms, token = wallet.clock_ms(), generate_token()
    session = build_new_session(token, now_ms + request.ttl_s * 1000)._replace(opened_by_admin=find_admin(actor))
    number = await wallet.store.sessions.add_session(account_id, session, now_ms, audit=audit)
    return schemas.NewSessionResponse(
        session=number,
        token=token,
        player_id=player.player_id,
        currency=currency,
        expires_at=format_iso(session.expires_at_ms),
    )


async def _seed_accounts(wallet: Wallet, request: Seed, audit: AuditEvent | None) -> Reply:
    created = await _create_accounts(wallet, _build_new_accounts(request.rows), audit)
    if created.problems:
        raise _reject_rows(request.rows, created.problems)
    return {"rows": len(request.rows), "players_added": created.players, "accounts_added": created.accounts}


async def check_seed(store: Store, rows: Sequence[SeedRow]) -> None:
    """Raise OperationError, with a reason for each bad row, if the wallet cannot take all rows. Change nothing."""
    new_accounts = _build_new_accounts(rows)
    problems = _find_large_balances(new_accounts) or await store.accounts.find_account_problems(new_accounts)
    if problems:
        raise _reject_rows(rows, problems)


def _build_new_accounts(rows: Sequence[SeedRow]) -> list[NewAccount]:
    return [
        _build_new_account(row, row.balance, build_new_session(row.token, None) if row.token else None) for row in rows
    ]


def _reject_rows(rows: Sequence[SeedRow], problems: Sequence[AccountProblem]) -> OperationError:
    return _reject_accounts([f"line {rows[each.position].line}: {each.reason}" for each in problems], problems[-1])


async def _create_accounts(wallet: Wallet, new_accounts: list[NewAccount], audit: AuditEvent | None) -> AccountsCreated:
    if problems := _find_large_balances(new_accounts):
        return AccountsCreated(problems=tuple(problems))
    created = await wallet.store.accounts.create_accounts(new_accounts, wallet.clock_ms(), audit=audit)
    wallet.commit_notifier.notify()
    return created


def _find_large_balances(new_accounts: Sequence[NewAccount]) -> list[AccountProblem]:
    return [
        AccountProblem(index, BALANCE_TOO_LARGE)
        for index, new_account in enumerate(new_accounts)
        if new_account.cash + new_account.bonus > MAX_CENTS
    ]


def _reject_accounts(reasons: list[str], last: AccountProblem) -> OperationError:
    if last.unknown_agent is None:
        return OperationError(*reasons)
    return OperationError(*reasons, subject=Subject.AGENT, agent=last.unknown_agent)


async def get_player(store: Store, agent: str, player_id: str) -> Player:
    """Return the player. Raise OperationError if the player or the agent is unknown.

    The error's data name other agents that have such a player, but not its reason: a key of the admin API may cover one
    agent only.
    """
    player = await store.accounts.find_player(agent, player_id)
    if player is None:
        await get_agent(store, agent)
        others = await store.accounts.find_agents_of_player(player_id, MAX_OTHER_AGENTS)
        data = {"agent": agent} | ({"other_agents": " ".join(others)} if others else {})
        reason = f"unknown player '{player_id}' (agent {agent})"
        raise OperationError(reason, code=ErrorCode.NOT_FOUND, subject=Subject.PLAYER, **data)
    return player


def choose_account(player: Player, currency: str | None) -> AccountBalance:
    """Return the account in this currency, or without one the player's only account. Raise OperationError otherwise."""
    found = [account for account in player.accounts if currency in (None, account.currency)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(account.currency for account in player.accounts)
    if currency is None:
        reason = f"{player.player_id} has several currencies; choose one of {names}"
        raise OperationError(reason, subject=Subject.CURRENCY)
    raise OperationError(f"{player.player_id} has no account in {currency}; accounts: {names}")


def _build_new_account(row: PlayerAdd | SeedRow, cash: int, session: NewSession | None) -> NewAccount:
    return NewAccount(row.agent, row.player_id, row.currency, cash, row.bonus, session)
