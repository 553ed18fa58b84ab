"""The stored game list of a provider, and the launch URLs of its games."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from minwallet.operations.agents import get_agent
from minwallet.operations.errors import OperationError, Subject
from minwallet.operations.timestamps import to_datetime
from minwallet.protocols.operator_service import Game
from minwallet.protocols.registry import has_part, is_installed, list_protocols, load_protocol
from minwallet.protocols.wire import Launch
from minwallet.provider.manual_calls import find_secret, require_secret
from minwallet.provider.protocol_faults import explain_protocol_fault
from minwallet.provider.service_client import require_setting
from minwallet.storage.models import Agent
from minwallet.storage.store import Store

MAX_LISTS_IN_MEMORY = 32
"""How many agents' game lists stay parsed. A launch reads the list, and parsing a long one stops the event loop."""


def _validate_protocol(protocol: str) -> str:
    """Return the protocol. Raise ValueError if it is not installed."""
    if not is_installed(protocol):
        raise ValueError(f"expected {' or '.join(list_protocols())}")
    return protocol


def _list_choices(schema: dict[str, Any]) -> None:
    """Add the installed protocols to a JSON schema. The search for them takes long, so it waits until one is built."""
    schema["enum"] = [*list_protocols()]


class LaunchOptions(BaseModel):
    """The game to open, its protocol and its language. `game` is the provider's code of the game."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Annotated[str, AfterValidator(_validate_protocol), Field(json_schema_extra=_list_choices)]
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


class Launcher(NamedTuple):
    """The data that the launch URLs of an agent's games are built from. `secret` is "" if the agent has none."""

    catalogue: GameCatalogue
    protocol: str
    secret: str


class LaunchAccount(NamedTuple):
    """The account that a game is opened for, and the token of its session."""

    player_id: str
    currency: str
    token: str


TEST_ACCOUNT = LaunchAccount("player", "USD", "token")
"""An account for a URL that only shows whether a game can be launched. An error must leave no session behind."""


async def create_launcher(store: Store, agent_name: str, protocol: str, *, is_demo: bool = False) -> Launcher:
    """Return the launcher of a protocol that is installed. Raise OperationError if the agent is unknown.

    Raise it too if the protocol signs its requests and the agent has no secret: the wallet would refuse every call of
    the game. A demo makes no calls, so it needs no secret.
    """
    catalogue = await read_game_catalogue(store, agent_name)
    find = find_secret if is_demo else require_secret
    return Launcher(catalogue, protocol, await find(store, protocol, catalogue.agent))


def build_launch_url(launcher: Launcher, game: str, lang: str, account: LaunchAccount | None) -> str:
    """Return the URL that opens the game for the account, or with virtual credit without one.

    Raise OperationError if a setting or the game is missing, or the protocol cannot do it. A protocol with a game list
    takes the base URL from the list ("The Game URL is refer to game list response"), and the host id names the agent.
    Any other takes the agent's `game_url` and wallet token.
    """
    catalogue, protocol, secret = launcher
    agent = catalogue.agent
    if has_part(protocol, "operator_service"):
        base = _find_game_url(catalogue, game)
        operator_name = require_setting(agent, "host id", agent.host_id) if account else ""
    else:
        base, operator_name = require_setting(agent, "game url", agent.game_url), agent.wallet_token
    with explain_protocol_fault(protocol, "build a launch URL"):
        player_id, currency, token = account or ("", "", None)
        launch = Launch(base, game, lang, token, operator_name, player_id, currency, secret)
        return load_protocol(protocol).build_launch_url(launch)


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
