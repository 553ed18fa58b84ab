"""Handlers for agents, players and launches that need more than one OperationRequest."""

from minwallet.operations.errors import ErrorCode
from minwallet.operations.players import get_player
from minwallet.operations.requests import AgentList, AgentShow, PlayerAdd, PlayerShow, SessionOpen
from minwallet.operations.schemas import AgentResponse, NewSessionResponse, PlayerResponse
from minwallet.provider.game_catalogue import TEST_ACCOUNT, LaunchAccount, build_launch_url, create_launcher
from minwallet.web.admin_api.api_schemas import (
    AccountsResponse,
    AgentsResponse,
    DemoLaunchRequest,
    LaunchRequest,
    LaunchResponse,
    SessionPageRequest,
    SessionsResponse,
)
from minwallet.web.admin_api.operation import ApiCaller
from minwallet.web.admin_api.problems import Problem


async def list_agents(caller: ApiCaller, params: AgentList) -> AgentsResponse:
    """Return all agents, or only its own to a key of one agent."""
    agents = (await caller.execute(params, AgentsResponse))["agents"]
    return AgentsResponse(agents=[agent for agent in agents if caller.key.agent in (None, agent["name"])])


async def show_agent(caller: ApiCaller, params: AgentShow) -> AgentResponse:
    """Return the agent with the settings for its provider."""
    caller.require_agent(params.name)
    return await caller.execute(params, AgentResponse)


async def add_player(caller: ApiCaller, params: PlayerAdd) -> PlayerResponse:
    """Add a player with a first account. `balance` and `bonus` are the initial amounts in cents."""
    if await caller.wallet.store.accounts.find_player(params.agent, params.player_id):
        raise Problem(ErrorCode.TAKEN, f"player '{params.player_id}' already exists; add an account instead")
    return await caller.execute(params, PlayerResponse)


async def list_accounts(caller: ApiCaller, params: PlayerShow) -> AccountsResponse:
    """Return the accounts, one per currency."""
    return AccountsResponse(accounts=(await caller.execute(params, PlayerResponse))["accounts"])


async def add_account(caller: ApiCaller, params: PlayerAdd) -> PlayerResponse:
    """Add an account in another currency. `balance` and `bonus` are the initial amounts in cents."""
    await get_player(caller.wallet.store, params.agent, params.player_id)
    return await caller.execute(params, PlayerResponse)


async def list_sessions(caller: ApiCaller, params: SessionPageRequest) -> SessionsResponse:
    """Return the sessions, newest first."""
    sessions = (await caller.execute(params, SessionsResponse))["sessions"]
    return SessionsResponse(sessions=sessions, next=sessions[-1]["session"] if len(sessions) == params.limit else None)


async def launch(caller: ApiCaller, params: LaunchRequest) -> LaunchResponse:
    """Return the URL that opens a game for the player, in a new session."""
    launcher = await create_launcher(caller.wallet.store, params.agent, params.protocol)
    build_launch_url(launcher, params.game, params.lang, TEST_ACCOUNT)
    session_request = SessionOpen(
        agent=params.agent, player_id=params.player_id, currency=params.currency, ttl_s=params.ttl_s
    )
    session = await caller.execute(session_request, NewSessionResponse)
    account = LaunchAccount(session["player_id"], session["currency"], session["token"])
    return LaunchResponse(url=build_launch_url(launcher, params.game, params.lang, account), session=session)


async def launch_demo(caller: ApiCaller, params: DemoLaunchRequest) -> LaunchResponse:
    """Return the URL that opens a game with virtual credit, without a player."""
    launcher = await create_launcher(caller.wallet.store, params.agent, params.protocol, is_demo=True)
    return LaunchResponse(url=build_launch_url(launcher, params.game, params.lang, None), session=None)
