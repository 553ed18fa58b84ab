"""Operations on agents: settings, and what was fetched from an agent's provider (game list and report)."""

from typing import assert_never

from pydantic_core import to_json

from minwallet.operations import schemas
from minwallet.operations.errors import ErrorCode, OperationError, Subject
from minwallet.operations.requests import (
    AgentAdd,
    AgentList,
    AgentRequest,
    AgentSet,
    AgentShow,
    GamesSave,
    Reply,
    ReportSave,
)
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import Agent, GameList, default_wallet_token
from minwallet.storage.store import Store
from minwallet.wallet.service import Wallet


async def handle_agents(wallet: Wallet, request: AgentRequest, audit: AuditEvent | None) -> Reply:
    """Execute the request and return the reply. A change adds `audit`. Raise OperationError or StoreError."""
    store = wallet.store
    match request:
        case AgentAdd():
            return await _add_agent(wallet, request, audit)
        case AgentSet():
            return await _update_agent(wallet, request, audit)
        case AgentShow():
            return schemas.build_agent_response(await get_agent(store, request.name))
        case AgentList():
            return {"agents": [schemas.build_agent_summary(agent) for agent in await store.accounts.list_agents()]}
        case GamesSave():
            agent = await get_agent(store, request.agent)
            games = to_json([game._asdict() for game in request.games]).decode()
            await store.reports.save_games(agent.agent_id, GameList(wallet.clock_ms(), games))
            return {"kept": len(request.games)}
        case ReportSave():
            return await _save_report(store, request)
        case _:
            assert_never(request)


async def get_agent(store: Store, name: str) -> Agent:
    """Return the agent with this name. Raise OperationError if there is none."""
    for agent in await store.accounts.list_agents():
        if agent.name == name:
            return agent
    raise OperationError(f"unknown agent '{name}'", code=ErrorCode.NOT_FOUND, subject=Subject.AGENT)


async def _add_agent(wallet: Wallet, request: AgentAdd, audit: AuditEvent | None) -> Reply:
    wallet_token = request.wallet_token or default_wallet_token(request.name)
    agent = await wallet.store.accounts.add_agent(
        request.name, wallet_token, request.host_id, wallet.clock_ms(), audit=audit
    )
    if agent is None:
        *ids, last_id = [
            f"the name '{request.name}'",
            f"the wallet token '{wallet_token}'",
            *([f"the host id '{request.host_id}'"] if request.host_id else []),
        ]
        raise OperationError(
            f"another agent already has {', '.join(ids)} or {last_id}",
            code=ErrorCode.TAKEN,
            subject=Subject.AGENT,
        )
    return schemas.build_agent_summary(agent)


async def _update_agent(wallet: Wallet, request: AgentSet, audit: AuditEvent | None) -> Reply:
    agent = await get_agent(wallet.store, request.name)
    changes = request.model_dump(exclude={"operation", "name"}, exclude_none=True)
    if not changes:
        return schemas.build_agent_response(agent)
    changed = await wallet.store.accounts.change_agent(
        agent.agent_id, {name: value or None for name, value in changes.items()}, audit=audit
    )
    if changed is None:
        raise OperationError(
            "another agent already has this wallet token or host id", code=ErrorCode.TAKEN, subject=Subject.AGENT
        )
    # A cached session holder contains the wallet token.
    wallet.clear_session_cache()
    return schemas.build_agent_response(changed)


async def _save_report(store: Store, request: ReportSave) -> Reply:
    agent = await get_agent(store, request.agent)
    if not await store.reports.save_report(agent.agent_id, request.sheet):
        raise OperationError(f"the report of agent '{agent.name}' is already being pulled; try again later")
    return {"kept": len(request.sheet.rows)}
