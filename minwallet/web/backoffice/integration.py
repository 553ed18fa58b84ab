"""The data for connecting a provider: addresses to give, settings to get, and commands to test the connection."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from minwallet.ledger.commands import Authenticate, Balance
from minwallet.protocols.registry import OPERATOR_SERVICES, PROTOCOLS, load_protocol
from minwallet.protocols.wire import REDACTED, Call, Launch, WireProtocol, list_routes
from minwallet.provider.game_catalogue import GameCatalogue
from minwallet.provider.manual_calls import format_curl
from minwallet.storage.models import Agent

SAMPLE_GAME, SAMPLE_GAMES_URL = "GAME", "https://games.example/play"


class ProtocolIntegration(NamedTuple):
    """The connection of one agent over one protocol.

    - `base_url`: the address that all calls start with.
    - `endpoints`: operation and address of each call; the operation is "" if the calls name it themselves.
    - `missing_settings`: the settings that the provider still has to give.
    - `launch_url`: the address of a game, with placeholders for missing settings.
    - `conformance_command`: "" if the wallet requires a wallet token, because the kit's calls have none.
    """

    protocol: str
    base_url: str
    endpoints: Sequence[tuple[str, str]]
    missing_settings: Sequence[str]
    launch_url: str
    curl_command: str
    conformance_command: str

    @property
    def has_single_endpoint(self) -> bool:
        """Check if all calls go to the same address and name their operation themselves."""
        return not any(operation for operation, _ in self.endpoints)


def build_integrations(
    catalogue: GameCatalogue, calls_url: str, now_ms: int, *, require_wallet_token: bool
) -> list[ProtocolIntegration]:
    """Return the connection over each protocol.

    `calls_url` is the public address with the callback key; see `list_routes` for `require_wallet_token`.
    """
    return [
        _build_integration(load_protocol(name), catalogue, calls_url, now_ms, require_wallet_token=require_wallet_token)
        for name in PROTOCOLS
    ]


def build_callback_addresses(calls_url: str) -> list[tuple[str, str]]:
    """Return each protocol with the address to give to its provider. `calls_url` contains an agent's callback key."""
    addresses = []
    for name in PROTOCOLS:
        paths = [path for path, operation in load_protocol(name).routes.items() if not operation]
        addresses.append((name, calls_url + (paths[0] if paths else "")))
    return addresses


def _build_integration(
    protocol: WireProtocol, catalogue: GameCatalogue, calls_url: str, now_ms: int, *, require_wallet_token: bool
) -> ProtocolIntegration:
    agent = catalogue.agent
    routes = list_routes(protocol, require_wallet_token=require_wallet_token)
    # The kit's calls have no wallet token.
    is_kit_accepted = len(routes) == len(protocol.routes)
    paths = [
        (operation, path.format(wallet_token=agent.wallet_token))
        for path, operation in sorted(routes.items(), key=lambda item: "{" not in item[0])
    ]
    operation, query = ("authenticate", Authenticate()) if paths[0][0] else ("credit", Balance())
    call = Call(operation, REDACTED, query)
    command = ["minwallet", "conformance", calls_url, "--protocol", protocol.name, "--token", REDACTED]
    return ProtocolIntegration(
        protocol=protocol.name,
        base_url=calls_url,
        endpoints=[(operation, calls_url + path) for operation, path in paths],
        missing_settings=_find_missing_settings(protocol, agent, catalogue),
        launch_url=_build_launch_url(protocol, catalogue),
        curl_command=format_curl(calls_url, str(protocol.build_request(call, now_ms, agent.wallet_token))),
        conformance_command=shlex.join(command) if is_kit_accepted else "",
    )


def _find_missing_settings(protocol: WireProtocol, agent: Agent, catalogue: GameCatalogue) -> list[str]:
    if protocol.name not in OPERATOR_SERVICES:
        return [] if agent.game_url else ["game address"]
    settings = {"host id": agent.host_id, "service address": agent.service_url, "game list": catalogue.games}
    return [name for name, value in settings.items() if not value]


def _build_launch_url(protocol: WireProtocol, catalogue: GameCatalogue) -> str:
    agent, games = catalogue.agent, catalogue.games
    game = games[0].code if games else SAMPLE_GAME
    if protocol.name in OPERATOR_SERVICES:
        base = games[0].url if games else f"{SAMPLE_GAMES_URL}/{SAMPLE_GAME}"
        return protocol.build_launch_url(Launch(base, game, "en", REDACTED, agent.host_id or "HOST_ID"))
    return protocol.build_launch_url(
        Launch(agent.game_url or SAMPLE_GAMES_URL, game, "en", REDACTED, agent.wallet_token)
    )
