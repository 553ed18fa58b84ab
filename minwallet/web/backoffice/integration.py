"""The data for connecting a provider: addresses to give, settings to get, and commands to test the connection."""

import logging
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from minwallet.ledger.commands import Authenticate, Balance, Query
from minwallet.protocols.registry import OPERATOR_SERVICES, PROTOCOLS, load_protocol
from minwallet.protocols.wire import REDACTED, Call, Launch, WireProtocol, list_routes
from minwallet.provider.game_catalogue import GameCatalogue
from minwallet.provider.manual_calls import format_curl
from minwallet.storage.models import Agent

logger = logging.getLogger("minwallet")

SAMPLE_GAME, SAMPLE_GAMES_URL = "GAME", "https://games.example/play"


class Endpoint(NamedTuple):
    """The address of a call. `operation` is "" if the calls name it themselves, `label` says what the address is."""

    operation: str
    label: str
    url: str


class ProtocolIntegration(NamedTuple):
    """The connection of one agent over one protocol.

    - `base_url`: the address that all calls start with.
    - `endpoints`: the address of each call.
    - `has_service`: the provider has a game list and a report.
    - `has_wallet_token`: an address of the protocol contains the agent's wallet token.
    - `missing_settings`: the settings that the provider still has to give.
    - `launch_url`: the address of a game, with placeholders for missing settings; "" if the protocol cannot build it.
    - `curl_command`: a request of a balance; "" if the protocol has none.
    - `conformance_command`: "" if the wallet requires a wallet token, because the kit's calls have none.
    """

    protocol: str
    base_url: str
    endpoints: Sequence[Endpoint]
    has_service: bool
    has_wallet_token: bool
    missing_settings: Sequence[str]
    launch_url: str
    curl_command: str
    conformance_command: str

    @property
    def has_single_endpoint(self) -> bool:
        """Check if all calls go to the same address and name their operation themselves."""
        return not any(endpoint.operation for endpoint in self.endpoints)


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
    endpoints = [
        Endpoint(
            operation,
            operation or _label_wallet_url(path, routes),
            calls_url + path.replace("{wallet_token}", agent.wallet_token),
        )
        for path, operation in sorted(routes.items(), key=lambda item: "{" not in item[0])
    ]
    command = ["minwallet", "conformance", calls_url, "--protocol", protocol.name, "--token", REDACTED]
    return ProtocolIntegration(
        protocol=protocol.name,
        base_url=calls_url,
        endpoints=endpoints,
        has_service=protocol.name in OPERATOR_SERVICES,
        has_wallet_token=any("{wallet_token}" in path for path in protocol.routes),
        missing_settings=_find_missing_settings(protocol, agent, catalogue),
        launch_url=_build_launch_url(protocol, catalogue),
        curl_command=_build_curl_command(protocol, agent, calls_url, now_ms),
        conformance_command=shlex.join(command) if is_kit_accepted else "",
    )


def _label_wallet_url(path: str, routes: Mapping[str, str]) -> str:
    """Return the name of an address to which all calls go, from the agents whose players it serves."""
    if "{wallet_token}" in path:
        return "Wallet URL, for this agent's players only"
    return "Wallet URL, for players of all agents" if len(routes) > 1 else "Wallet URL"


def _build_curl_command(protocol: WireProtocol, agent: Agent, calls_url: str, now_ms: int) -> str:
    """Return the command that requests a balance, "" if the protocol has no such request."""
    for operation in protocol.operations:
        for query in (Balance(), Authenticate()):
            with suppress(Exception):
                request = protocol.build_request(Call(operation, REDACTED, query), now_ms, agent.wallet_token)
                # Only the protocol knows which of its operations asks for a balance. So it reads its own request.
                route = protocol.routes.get(request.path, "")
                parsed = protocol.parse(route, request.body if protocol.method == "POST" else request.query)
                if isinstance(parsed, Call) and isinstance(parsed.command, Query):
                    return format_curl(calls_url, str(request))
    return ""


def _find_missing_settings(protocol: WireProtocol, agent: Agent, catalogue: GameCatalogue) -> list[str]:
    if protocol.name not in OPERATOR_SERVICES:
        return [] if agent.game_url else ["game address"]
    settings = {"host id": agent.host_id, "service address": agent.service_url, "game list": catalogue.games}
    return [name for name, value in settings.items() if not value]


def _build_launch_url(protocol: WireProtocol, catalogue: GameCatalogue) -> str:
    agent, games = catalogue.agent, catalogue.games
    game = games[0].code if games else SAMPLE_GAME
    if protocol.name in OPERATOR_SERVICES:
        base, operator_name = games[0].url if games else f"{SAMPLE_GAMES_URL}/{SAMPLE_GAME}", agent.host_id or "HOST_ID"
    else:
        base, operator_name = agent.game_url or SAMPLE_GAMES_URL, agent.wallet_token
    try:
        return protocol.build_launch_url(Launch(base, game, "en", REDACTED, operator_name))
    except Exception:
        logger.exception("protocol '%s' cannot build a launch URL", protocol.name)
        return ""
