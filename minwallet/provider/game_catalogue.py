"""The provider's game list as it was kept, and the addresses that open games."""

import json
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from minwallet.operations.agents import get_agent
from minwallet.operations.errors import OperationError
from minwallet.protocols.operator_service import Game
from minwallet.protocols.registry import OPERATOR_SERVICES, PROTOCOLS, load_protocol
from minwallet.protocols.wire import Launch
from minwallet.provider.service_client import require_setting
from minwallet.storage.models import Agent
from minwallet.storage.store import Store


def _validate_protocol(protocol: str) -> str:
    """A protocol that there is."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"there are {' and '.join(PROTOCOLS)}")
    return protocol


class LaunchOptions(BaseModel):
    """The game that shall open, by which protocol and in which language. `game` is wallet-v2's gameID, vela's code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Annotated[str, AfterValidator(_validate_protocol), Field(json_schema_extra={"enum": [*PROTOCOLS]})]
    game: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
    lang: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")] = "en"


class GameCatalogue(NamedTuple):
    """An agent and the games of its last good list; `fetched_at` is None where there never was one."""

    agent: Agent
    fetched_at: datetime | None
    games: list[Game]


async def read_game_catalogue(store: Store, agent_name: str) -> GameCatalogue:
    """The agent's catalogue. Declines where there is no such agent."""
    agent = await get_agent(store, agent_name)
    kept = await store.reports.find_games(agent.agent_id)
    if kept is None:
        return GameCatalogue(agent, None, [])
    games = [Game(**each) for each in json.loads(kept.games)]
    return GameCatalogue(agent, datetime.fromtimestamp(kept.fetched_at_ms / 1000, UTC), games)


def build_launch_url(catalogue: GameCatalogue, protocol: str, game: str, lang: str, token: str | None) -> str:
    """The address that opens the game for whom the token stands for, or with virtual credit where there is none.

    Declines where a setting or the game is missing. A protocol that has a game list launches from there: "The
    Game URL is refer to game list response"; any other from the agent's own address of the games.
    """
    agent = catalogue.agent
    if protocol in OPERATOR_SERVICES:
        base = _find_game_url(catalogue, game)
        operator_name = require_setting(agent, "host id", agent.host_id) if token else ""
    else:
        base, operator_name = require_setting(agent, "game url", agent.game_url), agent.wallet_token
    return load_protocol(protocol).build_launch_url(Launch(base, game, lang, token, operator_name))


def _find_game_url(catalogue: GameCatalogue, game: str) -> str:
    for each in catalogue.games:
        if each.code == game:
            return each.url
    if catalogue.fetched_at is None:
        raise OperationError("there is no game list yet", hint="fetch it with: minwallet games")
    known = ", ".join(each.code for each in catalogue.games[:10])
    reason = f"the game list has no {game}, but {known or 'nothing'}"
    raise OperationError(reason, hint="fetch a new one with: minwallet games")
