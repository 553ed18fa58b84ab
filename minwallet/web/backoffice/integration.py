"""The data for connecting a provider: addresses to give, settings to get, and commands to test the connection."""

import logging
import shlex
from collections.abc import Collection, Sequence
from typing import NamedTuple

from minwallet.ledger.commands import Authenticate, Balance, Command, Query
from minwallet.protocols.registry import has_part, list_protocols, load_protocol
from minwallet.protocols.wire import REDACTED, Call, Launch, WireProtocol, WireRoute, list_routes
from minwallet.provider.game_catalogue import GameCatalogue
from minwallet.provider.manual_calls import format_curl, parse_request
from minwallet.storage.models import Agent

logger = logging.getLogger("minwallet")

SAMPLE_GAME, SAMPLE_GAMES_URL = "GAME", "https://games.example/play"

SAMPLE_PLAYER, SAMPLE_CURRENCY, SAMPLE_SECRET = "PLAYER", "USD", "SECRET"


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
    - `has_sample_signature`: the launch URL has a signature, made with SAMPLE_SECRET.
    - `is_signed`: the provider signs its requests with a secret.
    - `curl_command`: a request of a balance; "" if the protocol has none, or signs it.
    - `trigger_command`: the command that sends a call to this wallet.
    - `conformance_command`: "" if the protocol has no cases, or the wallet requires a wallet token, because the kit's
      calls have none.
    """

    protocol: str
    base_url: str
    endpoints: Sequence[Endpoint]
    has_service: bool
    has_wallet_token: bool
    missing_settings: Sequence[str]
    launch_url: str
    has_sample_signature: bool
    is_signed: bool
    curl_command: str
    trigger_command: str
    conformance_command: str

    @property
    def has_single_endpoint(self) -> bool:
        """Check if all calls go to the same address and name their operation themselves."""
        return not any(endpoint.operation for endpoint in self.endpoints)


def build_integrations(
    catalogue: GameCatalogue,
    calls_url: str,
    now_ms: int,
    *,
    require_wallet_token: bool,
    protocols: Collection[str] = (),
    protocols_with_secret: Collection[str] = (),
) -> list[ProtocolIntegration]:
    """Return the connection over each protocol.

    `calls_url` is the public address with the callback key; see `list_routes` for `require_wallet_token`. `protocols`
    are those that the server answers, by default all.
    `protocols_with_secret` are those for which the agent has a live secret.
    """
    return [
        _build_integration(
            load_protocol(name),
            catalogue,
            calls_url,
            now_ms,
            require_wallet_token=require_wallet_token,
            has_secret=name in protocols_with_secret,
        )
        for name in list_protocols(protocols)
    ]


def build_callback_addresses(calls_url: str, protocols: Collection[str]) -> list[tuple[str, str]]:
    """Return each protocol with the address to give to its provider. `calls_url` contains an agent's callback key.

    `protocols` are those that the server answers; () for all.
    """
    addresses = []
    for name in list_protocols(protocols):
        paths = [route.path for route in load_protocol(name).routes if not route.operation and "{" not in route.path]
        addresses.append((name, calls_url + (paths[0] if paths else "")))
    return addresses


def _build_integration(
    protocol: WireProtocol,
    catalogue: GameCatalogue,
    calls_url: str,
    now_ms: int,
    *,
    require_wallet_token: bool,
    has_secret: bool,
) -> ProtocolIntegration:
    agent = catalogue.agent
    routes = list_routes(protocol, require_wallet_token=require_wallet_token)
    # The kit's calls have no wallet token.
    is_kit_accepted = len(routes) == len(protocol.routes)
    endpoints = [
        Endpoint(
            route.operation,
            _label_route(route, routes),
            calls_url + route.path.replace("{wallet_token}", agent.wallet_token),
        )
        for route in sorted(routes, key=lambda route: "{" not in route.path)
    ]
    launch_url = _build_launch_url(protocol, catalogue)
    command = ["minwallet", "conformance", calls_url, "--protocol", protocol.name, "--token", REDACTED]
    if protocol.signature:
        account = f"token={SAMPLE_PLAYER}/{SAMPLE_CURRENCY}"
        command += ["--account", account, "--secret-file", "SECRET_FILE"]
    return ProtocolIntegration(
        protocol=protocol.name,
        base_url=calls_url,
        endpoints=endpoints,
        has_service=has_part(protocol.name, "operator_service"),
        has_wallet_token=any("{wallet_token}" in route.path for route in protocol.routes),
        missing_settings=_find_missing_settings(protocol, agent, catalogue, has_secret=has_secret),
        launch_url=launch_url,
        # A protocol that signs its calls need not sign its launch URLs. A signature depends on the secret.
        has_sample_signature=launch_url != _build_launch_url(protocol, catalogue, f"OTHER_{SAMPLE_SECRET}"),
        is_signed=protocol.signature is not None,
        curl_command="" if protocol.signature else _build_curl_command(protocol, agent, calls_url, now_ms),
        trigger_command=_build_trigger_command(protocol, agent),
        conformance_command=shlex.join(command) if is_kit_accepted and has_part(protocol.name, "conformance") else "",
    )


def _label_route(route: WireRoute, routes: Sequence[WireRoute]) -> str:
    """Return the name of an address: its operation, with the method if the protocol has several of them."""
    label = route.operation or _label_wallet_url(route.path, routes)
    return f"{label} ({route.method})" if len({each.method for each in routes}) > 1 else label


def _label_wallet_url(path: str, routes: Sequence[WireRoute]) -> str:
    """Return the name of an address to which all calls go, from the agents whose players it serves."""
    if "{wallet_token}" in path:
        return "Wallet URL, for this agent's players only"
    if any("{wallet_token}" in route.path for route in routes):
        return "Wallet URL, for players of all agents"
    return f"Wallet URL {path}" if len({route.path for route in routes}) > 1 else "Wallet URL"


def _build_curl_command(protocol: WireProtocol, agent: Agent, calls_url: str, now_ms: int) -> str:
    """Return the command that requests a balance, "" if the protocol has no such request."""
    for operation, query in _list_queries(protocol):
        call = Call(operation, REDACTED, query, SAMPLE_PLAYER, SAMPLE_CURRENCY)
        try:
            request = protocol.build_request(call, now_ms, agent.wallet_token)
            # The wallet must accept what the page offers.
            if isinstance(parse_request(protocol, request), Call):
                return format_curl(calls_url, str(request), request.headers)
        except Exception:
            logger.debug("protocol '%s' cannot build the call '%s'", protocol.name, operation, exc_info=True)
    return ""


def _build_trigger_command(protocol: WireProtocol, agent: Agent) -> str:
    """Return the command that sends a request of a balance, or the protocol's first call if it has none."""
    operation = next((name for name, _ in _list_queries(protocol)), next(iter(protocol.operations)))
    words = ["minwallet", "trigger", operation, "--player", SAMPLE_PLAYER, "--protocol", protocol.name]
    return shlex.join([*words, *(["--agent", agent.name] if agent.name != "default" else [])])


def _list_queries(protocol: WireProtocol) -> list[tuple[str, Query]]:
    """Return the operations that request a balance and move no money, with their commands."""
    queries: dict[type[Command], Query] = {Balance: Balance(), Authenticate: Authenticate()}
    return [(name, queries[command]) for name, command in protocol.operations.items() if command in queries]


def _find_missing_settings(
    protocol: WireProtocol, agent: Agent, catalogue: GameCatalogue, *, has_secret: bool
) -> list[str]:
    settings: dict[str, object] = {"game address": agent.game_url}
    if has_part(protocol.name, "operator_service"):
        settings = {"host id": agent.host_id, "service address": agent.service_url, "game list": catalogue.games}
    if protocol.signature is not None:
        settings["secret"] = has_secret
    return [name for name, value in settings.items() if not value]


def _build_launch_url(protocol: WireProtocol, catalogue: GameCatalogue, secret: str = SAMPLE_SECRET) -> str:
    agent, games = catalogue.agent, catalogue.games
    game = games[0].code if games else SAMPLE_GAME
    if has_part(protocol.name, "operator_service"):
        base, operator_name = games[0].url if games else f"{SAMPLE_GAMES_URL}/{SAMPLE_GAME}", agent.host_id or "HOST_ID"
    else:
        base, operator_name = agent.game_url or SAMPLE_GAMES_URL, agent.wallet_token
    used_secret = secret if protocol.signature else ""
    launch = Launch(base, game, "en", REDACTED, operator_name, SAMPLE_PLAYER, SAMPLE_CURRENCY, used_secret)
    try:
        return protocol.build_launch_url(launch)
    except NotImplementedError:
        return ""
    except Exception:
        logger.exception("protocol '%s' cannot build a launch URL", protocol.name)
        return ""
