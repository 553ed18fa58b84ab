"""The stored game list of a provider, and the launch URLs of its games."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from minwallet.operations.agents import get_agent
from minwallet.operations.errors import OperationError, Subject
from minwallet.operations.timestamps import to_datetime
from minwallet.protocols.operator_service import Game
from minwallet.protocols.registry import OPERATOR_SERVICES, PROTOCOLS, load_protocol
from minwallet.protocols.wire import Launch
from minwallet.provider.protocol_faults import explain_protocol_fault
from minwallet.provider.service_client import require_setting
from minwallet.storage.models import Agent
from minwallet.storage.store import Store

MAX_LISTS_IN_MEMORY = 32
"""How many agents' game lists stay parsed. A launch reads the list, and parsing a long one stops the event loop."""


def _validate_protocol(protocol: str) -> str:
    """Return the protocol. Raise ValueError if it is unknown."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"expected {' or '.join(PROTOCOLS)}")
    return protocol


class LaunchOptions(BaseModel):
    """The game to open, its protocol and its language. `game` is wallet-v2's gameID or vela's code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Annotated[str, AfterValidator(_validate_protocol), Field(json_schema_extra={"enum": [*PROTOCOLS]})]
    game: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
    lang: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")] = "en"


class GameCatalogue(NamedTuple):
    """An agent and its stored game list. `fetched_at` is None if no list was ever fetched."""

    agent: Agent
    fetched_at: datetime | None
    games: Sequence[Game]


async def read_game_catalogue(store: Store, agent_name: str) -> GameCatalogue:
    """Return the agent's game list. Raise OperationError if the agent is unknown."""
    agent = await get_agent(store, agent_name)
    kept = await store.reports.find_games(agent.agent_id)
    if kept is None:
        return GameCatalogue(agent, None, ())
    return GameCatalogue(agent, to_datetime(kept.fetched_at_ms), _parse_games(kept.games))


@lru_cache(maxsize=MAX_LISTS_IN_MEMORY)
def _parse_games(text: str) -> Sequence[Game]:
    """Return the games of a stored list. The text is the key of the cache, so a new list is parsed when it is read."""
    return tuple(Game(**each) for each in json.loads(text))


def build_launch_url(catalogue: GameCatalogue, protocol: str, game: str, lang: str, token: str | None) -> str:
    """Return the URL that opens the game for the holder of the token, or with virtual credit without a token.

    Raise OperationError if a setting or the game is missing, or the protocol cannot do it. A protocol with a game list
    takes the base URL from the list ("The Game URL is refer to game list response"); any other from the agent's
    `game_url`.
    """
    agent = catalogue.agent
    if protocol in OPERATOR_SERVICES:
        base = _find_game_url(catalogue, game)
        operator_name = require_setting(agent, "host id", agent.host_id) if token else ""
    else:
        base, operator_name = require_setting(agent, "game url", agent.game_url), agent.wallet_token
    with explain_protocol_fault(protocol, "build a launch URL"):
        return load_protocol(protocol).build_launch_url(Launch(base, game, lang, token, operator_name))


def _find_game_url(catalogue: GameCatalogue, game: str) -> str:
    for each in catalogue.games:
        if each.code == game:
            return each.url
    agent_name = catalogue.agent.name
    if catalogue.fetched_at is None:
        raise OperationError(
            f"the game list of agent '{agent_name}' was never fetched", subject=Subject.GAME_LIST, agent=agent_name
        )
    known = ", ".join(each.code for each in catalogue.games[:10])
    reason = f"unknown game '{game}'; the game list of agent '{agent_name}' has {known or 'no games'}"
    raise OperationError(reason, subject=Subject.GAME, agent=agent_name)
