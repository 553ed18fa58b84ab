"""Agents, players and their games: what the desk does not do in one step."""

from minwallet.operations.players import get_player
from minwallet.operations.requests import AgentList, AgentShow, PlayerAdd, PlayerShow, SessionOpen
from minwallet.operations.schemas import AgentResponse, NewSessionResponse, PlayerResponse
from minwallet.provider.games import launch_url, read_catalogue
from minwallet.web.admin_api.operation import Caller
from minwallet.web.admin_api.problems import Cause, Problem
from minwallet.web.admin_api.shapes import (
    AccountsShown,
    AgentsShown,
    DemoLaunch,
    Launch,
    Launched,
    Sessions,
    SessionsShown,
)


async def list_agents(caller: Caller, asked: AgentList) -> AgentsShown:
    """A key of one agent sees only that one."""
    agents = (await caller.perform(asked, AgentsShown))["agents"]
    return AgentsShown(agents=[agent for agent in agents if caller.key.agent in (None, agent["name"])])


async def show_agent(caller: Caller, asked: AgentShow) -> AgentResponse:
    """With what the provider gave it, and where the provider is."""
    caller.reach(asked.name)
    return await caller.perform(asked, AgentResponse)


async def add_player(caller: Caller, asked: PlayerAdd) -> PlayerResponse:
    """With a first account. `balance` and `bonus` are cents to begin with."""
    if await caller.wallet.store.find_player(asked.agent, asked.player_id):
        raise Problem(Cause.TAKEN, f"there is a player {asked.player_id} already; add an account instead")
    return await caller.perform(asked, PlayerResponse)


async def list_accounts(caller: Caller, asked: PlayerShow) -> AccountsShown:
    """One for each currency."""
    return AccountsShown(accounts=(await caller.perform(asked, PlayerResponse))["accounts"])


async def add_account(caller: Caller, asked: PlayerAdd) -> PlayerResponse:
    """In another currency. `balance` and `bonus` are cents to begin with."""
    await get_player(caller.wallet.store, asked.agent, asked.player_id)
    return await caller.perform(asked, PlayerResponse)


async def list_sessions(caller: Caller, asked: Sessions) -> SessionsShown:
    """The newest first."""
    sessions = (await caller.perform(asked, SessionsShown))["sessions"]
    return SessionsShown(sessions=sessions, next=sessions[-1]["session"] if len(sessions) == asked.limit else None)


async def launch(caller: Caller, asked: Launch) -> Launched:
    """The address that opens a game for the player, with a session that is opened for it."""
    catalogue = await read_catalogue(caller.wallet.store, asked.agent)
    game = (asked.protocol, asked.game, asked.lang)
    # Whatever is wrong with the game or a setting is said before there is a session.
    launch_url(catalogue, *game, "token")
    opening = SessionOpen(agent=asked.agent, player_id=asked.player_id, currency=asked.currency, ttl_s=asked.ttl_s)
    session = await caller.perform(opening, NewSessionResponse)
    return Launched(url=launch_url(catalogue, *game, session["token"]), session=session)


async def launch_demo(caller: Caller, asked: DemoLaunch) -> Launched:
    """The address that opens a game with virtual credit, for anybody."""
    catalogue = await read_catalogue(caller.wallet.store, asked.agent)
    return Launched(url=launch_url(catalogue, asked.protocol, asked.game, asked.lang, None), session=None)
