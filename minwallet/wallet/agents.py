"""What the operator's desk does about agents, and for each about its provider: settings, game list, report."""

from typing import assert_never

from pydantic_core import to_json

from minwallet.storage.models import Agent, GameList, default_wallet_token
from minwallet.storage.store import Store
from minwallet.wallet import documents
from minwallet.wallet.decline import Decline, Why
from minwallet.wallet.requests import (
    AgentAdd,
    AgentList,
    AgentRequest,
    AgentSet,
    AgentShow,
    GamesKeep,
    Reply,
    ReportKeep,
)
from minwallet.wallet.service import Wallet

HINT = "see: minwallet agent list"


async def perform(wallet: Wallet, request: AgentRequest) -> Reply:
    """Carry the request out, or raise Decline. May raise StoreError."""
    store = wallet.store
    match request:
        case AgentAdd():
            return await _add(wallet, request)
        case AgentSet():
            return await _set(wallet, request)
        case AgentShow():
            return documents.agent_settings(await find_agent(store, request.name))
        case AgentList():
            return {"agents": [documents.agent(agent) for agent in await store.list_agents()]}
        case GamesKeep():
            agent = await find_agent(store, request.agent)
            games = to_json([game._asdict() for game in request.games]).decode()
            await store.save_games(agent.agent_id, GameList(wallet.clock_ms(), games))
            return {"kept": len(request.games)}
        case ReportKeep():
            return await _keep_report(store, request)
        case _:
            assert_never(request)


async def find_agent(store: Store, name: str) -> Agent:
    """The agent of this name; declines for a name that nobody has."""
    for agent in await store.list_agents():
        if agent.name == name:
            return agent
    raise Decline(f"there is no agent {name}", why=Why.NOT_FOUND, hint=HINT)


async def _add(wallet: Wallet, request: AgentAdd) -> Reply:
    wallet_token = request.wallet_token or default_wallet_token(request.name)
    agent = await wallet.store.add_agent(request.name, wallet_token, request.host_id, wallet.clock_ms())
    if agent is None:
        raise Decline(
            f"another agent has the name {request.name}, the wallet token {wallet_token}"
            f"{f' or the host id {request.host_id}' if request.host_id else ''}",
            why=Why.TAKEN,
            hint=HINT,
        )
    return documents.agent(agent)


async def _set(wallet: Wallet, request: AgentSet) -> Reply:
    agent = await find_agent(wallet.store, request.name)
    given = request.model_dump(exclude={"do", "name"}, exclude_none=True)
    if not given:
        return documents.agent_settings(agent)
    changed = await wallet.store.change_agent(agent.agent_id, {name: value or None for name, value in given.items()})
    if changed is None:
        raise Decline("another agent has this wallet token or host id", why=Why.TAKEN, hint=HINT)
    wallet.forget_bearers()
    return documents.agent_settings(changed)


async def _keep_report(store: Store, request: ReportKeep) -> Reply:
    agent = await find_agent(store, request.agent)
    if not await store.save_report(agent.agent_id, request.sheet):
        raise Decline(f"another command is pulling the report of agent {agent.name}; wait for it, or pull again")
    return {"kept": len(request.sheet.rows)}
